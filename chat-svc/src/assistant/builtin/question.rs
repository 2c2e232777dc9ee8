//! A question, taken apart: whom and what it names, which time it is about, and the words
//! that are left.

use std::cmp::Reverse;

use super::{
    span::{self, When},
    vocabulary::{ARTICLES, BEFORE_NAMES, MINE, POLITE, is_ordinary},
};
use crate::prompt::{ReleaseFacts, TaskFacts, Work};

/// What stands in the place of a name that was taken out.
const NAME: &str = "_";

/// A mark behind a name: "grace's".
const OWNS: &str = "'s";

/// What an `'s` shortens "is" or "has" behind, rather than belonging to a name.
const SHORTENED: &[&str] = &[
    "what",
    "who",
    "how",
    "where",
    "when",
    "why",
    "which",
    "that",
    "this",
    "it",
    "there",
    "here",
    "he",
    "she",
    "let",
    "everything",
    "everybody",
    "everyone",
    "anything",
    "anybody",
    "anyone",
    "nobody",
    "nothing",
    "somebody",
    "someone",
    "something",
];

/// Words in small letters, separated by single spaces. A name's "@" and "'s" are words of
/// their own.
#[derive(Debug)]
pub(super) struct Words(String);

impl Words {
    pub(super) fn of(text: &str) -> Self {
        let mut plain = String::new();
        for c in text.chars().flat_map(char::to_lowercase) {
            match c {
                '\'' | '’' => plain.push('\''),
                '@' => plain.push_str(" @ "),
                // These join names and numbers: "1.31", "dev-1".
                '.' | '-' | '_' => plain.push(c),
                _ if c.is_alphanumeric() => plain.push(c),
                _ => plain.push(' '),
            }
        }
        let mut words = Vec::new();
        for word in plain.split(' ') {
            let word = word.trim_matches(['.', '-', '\'']);
            match word.strip_suffix(OWNS) {
                Some(owner) if !SHORTENED.contains(&owner) => {
                    words.push(owner.replace('\'', ""));
                    words.push(OWNS.to_owned());
                }
                _ => words.push(word.replace('\'', "")),
            }
        }
        words.retain(|word| !word.is_empty());
        Self::joined(&words)
    }

    fn joined(words: &[String]) -> Self {
        Self(format!(" {} ", words.join(" ")))
    }

    fn list(&self) -> Vec<String> {
        self.0.split_whitespace().map(str::to_owned).collect()
    }

    /// Whether one of these is in it: a word, or several in this order; one that ends
    /// with `*` is the beginning of a word.
    pub(super) fn any(&self, phrases: &[&str]) -> bool {
        phrases.iter().any(|phrase| match phrase.strip_suffix('*') {
            Some(stem) => self.0.contains(&format!(" {stem}")),
            None => self.0.contains(&format!(" {phrase} ")),
        })
    }

    /// The first word.
    pub(super) fn first(&self) -> &str {
        self.0.split_whitespace().next().unwrap_or_default()
    }

    /// Takes a name out of it, written as people write names; whether it was there. A name
    /// that is an ordinary word is meant only where it is marked: "@next", "next's".
    fn take(&mut self, name: &str) -> bool {
        let name = Self::of(name).0;
        let name = name.trim();
        if name.is_empty() {
            return false;
        }
        let marked = [
            format!("@ {name} {OWNS}"),
            format!("@ {name}"),
            format!("{name} {OWNS}"),
        ];
        let plain = [name.to_owned(), format!("{name}s")];
        let is_marked_only = !name.contains(' ') && is_ordinary(name);
        let plain = &plain[..if is_marked_only { 0 } else { 2 }];
        let mut found = false;
        for form in marked.iter().chain(plain) {
            let form = format!(" {form} ");
            // Twice at most: two that follow each other share a space.
            while self.0.contains(&form) {
                self.0 = self.0.replace(&form, &format!(" {NAME} "));
                found = true;
            }
        }
        found
    }

    fn without(&self, phrases: &[&str]) -> Self {
        let mut rest = self.0.clone();
        for phrase in phrases {
            rest = rest.replace(&format!(" {phrase} "), " ");
        }
        Self(rest)
    }
}

/// A question, and what of the caller's work it names.
#[derive(Debug)]
pub(super) struct Question<'a> {
    /// All of it.
    pub(super) words: Words,
    /// What is left of it without names and times.
    pub(super) rest: Words,
    pub(super) tasks: Vec<&'a TaskFacts>,
    pub(super) releases: Vec<&'a ReleaseFacts>,
    /// The people other than the caller.
    pub(super) others: Vec<&'a str>,
    /// Whether the caller is named.
    pub(super) names_caller: bool,
    pub(super) when: When,
    /// Whether it names a time of day.
    pub(super) names_hour: bool,
    /// What seems to be the name of a person or a release, and is not known.
    pub(super) stranger: Option<String>,
}

impl<'a> Question<'a> {
    pub(super) fn of(text: &str, work: &'a Work) -> Self {
        let words = Words::of(text);
        let mut rest = words.without(POLITE);
        let tasks = named_tasks(&mut rest, work);
        let mut releases = named_releases(&mut rest, work);
        let mut others = named_people(&mut rest, work);
        let people = others.len();
        others.retain(|name| *name != work.caller.username);
        let names_caller = others.len() < people;
        let mut add = |named: Vec<&'a ReleaseFacts>| {
            for release in named {
                if !releases.iter().any(|known| known.id == release.id) {
                    releases.push(release);
                }
            }
        };
        add(named_by_pair(&mut rest, work));
        let mut list = rest.list();
        let names_hour = span::take_hours(&mut list);
        let when = span::take(&mut list, work.now);
        let mut rest = Words::joined(&list);
        add(named_by_part(&mut rest, work, is_number));
        let number = unknown_number(&rest, work);
        if releases.is_empty() && number.is_none() {
            releases = named_by_part(&mut rest, work, |part| part.chars().count() > 2);
        }
        let names_nothing =
            tasks.is_empty() && releases.is_empty() && others.is_empty() && !names_caller;
        let stranger = if names_nothing {
            number.or_else(|| unknown_name(&rest))
        } else {
            let version = number
                .as_deref()
                .and_then(|number| number.strip_prefix("_ "));
            match (version, &releases[..]) {
                // A name that is known, with a version that is not its own.
                (Some(version), [release])
                    if !release.version.starts_with(version)
                        && tasks.is_empty()
                        && others.is_empty() =>
                {
                    let name = format!("{} {version}", release.name);
                    releases.clear();
                    Some(name)
                }
                _ => None,
            }
        };
        Self {
            stranger,
            names_caller,
            words,
            rest,
            tasks,
            releases,
            others,
            when,
            names_hour,
        }
    }

    /// Whether all words are ordinary ones, but for names: "is bob busy?".
    pub(super) fn is_plain(&self) -> bool {
        let stranger = self.stranger.as_deref().unwrap_or_default();
        let is_name = |word: &str| {
            matches!(word, NAME | OWNS | "@") || stranger.split(' ').any(|part| part == word)
        };
        let words = self.rest.list();
        words.iter().all(|word| is_name(word) || is_ordinary(word))
    }

    /// Whether it is about the caller.
    pub(super) fn is_mine(&self) -> bool {
        self.names_caller || self.rest.any(MINE)
    }

    /// Whether one of these phrases is in what is left.
    pub(super) fn says(&self, phrases: &[&str]) -> bool {
        self.rest.any(phrases)
    }
}

/// The tasks that are named by their titles.
fn named_tasks<'a>(rest: &mut Words, work: &'a Work) -> Vec<&'a TaskFacts> {
    let tasks = work.releases.iter().flat_map(|release| &release.tasks);
    let mut titles: Vec<&str> = tasks.clone().map(|task| task.title.as_str()).collect();
    // A title may begin like another one, or hold a name.
    titles.sort_by_key(|title| (Reverse(title.len()), *title));
    titles.dedup();
    titles.retain(|title| title.chars().count() > 3 && rest.take(title));
    tasks
        .filter(|task| titles.contains(&task.title.as_str()))
        .collect()
}

/// The releases that are named by their whole names.
fn named_releases<'a>(rest: &mut Words, work: &'a Work) -> Vec<&'a ReleaseFacts> {
    let releases = work.releases.iter();
    let mut names: Vec<&str> = releases
        .clone()
        .map(|release| release.name.as_str())
        .collect();
    names.sort_by_key(|name| (Reverse(name.len()), *name));
    names.dedup();
    names.retain(|name| rest.take(name));
    releases
        .filter(|release| names.contains(&release.name.as_str()))
        .collect()
}

/// The people that are named.
fn named_people<'a>(rest: &mut Words, work: &'a Work) -> Vec<&'a str> {
    let tasks = work.releases.iter().flat_map(|release| &release.tasks);
    let mut people: Vec<&str> = tasks.map(|task| task.assignee.as_str()).collect();
    people.sort_unstable();
    people.dedup();
    people.retain(|name| rest.take(name));
    people
}

/// The releases that are named by a part of their names, such as "1.31", or by their
/// version.
fn named_by_part<'a>(
    rest: &mut Words,
    work: &'a Work,
    is_telling: fn(&str) -> bool,
) -> Vec<&'a ReleaseFacts> {
    named_by(rest, work, |release| {
        let version = Some(release.version.as_str()).filter(|version| is_number(version));
        let parts = release.name.split_whitespace().chain(version);
        let telling = parts.filter(|part| is_telling(part) && !is_ordinary(part));
        telling.map(str::to_owned).collect()
    })
}

/// The releases that are named by two words of their names, of which one has a digit, such as
/// "autumn 2026": the second alone could be a time.
fn named_by_pair<'a>(rest: &mut Words, work: &'a Work) -> Vec<&'a ReleaseFacts> {
    named_by(rest, work, |release| {
        let words: Vec<_> = release.name.split_whitespace().collect();
        let pairs = words.windows(2).map(|pair| pair.join(" "));
        pairs
            .filter(|pair| pair.contains(|c: char| c.is_ascii_digit()))
            .collect()
    })
}

/// The releases that are named by one of their `parts`.
fn named_by<'a>(
    rest: &mut Words,
    work: &'a Work,
    parts: impl Fn(&ReleaseFacts) -> Vec<String>,
) -> Vec<&'a ReleaseFacts> {
    let parts: Vec<_> = work.releases.iter().map(parts).collect();
    let mut named: Vec<&String> = parts.iter().flatten().collect();
    named.retain(|part| rest.take(part));
    let releases = work.releases.iter().zip(&parts);
    let meant = releases.filter(|(_, parts)| parts.iter().any(|part| named.contains(&part)));
    meant.map(|(release, _)| release).collect()
}

/// Whether a word is a version: "1.31", "v2".
fn is_number(word: &str) -> bool {
    let digits = word.strip_prefix('v').unwrap_or(word);
    let is_version = digits.len() < word.len() || word.contains('.');
    is_version && digits.starts_with(|c: char| c.is_ascii_digit())
}

/// The version of a release that is not known, with the word before it: "kubernetes 1.30". A
/// word that was a name is [`NAME`].
fn unknown_number(rest: &Words, work: &Work) -> Option<String> {
    let words = rest.list();
    let of_release = |word: &String| {
        let mut one = Words::joined(std::slice::from_ref(word));
        matches!(word.as_str(), "release" | "version" | NAME)
            || !named_by_part(&mut one, work, |_| true).is_empty()
    };
    let at = (0..words.len()).find(|at| {
        let plain = words[*at].chars().all(|c| c.is_ascii_digit());
        is_number(&words[*at]) || (plain && *at > 0 && of_release(&words[at - 1]))
    })?;
    match at.checked_sub(1).map(|before| &words[before]) {
        Some(before) if !is_ordinary(before) => Some(format!("{before} {}", words[at])),
        _ => Some(words[at].clone()),
    }
}

/// A word that stands where a name would, and is no ordinary word.
fn unknown_name(rest: &Words) -> Option<String> {
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
        if can_be_name && (is_marked || is_placed) && !is_ordinary(word) {
            return Some(word.to_owned());
        }
        if !ARTICLES.contains(&word) {
            is_assigned = matches!(before, "assigned" | "belong" | "belongs" | "given");
            before = word;
        }
    }
    None
}
