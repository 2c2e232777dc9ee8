//! What a password may be when it is set.

use std::{fmt, ops::RangeInclusive};

use slipway_runtime::text::{is_blank, is_invisible, normal};
use unicode_normalization::UnicodeNormalization as _;

/// The most common passwords of 8 characters or more, one a line, in lower case.
const COMMON: &str = include_str!("common_passwords.txt");

/// What a password has at least, in characters; blanks at its ends do not count.
const MIN: usize = *NewPassword::LENGTH.start();

/// A password that is to be set: 8 to 128 characters that can be typed, normalised (NFC).
/// Neither who knows the account's name or address, nor a program with a list and the usual
/// changes, guesses it first. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct NewPassword(String);

impl NewPassword {
    /// How many characters a password has.
    pub const LENGTH: RangeInclusive<usize> = 8..=128;

    /// A password asked for, for an account with this name and this email address.
    ///
    /// # Errors
    /// What is wrong, continuing a sentence that begins with the field's name.
    pub fn new(password: &str, username: &str, email: &str) -> Result<Self, &'static str> {
        let password = normal(password);
        if !password.is_empty() && is_blank(&password) {
            return Err("must not be blank");
        }
        if password.contains(is_untypeable) {
            return Err("must not contain control characters or others that nobody sees");
        }
        let typed = password.trim().chars().filter(|c| !joins(*c)).count();
        if typed < MIN || password.chars().count() > *Self::LENGTH.end() {
            return Err("must have 8 to 128 characters, blanks at the ends not counted");
        }
        let forms = guessed(&password);
        let is_guessed = |text: &str| forms.iter().any(|form| form == text);
        let local_part = email.split('@').next().unwrap_or_default();
        if [username, email, local_part]
            .map(folded)
            .iter()
            .any(|own| is_guessed(own))
        {
            return Err("must not be close to the username or the email address");
        }
        if COMMON.lines().any(is_guessed) {
            return Err("must not be close to one of the most common passwords");
        }
        Ok(Self(password))
    }

    /// The password.
    #[must_use]
    pub fn into_inner(self) -> String {
        self.0
    }
}

impl fmt::Debug for NewPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NewPassword(***)")
    }
}

/// Whether `c` cannot be typed with certainty, on every keyboard on which the password may be
/// needed: nobody sees it, and it is neither a space nor a part of what is seen.
fn is_untypeable(c: char) -> bool {
    let is_space = c.is_whitespace() && !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}');
    is_invisible(c) && !is_space && !joins(c)
}

/// Whether `c` is typed as a part of a visible character: joiners, of Persian and of emoji, and
/// the selectors of a variant.
fn joins(c: char) -> bool {
    matches!(c, '\u{200C}' | '\u{200D}' | '\u{FE00}'..='\u{FE0F}')
}

/// What a program that guesses makes of a password: it without what is no letter or digit
/// at its ends, without digits there as well, and each of these reversed. What is left out
/// counts if it were enough for a password itself.
fn guessed(password: &str) -> Vec<String> {
    let plain = folded(password);
    let bare = plain.trim_matches(|c: char| !c.is_alphanumeric());
    let word = plain.trim_matches(|c: char| !c.is_alphabetic());
    let length = plain.chars().count();
    [&plain, bare, word]
        .into_iter()
        .filter(|form| !form.is_empty() && length - form.chars().count() < MIN)
        .flat_map(|form| [form.to_owned(), form.chars().rev().collect()])
        .collect()
}

/// The form in which texts are alike to who guesses: capital letters, wide ones, and blanks
/// around them make no difference.
fn folded(text: &str) -> String {
    let plain: String = text.nfkc().collect();
    plain.trim_matches(is_invisible).to_lowercase()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refused(password: &str) -> &'static str {
        NewPassword::new(password, "Ada.Lovelace", "countess@example.com").unwrap_err()
    }

    #[test]
    fn a_password_has_8_to_128_characters_as_it_is_kept() {
        let new = |password: &str| NewPassword::new(password, "ada", "ada@example.com");
        assert!(new("correct horse battery staple").is_ok());
        assert!(new(&"ä".repeat(8)).is_ok());
        assert!(new(&"a\u{308}".repeat(128)).is_ok());
        assert!(new(&"x".repeat(129)).is_err());
        // Eight characters as typed, seven as kept.
        assert!(new("a\u{308}b4c6d8").is_err());
        // Seven, and what nobody would count.
        assert!(new(" a2c4e6g ").is_err());
        assert!(new("a2c4e6g\u{200d}").is_err());
    }

    #[test]
    fn what_cannot_be_typed_again_is_refused() {
        for hidden in [
            "a password\n",
            "a\tpassword",
            "a pass\u{7f}word",
            "a pass\0word",
            "a pass\u{200b}word",
            "a pass\u{ad}word",
            "\u{feff}a long word",
            "a\u{2060}b\u{2060}c\u{2060}d\u{2060}",
            "a \u{202e}password",
            "a pass\u{2028}word",
            "a pass\u{3164}word",
            "a pass\u{e0061}word",
        ] {
            assert_eq!(
                refused(hidden),
                "must not contain control characters or others that nobody sees",
                "{hidden:?}"
            );
        }
        for typed in [
            "mot de\u{a0}passe",
            "می\u{200c}خواهم ۱۲۳",
            "❤\u{fe0f} and 👩\u{200d}🚀, you",
        ] {
            assert!(NewPassword::new(typed, "ada", "ada@example.com").is_ok());
        }
    }

    #[test]
    fn what_is_guessed_first_is_refused() {
        for common in [
            "password",
            "PassWord",
            "12345678",
            "qwertyuiop",
            "ILOVEYOU",
            "  password ",
            "12345678\u{3000}",
            "ｐａｓｓｗｏｒｄ",
            "１２３４５６７８",
            "drowssap",
            "Drowssap1!",
            "!!password!!",
            "password 2031",
            "2024sunshine?",
        ] {
            assert_eq!(
                refused(common),
                "must not be close to one of the most common passwords",
                "{common}"
            );
        }
        for own in [
            "ada.lovelace",
            "ADA.LOVELACE",
            " ada.lovelace",
            "countess",
            "Countess@Example.com",
            "ecalevol.ada",
            "Countess1852!",
        ] {
            assert_eq!(
                refused(own),
                "must not be close to the username or the email address",
                "{own}"
            );
        }
        assert_eq!(refused("        "), "must not be blank");
        for blank in [
            "\u{3000}\u{a0}      ",
            "\u{200b}\u{feff}\u{3164}\u{ad}\u{2800}\u{2028}  ",
        ] {
            assert_eq!(refused(blank), "must not be blank", "{blank:?}");
        }
        for more in [
            "password is what it is not",
            "sunshine 83649127",
            "no countess, no engine",
        ] {
            assert!(NewPassword::new(more, "ada", "countess@example.com").is_ok());
        }
    }

    #[test]
    fn the_list_holds_what_a_password_can_be() {
        for common in COMMON.lines() {
            assert!(common.chars().count() >= 8, "{common}");
            assert_eq!(common, common.trim().to_lowercase());
            assert_eq!(
                refused(common),
                "must not be close to one of the most common passwords"
            );
        }
    }

    proptest! {
        #[test]
        fn a_password_that_may_be_set_is_kept_in_its_normal_form(text in "\\PC{8,128}") {
            if let Ok(password) = NewPassword::new(&text, "ada", "ada@example.com") {
                prop_assert_eq!(normal(&password.0), password.0.clone());
                prop_assert_eq!(password.into_inner(), normal(&text));
            }
        }
    }
}
