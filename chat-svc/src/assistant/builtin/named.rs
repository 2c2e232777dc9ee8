//! Finds the tasks, releases and people that a question names, and names that are unknown.

use std::cmp::Reverse;

use super::{
    phrase::{NAME, OWNS, Words},
    vocabulary::{ARTICLES, BEFORE_NAMES, is_ordinary},
};
use crate::prompt::{ReleaseFacts, TaskFacts, Work};

/// Characters of a word from which on it also stands for longer words: "sign" for "signing".
const MIN_BEGINNING: usize = 4;

/// The tasks that are named by their titles.
pub(super) fn tasks<'a>(rest: &mut Words, work: &'a Work) -> Vec<&'a TaskFacts> {
    let titles = work.tasks().map(|task| task.title.as_str());
    // A title may begin like another one, or contain a name.
    let mut titles: Vec<&str> = titles.filter(|title| title.chars().count() > 3).collect();
    titles.sort_by_key(|title| (Reverse(title.len()), *title));
    titles.dedup();
    titles.retain(|title| rest.take(title));
    let named = |task: &&TaskFacts| titles.contains(&task.title.as_str());
    work.tasks().filter(named).collect()
}

/// The tasks whose titles contain most of the words that are not ordinary, and at least one.
pub(super) fn by_word<'a>(rest: &mut Words, work: &'a Work) -> Vec<&'a TaskFacts> {
    let words = rest.list();
    let is_marked = |at: usize| {
        let is_at = at > 0 && words[at - 1] == "@";
        is_at || words.get(at + 1).is_some_and(|next| next == OWNS)
    };
    let numbers: Vec<&str> = words
        .iter()
        .map(String::as_str)
        .filter(|word| is_digits(word))
        .collect();
    let telling = words.iter().map(String::as_str).enumerate();
    let telling = telling.filter(|(at, word)| {
        let is_plain = word.chars().count() > 2 && !is_digits(word) && !is_ordinary(word);
        is_plain && !is_marked(*at)
    });
    let telling: Vec<&str> = telling.map(|(_, word)| word).collect();
    if telling.is_empty() {
        return Vec::new();
    }
    let mut best = 0;
    let mut found: Vec<&TaskFacts> = Vec::new();
    let mut used: Vec<&str> = Vec::new();
    for task in work.tasks() {
        let title = Words::of(&task.title).list();
        let has = |word: &&&str| title.iter().any(|part| is_meant(word, part));
        let mut matched: Vec<&str> = telling.iter().filter(has).copied().collect();
        // A number alone names no task: "my next 3 tasks".
        if matched.is_empty() {
            continue;
        }
        matched.extend(numbers.iter().filter(has));
        let score = matched.len();
        if score > best {
            (best, found, used) = (score, Vec::new(), Vec::new());
        }
        if score == best {
            found.push(task);
            used.extend(matched);
        }
    }
    for word in used {
        rest.take(word);
    }
    found
}

/// Whether a word of a question stands for this word of a title.
fn is_meant(word: &str, title: &str) -> bool {
    let singular = word.strip_suffix('s').unwrap_or(word);
    let is_same =
        |part: &str| part == word || part == singular || part.strip_suffix('s') == Some(word);
    let is_beginning =
        !is_digits(word) && word.chars().count() >= MIN_BEGINNING && title.starts_with(word);
    is_same(title) || is_beginning || title.split(['-', '_', '.']).any(is_same)
}

fn is_digits(word: &str) -> bool {
    word.chars().all(|c| c.is_ascii_digit())
}

/// The releases that are named by their whole names.
pub(super) fn releases<'a>(rest: &mut Words, work: &'a Work) -> Vec<&'a ReleaseFacts> {
    let releases = work.releases.iter();
    let names = releases.clone().map(|release| release.name.as_str());
    let mut names: Vec<&str> = names.collect();
    names.sort_by_key(|name| (Reverse(name.len()), *name));
    names.dedup();
    names.retain(|name| rest.take(name));
    releases
        .filter(|release| names.contains(&release.name.as_str()))
        .collect()
}

/// The people that are named.
pub(super) fn people<'a>(rest: &mut Words, work: &'a Work) -> Vec<&'a str> {
    let mut people: Vec<&str> = work.tasks().map(|task| task.assignee.as_str()).collect();
    people.push(&work.caller.username);
    people.sort_unstable();
    people.dedup();
    people.retain(|name| rest.take(name));
    people
}

/// The releases that are named by a part of their names, such as "1.31", or by their version.
pub(super) fn by_part<'a>(
    rest: &mut Words,
    work: &'a Work,
    is_telling: fn(&str) -> bool,
) -> Vec<&'a ReleaseFacts> {
    // "Big" in "Big Bang".
    let marked = rest.clone();
    let is_common = |part: &str| is_ordinary(part) && !marked.is_marked(part);
    by(rest, work, |release| {
        let version = Some(release.version.as_str()).filter(|version| is_number(version));
        let parts = release.name.split_whitespace().chain(version);
        let telling = parts.filter(|part| is_telling(part) && !is_common(&part.to_lowercase()));
        telling.map(str::to_owned).collect()
    })
}

/// The releases that are named by two words of their names, of which one has a digit, such as
/// "autumn 2026": the second alone could be a time.
pub(super) fn by_pair<'a>(rest: &mut Words, work: &'a Work) -> Vec<&'a ReleaseFacts> {
    by(rest, work, |release| {
        let words: Vec<_> = release.name.split_whitespace().collect();
        let pairs = words.windows(2).map(|pair| pair.join(" "));
        pairs
            .filter(|pair| pair.contains(|c: char| c.is_ascii_digit()))
            .collect()
    })
}

/// The releases that are named by one of their `parts`.
fn by<'a>(
    rest: &mut Words,
    work: &'a Work,
    parts: impl Fn(&ReleaseFacts) -> Vec<String>,
) -> Vec<&'a ReleaseFacts> {
    let parts: Vec<_> = work.releases.iter().map(parts).collect();
    let mut named: Vec<&String> = parts.iter().flatten().collect();
    named.sort_unstable();
    named.dedup();
    named.retain(|part| rest.take(part));
    let releases = work.releases.iter().zip(&parts);
    let meant = releases.filter(|(_, parts)| parts.iter().any(|part| named.contains(&part)));
    meant.map(|(release, _)| release).collect()
}

/// Whether a word is a version: "1.31", "v2".
pub(super) fn is_number(word: &str) -> bool {
    let digits = word.strip_prefix('v').unwrap_or(word);
    let is_version = digits.len() < word.len() || word.contains('.');
    is_version && digits.starts_with(|c: char| c.is_ascii_digit())
}

/// An unknown version of a release, with the word before it: "kubernetes 1.30". A word that was a
/// name is [`NAME`].
pub(super) fn unknown_number(rest: &Words, work: &Work) -> Option<String> {
    let words = rest.list();
    let of_release = |word: &String| {
        let mut one = Words::joined(std::slice::from_ref(word));
        matches!(word.as_str(), "release" | "version" | NAME)
            || !by_part(&mut one, work, |_| true).is_empty()
    };
    let at = (0..words.len()).find(|at| {
        let plain = is_digits(&words[*at]);
        is_number(&words[*at]) || (plain && *at > 0 && of_release(&words[at - 1]))
    })?;
    match at.checked_sub(1).map(|before| &words[before]) {
        Some(before) if !is_ordinary(before) => Some(format!("{before} {}", words[at])),
        _ => Some(words[at].clone()),
    }
}

/// A word in the place of a name that is not an ordinary word.
pub(super) fn unknown_name(rest: &Words) -> Option<String> {
    let words = rest.list();
    // The last word that is no article.
    let mut before = "";
    let mut is_assigned = false;
    for (at, word) in words.iter().map(String::as_str).enumerate() {
        let behind = words.get(at + 1).map_or("", String::as_str);
        let is_marked = before == "@" || behind == OWNS;
        let is_placed = BEFORE_NAMES.contains(&before)
            || (is_assigned && before == "to")
            || matches!(behind, "release" | "version");
        let can_be_name = word != OWNS && word.chars().any(char::is_alphabetic);
        // "For nobody" asks for a person, unlike "is nobody working on it".
        let is_name = !is_ordinary(word) || (before, word) == ("for", "nobody");
        if can_be_name && (is_marked || is_placed) && is_name {
            return Some(word.to_owned());
        }
        if !ARTICLES.contains(&word) {
            is_assigned = matches!(before, "assigned" | "belong" | "belongs" | "given");
            before = word;
        }
    }
    None
}
