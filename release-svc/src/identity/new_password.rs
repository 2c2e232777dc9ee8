//! The rules for a new password.

use std::{fmt, ops::RangeInclusive};

use slipway_runtime::text::{is_blank, is_invisible, normal};
use unicode_normalization::UnicodeNormalization as _;

/// The most common passwords of 8 characters or more, one per line, in lower case.
const COMMON: &str = include_str!("common_passwords.txt");

/// Minimum length in characters. Blanks at the ends do not count.
const MIN: usize = *NewPassword::LENGTH.start();

/// A new password: 8 to 128 characters that can be typed, normalised (NFC). It is not close to
/// the account's name or email address, nor to a common password. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct NewPassword(String);

impl NewPassword {
    /// Length in characters.
    pub const LENGTH: RangeInclusive<usize> = 8..=128;

    /// Validates a new password for an account with this name and this email address.
    ///
    /// # Errors
    /// What is wrong, as the end of a sentence that begins with the field's name.
    pub fn new(password: &str, username: &str, email: &str) -> Result<Self, &'static str> {
        let password = normal(password);
        if !password.is_empty() && is_blank(&password) {
            return Err("must not be blank");
        }
        if password.contains(is_untypeable) {
            return Err("must not contain control or invisible characters");
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

/// Whether `c` cannot be typed reliably on every keyboard: it is invisible, and neither a space
/// nor a part of a visible character.
fn is_untypeable(c: char) -> bool {
    let is_space = c.is_whitespace() && !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}');
    is_invisible(c) && !is_space && !joins(c)
}

/// Whether `c` is typed as a part of a visible character: the joiners of Persian and of emoji,
/// and variation selectors.
fn joins(c: char) -> bool {
    matches!(c, '\u{200C}' | '\u{200D}' | '\u{FE00}'..='\u{FE0F}')
}

/// The variants of a password that guessing programs try: the password, the password without
/// symbols at its ends, the password without symbols and digits at its ends, and each of these
/// reversed. A variant that drops [`MIN`] characters or more is left out: the dropped part would
/// be long enough for a password itself.
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

/// The form in which passwords are compared: letter case, full-width letters and blanks at the
/// ends make no difference.
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
    fn a_password_has_8_to_128_characters_in_its_normal_form() {
        let new = |password: &str| NewPassword::new(password, "ada", "ada@example.com");
        assert!(new("correct horse battery staple").is_ok());
        assert!(new(&"ä".repeat(8)).is_ok());
        assert!(new(&"a\u{308}".repeat(128)).is_ok());
        assert!(new(&"x".repeat(129)).is_err());
        // Eight characters as typed, seven in normal form.
        assert!(new("a\u{308}b4c6d8").is_err());
        // Seven characters, and some that do not count.
        assert!(new(" a2c4e6g ").is_err());
        assert!(new("a2c4e6g\u{200d}").is_err());
    }

    #[test]
    fn characters_that_cannot_be_typed_are_refused() {
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
                "must not contain control or invisible characters",
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
    fn passwords_close_to_common_ones_or_to_the_account_are_refused() {
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
    fn the_list_of_common_passwords_is_well_formed() {
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
        fn a_valid_password_is_stored_in_its_normal_form(text in "\\PC{8,128}") {
            if let Ok(password) = NewPassword::new(&text, "ada", "ada@example.com") {
                prop_assert_eq!(normal(&password.0), password.0.clone());
                prop_assert_eq!(password.into_inner(), normal(&text));
            }
        }
    }
}
