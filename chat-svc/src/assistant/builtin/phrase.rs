//! The words of a question.

use super::{
    span,
    vocabulary::{is_ordinary, tells_topic},
};

/// Replaces a name that was found.
pub(super) const NAME: &str = "_";

/// Follows a name in the possessive: "grace's".
pub(super) const OWNS: &str = "'s";

/// Words whose `'s` is short for "is" or "has": they are not names in the possessive.
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

/// Words before a name that is an ordinary word.
const BEFORE_ORDINARY: &[&str] = &[
    "for",
    "does",
    "in",
    "of",
    "about",
    "release",
    "called",
    "named",
    "owns",
    "far is",
    "works on",
    "working on",
];

/// Words in front of a name that is an ordinary word, if one of [`BEHIND_ORDINARY`] comes behind it:
/// "when is ship due?".
const AROUND_ORDINARY: &[&str] = &["is", "was", "will", "has", "can"];

/// See [`AROUND_ORDINARY`].
const BEHIND_ORDINARY: &[&str] = &[
    "due",
    "overdue",
    "late",
    "delayed",
    "blocked",
    "stuck",
    "waiting",
    "ready",
    "done",
    "completed",
    "finished",
    "started",
    "start",
    "begin",
    "in process",
    "in progress",
    "be completed",
    "be finished",
    "be done",
    "be ready",
    "be started",
    "been completed",
    "been finished",
    "been started",
];

/// Ordinary words that are never names there.
const AFTER_ALL: &[&str] = &[
    "me",
    "mine",
    "us",
    "it",
    "this",
    "that",
    "these",
    "those",
    "them",
    "what",
    "which",
    "who",
    "whom",
    "all",
    "everyone",
    "everybody",
    "anyone",
    "anybody",
    "everything",
    "anything",
    "something",
    "nothing",
    "nobody",
    "today",
    "tomorrow",
    "yesterday",
    "now",
    "total",
    "order",
    "process",
    "progress",
];

/// Words in lower case, separated by single spaces. The "@" before a name and the "'s" behind it
/// are words of their own.
#[derive(Debug, Clone)]
pub(super) struct Words {
    text: String,
    /// Those that are written like a name.
    marked: Vec<String>,
}

impl Words {
    pub(super) fn of(text: &str) -> Self {
        let mut plain = String::new();
        let mut chars = text.chars().flat_map(char::to_lowercase).peekable();
        while let Some(c) = chars.next() {
            match c {
                '\'' | '’' => plain.push('\''),
                '@' => plain.push_str(" @ "),
                // These join names and numbers: "1.31", "dev-1".
                '.' | '-' | '_' => plain.push(c),
                // "12/03", "10:30".
                '/' | ':'
                    if plain.ends_with(|c: char| c.is_ascii_digit())
                        && chars.peek().is_some_and(char::is_ascii_digit) =>
                {
                    plain.push(c);
                }
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
        Self {
            marked: marked(text),
            ..Self::joined(&words)
        }
    }

    pub(super) fn joined(words: &[String]) -> Self {
        Self {
            text: format!(" {} ", words.join(" ")),
            marked: Vec::new(),
        }
    }

    /// Replaces the words by some of them.
    pub(super) fn keep(&mut self, words: &[String]) {
        self.text = Self::joined(words).text;
    }

    /// Whether this word is written like a name.
    pub(super) fn is_marked(&self, word: &str) -> bool {
        self.marked.iter().any(|marked| marked == word)
    }

    pub(super) fn list(&self) -> Vec<String> {
        self.text.split_whitespace().map(str::to_owned).collect()
    }

    /// Whether they contain one of these: a word, or several in this order. One that ends with `*`
    /// is the beginning of a word.
    pub(super) fn any(&self, phrases: &[&str]) -> bool {
        phrases.iter().any(|phrase| match phrase.strip_suffix('*') {
            Some(stem) => self.text.contains(&format!(" {stem}")),
            None => self.text.contains(&format!(" {phrase} ")),
        })
    }

    /// The first word.
    pub(super) fn first(&self) -> &str {
        self.text.split_whitespace().next().unwrap_or_default()
    }

    /// Replaces a name, in any spelling of [`Words::of`], by [`NAME`]; returns whether it was
    /// found. A name that is an ordinary word counts only alone or with a mark: "@next", "next's",
    /// "“next”", "is Next done", "is next done", "for next". In "6 March" there is no name.
    pub(super) fn take(&mut self, name: &str) -> bool {
        let name = Self::of(name).text;
        let name = name.trim();
        if name.is_empty() || span::is_in_date(&self.list(), name) {
            return false;
        }
        let mut found = false;
        for form in [
            format!("@ {name} {OWNS}"),
            format!("@ {name}"),
            format!("{name} {OWNS}"),
        ] {
            found |= self.replace(&form, NAME);
        }
        if name.contains(' ') || !is_ordinary(name) {
            for form in [name.to_owned(), format!("{name}s")] {
                found |= self.replace(&form, NAME);
            }
            return found;
        }
        if !AFTER_ALL.contains(&name) {
            for before in BEFORE_ORDINARY {
                found |= self.replace(&format!("{before} {name}"), &format!("{before} {NAME}"));
            }
            for before in AROUND_ORDINARY {
                for behind in BEHIND_ORDINARY {
                    let (from, to) = [name, NAME]
                        .map(|n| format!("{before} {n} {behind}"))
                        .into();
                    found |= self.replace(&from, &to);
                }
            }
        }
        if !found && (self.is_marked(name) || self.text.trim() == name) {
            // The last one: "What is next for Next?"
            if let Some(at) = self.text.rfind(&format!(" {name} ")) {
                self.text.replace_range(at + 1..=at + name.len(), NAME);
                found = true;
            }
        }
        found
    }

    /// Replaces all of these words; returns whether there were any.
    fn replace(&mut self, from: &str, to: &str) -> bool {
        let (from, to) = (format!(" {from} "), format!(" {to} "));
        let found = self.text.contains(&from);
        // Repeated, because two neighbours share a space.
        while self.text.contains(&from) {
            self.text = self.text.replace(&from, &to);
        }
        found
    }

    pub(super) fn without(&self, phrases: &[&str]) -> Self {
        let mut text = self.text.clone();
        for phrase in phrases {
            text = text.replace(&format!(" {phrase} "), " ");
        }
        Self {
            text,
            marked: self.marked.clone(),
        }
    }
}

/// The words that are written like a name, in lower case: in quotes, or with a capital letter.
fn marked(text: &str) -> Vec<String> {
    let quotes = ['“', '”', '„', '"', '«', '»', '‘', '’', '\'', '`'];
    let words: Vec<&str> = text.split_whitespace().collect();
    // "What Is Next?" has capital letters for all.
    let mut behind = words.iter().skip(1);
    let is_cased = behind.any(|word| word.starts_with(char::is_lowercase));
    let is_like_name = |at: usize, word: &str| {
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
        let bare = bare.trim_end_matches("'s").trim_end_matches("’s");
        let lower = bare.to_lowercase();
        let is_quoted = word.starts_with(quotes) && word.matches(quotes).count() > 1;
        let is_capital = is_cased && bare.starts_with(char::is_uppercase);
        let is_name = is_quoted || (is_capital && (at > 0 || !tells_topic(&lower)));
        is_name.then_some(lower)
    };
    let words = words.into_iter().enumerate();
    words
        .filter_map(|(at, word)| is_like_name(at, word))
        .collect()
}
