//! Dates in words: "2026-12-03", "3 December 2026", "December 3rd".

use jiff::civil::Date;

use super::DAYS;

const MONTHS: &[&str] = &[
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// The date at the beginning of these words, and its number of words: "2026-12-03", "3 December
/// 2026", "December 3rd", "Thursday, 3 December". Without a year it is one of several, in order.
pub(super) fn dates(words: &[String], today: Date) -> Option<(usize, Vec<Date>)> {
    let word = |n: usize| words.get(n).map_or("", String::as_str);
    if is_date(word(0)) {
        return Some((1, vec![word(0).parse().ok()?]));
    }
    if DAYS.contains(&word(0)) {
        let (length, dates) = dates(&words[1..], today)?;
        return Some((length + 1, dates));
    }
    let day = |text: &str| -> Option<i8> {
        let ends = ["st", "nd", "rd", "th"];
        let number = ends.iter().find_map(|end| text.strip_suffix(end));
        number.unwrap_or(text).parse().ok()
    };
    let month = |text: &str| -> Option<i8> {
        let is_meant = |month: &&str| text.len() > 2 && month.starts_with(text);
        let at = MONTHS.iter().position(is_meant)?;
        i8::try_from(at + 1).ok()
    };
    let of = usize::from(word(1) == "of");
    let (length, day, month) = match (day(word(0)), month(word(1 + of))) {
        (Some(day), Some(month)) => (2 + of, day, month),
        _ => (2, day(word(1))?, month(word(0))?),
    };
    let this = today.year();
    let year = word(length).parse().ok();
    let (length, years) = match year.filter(|year| (1970..3000).contains(year)) {
        Some(year) => (length + 1, year..=year),
        None => (length, this - 1..=this + 1),
    };
    let dates: Vec<Date> = years
        .filter_map(|year| Date::new(year, month, day).ok())
        .collect();
    (!dates.is_empty()).then_some((length, dates))
}

/// Whether this word is a part of a date in words, such as "6 march".
pub(in super::super) fn is_in_date(words: &[String], part: &str) -> bool {
    // A leap year.
    let today = Date::constant(2024, 1, 1);
    (0..words.len()).any(|at| match dates(&words[at..], today) {
        Some((length @ 2.., _)) => words[at..at + length].iter().any(|word| word == part),
        _ => false,
    })
}

/// Whether a word is a date such as "2026-12-03".
pub(super) fn is_date(word: &str) -> bool {
    word.len() == 10 && word.parse::<Date>().is_ok()
}
