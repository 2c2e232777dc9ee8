//! The words of a question.

use super::vocabulary::is_ordinary;

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

/// Words in lower case, separated by single spaces. The "@" before a name and the "'s" behind it
/// are words of their own.
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

    pub(super) fn joined(words: &[String]) -> Self {
        Self(format!(" {} ", words.join(" ")))
    }

    pub(super) fn list(&self) -> Vec<String> {
        self.0.split_whitespace().map(str::to_owned).collect()
    }

    /// Whether they contain one of these: a word, or several in this order. One that ends with `*`
    /// is the beginning of a word.
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

    /// Replaces a name, in any spelling of [`Words::of`], by [`NAME`]; returns whether it was
    /// found. A name that is an ordinary word counts only with a mark: "@next", "next's", "for
    /// next", "does next".
    pub(super) fn take(&mut self, name: &str) -> bool {
        let name = Self::of(name).0;
        let name = name.trim();
        if name.is_empty() {
            return false;
        }
        let marked = [
            format!("@ {name} {OWNS}"),
            format!("@ {name}"),
            format!("{name} {OWNS}"),
            format!("for {name}"),
            format!("does {name}"),
        ];
        let plain = [name.to_owned(), format!("{name}s")];
        let is_marked_only = !name.contains(' ') && is_ordinary(name);
        let forms = match is_marked_only {
            true => &marked[..],
            false => &[&marked[..3], &plain[..]].concat()[..],
        };
        let mut found = false;
        for form in forms {
            let form = format!(" {form} ");
            // Repeated, because two neighbours share a space.
            while self.0.contains(&form) {
                self.0 = self.0.replace(&form, &format!(" {NAME} "));
                found = true;
            }
        }
        found
    }

    pub(super) fn without(&self, phrases: &[&str]) -> Self {
        let mut rest = self.0.clone();
        for phrase in phrases {
            rest = rest.replace(&format!(" {phrase} "), " ");
        }
        Self(rest)
    }
}
