//! What a password may be when it is set.

use std::fmt;

use slipway_runtime::text::{is_blank, normal};
use unicode_normalization::UnicodeNormalization as _;

/// The most common passwords of 8 characters or more, one a line, in lower case.
const COMMON: &str = include_str!("common_passwords.txt");

/// A password that is to be set: 8 to 128 characters, normalised (NFC). Neither its name's
/// nor its address's owner, nor a program with a list, guesses it first. `Debug` does not
/// show it.
#[derive(Clone, PartialEq, Eq)]
pub struct NewPassword(String);

impl NewPassword {
    /// A password asked for, for an account with this name and this email address.
    ///
    /// # Errors
    /// What is wrong, continuing a sentence that begins with the field's name.
    pub fn new(password: &str, username: &str, email: &str) -> Result<Self, &'static str> {
        let password = normal(password);
        if !(8..=128).contains(&password.chars().count()) {
            return Err("must have 8 to 128 characters");
        }
        if password.chars().any(char::is_control) {
            return Err("must not contain control characters such as line breaks");
        }
        if is_blank(&password) {
            return Err("must not be blank");
        }
        let key = guessed(&password);
        let local_part = email.split('@').next().unwrap_or_default();
        if [username, email, local_part].map(guessed).contains(&key) {
            return Err("must not be the username or the email address");
        }
        if COMMON.lines().any(|common| common == key) {
            return Err("must not be one of the most common passwords");
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

/// The form in which passwords are alike to who guesses them: capital letters, wide ones, and
/// blanks around them make no difference.
fn guessed(password: &str) -> String {
    let plain: String = password.nfkc().collect();
    let visible = plain.trim_matches(|c: char| is_blank(c.encode_utf8(&mut [0; 4])));
    visible.to_lowercase()
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
            "\u{200b}12345678\u{3000}",
            "ｐａｓｓｗｏｒｄ",
            "１２３４５６７８",
        ] {
            assert_eq!(
                refused(common),
                "must not be one of the most common passwords",
                "{common}"
            );
        }
        for own in [
            "ada.lovelace",
            "ADA.LOVELACE",
            " ada.lovelace",
            "countess",
            "Countess@Example.com",
        ] {
            assert_eq!(
                refused(own),
                "must not be the username or the email address",
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
        for control in [
            "a password\n",
            "a\tpassword",
            "a pass\u{7f}word",
            "a pass\0word",
        ] {
            assert_eq!(
                refused(control),
                "must not contain control characters such as line breaks"
            );
        }
    }

    #[test]
    fn the_list_holds_what_a_password_can_be() {
        for common in COMMON.lines() {
            assert!(common.chars().count() >= 8, "{common}");
            assert_eq!(common, common.trim().to_lowercase());
            assert_eq!(
                refused(common),
                "must not be one of the most common passwords"
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
