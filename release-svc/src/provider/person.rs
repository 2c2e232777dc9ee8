//! Who has signed in, as the provider says: a username, an address and a role. Pure.

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use slipway_rpc::access::Role;
use unicode_normalization::{UnicodeNormalization as _, char::is_combining_mark};

use crate::identity::{DisplayName, Email, Username};

/// The name of an account whose provider gives no usable one.
const NAMELESS: &str = "user";

/// Names with a number that are tried before one with random letters.
const NUMBERED: usize = 9;

/// Claims about a user.
pub type Claims = Map<String, Value>;

/// The user of a provider: unique, and never given to somebody else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// The provider.
    pub issuer: String,
    /// The name that it has for the user, which people do not see.
    pub subject: String,
}

impl Subject {
    /// The text by which two are compared: a URL has no blank.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{} {}", self.issuer, self.subject)
    }
}

/// A user whose identity a provider has proven.
#[derive(Debug, Clone)]
pub struct Person {
    /// Identifies the user.
    pub subject: Subject,
    /// What the provider says about the user.
    pub claims: Claims,
}

impl Person {
    /// The email address of a new account. Whether the provider has verified it does not matter: it
    /// never decides about an account.
    #[must_use]
    pub fn email(&self) -> Option<Email> {
        Email::new(self.text("email")?).ok()
    }

    /// The email address, if the provider says that it is the user's.
    #[must_use]
    pub fn verified_email(&self) -> Option<Email> {
        // Some providers send a text.
        let is_verified = match self.claims.get("email_verified")? {
            Value::Bool(is_verified) => *is_verified,
            Value::String(text) => text == "true",
            _ => false,
        };
        self.email().filter(|_| is_verified)
    }

    /// The name that people see, if the provider has one.
    #[must_use]
    pub fn display_name(&self) -> Option<DisplayName> {
        DisplayName::new(self.text("name")?).ok().flatten()
    }

    /// The first username to try.
    #[must_use]
    pub fn username(&self) -> String {
        let claims = ["preferred_username", "nickname", "email", "name"];
        let names = claims.iter().filter_map(|claim| self.text(claim));
        names
            .map(plain_name)
            .find(|name| !name.is_empty())
            .unwrap_or_else(|| NAMELESS.to_owned())
    }

    fn text(&self, claim: &str) -> Option<&str> {
        self.claims.get(claim)?.as_str()
    }
}

/// The letters, digits and signs of a name that a username may have, without the domain of an
/// address. Accents are removed, blanks become dots.
fn plain_name(name: &str) -> String {
    let local = match name.rsplit_once('@') {
        Some((local, _)) => local,
        None => name,
    };
    let mut plain = String::new();
    for c in local.nfkd().filter(|c| !is_combining_mark(*c)) {
        match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '_' | '-' => plain.push(c),
            _ if c.is_whitespace() => plain.push('.'),
            _ => {}
        }
    }
    cut(&plain, *Username::LENGTH.end()).to_owned()
}

/// At most `longest` characters of a name, of which the first and the last are letters or digits.
fn cut(name: &str, longest: usize) -> &str {
    let is_sign = |c: char| !c.is_ascii_alphanumeric();
    let name = name.trim_matches(is_sign);
    name[..name.len().min(longest)].trim_end_matches(is_sign)
}

/// The username to try after `taken` others were taken or refused.
#[must_use]
pub fn candidate(wanted: &str, taken: usize) -> Option<Username> {
    let suffix = match taken {
        0 => String::new(),
        1..NUMBERED => format!("-{}", taken + 1),
        _ => format!("-{:08x}", rand::random::<u32>()),
    };
    let room = Username::LENGTH.end() - suffix.len();
    let name = format!("{}{suffix}", cut(wanted, room));
    let name = match name.len() < *Username::LENGTH.start() {
        true => format!("{NAMELESS}-{name}"),
        false => name,
    };
    Username::new(&name).ok()
}

/// Where a claim is: names of objects, from the outermost to the innermost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimPath(Vec<String>);

/// As `realm_access.roles`, or as a JSON pointer such as `/https:~1~1example.com~1roles`, for names
/// with dots.
impl FromStr for ClaimPath {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let parts: Vec<_> = match text.strip_prefix('/') {
            Some(pointer) => {
                let parts = pointer.split('/');
                parts
                    .map(|part| part.replace("~1", "/").replace("~0", "~"))
                    .collect()
            }
            None => text.split('.').map(str::to_owned).collect(),
        };
        match parts.iter().any(String::is_empty) {
            true => Err(()),
            false => Ok(Self(parts)),
        }
    }
}

impl ClaimPath {
    /// The claim, if there is one.
    #[must_use]
    pub fn of<'a>(&self, claims: &'a Claims) -> Option<&'a Value> {
        let (first, rest) = self.0.split_first()?;
        let first = claims.get(first)?;
        rest.iter().try_fold(first, |value, name| value.get(name))
    }
}

/// Which role a user has.
#[derive(Debug, Clone)]
pub struct RoleRule {
    /// The claim that decides: a text, or a list of texts.
    pub claim: ClaimPath,
    /// Whoever has one of these is an admin; everybody else is a developer.
    pub admins: Vec<String>,
}

impl RoleRule {
    /// The role of a user with these claims. Without the claim it is the smaller one.
    #[must_use]
    pub fn role(&self, claims: &Claims) -> Role {
        let is_admin = |value: &Value| {
            let text = value.as_str();
            text.is_some_and(|text| self.admins.iter().any(|admin| admin == text))
        };
        let found = match self.claim.of(claims) {
            Some(Value::Array(values)) => values.iter().any(is_admin),
            Some(value) => is_admin(value),
            None => false,
        };
        match found {
            true => Role::Admin,
            false => Role::Developer,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn person(claims: Value) -> Person {
        let Value::Object(claims) = claims else {
            panic!("claims are an object");
        };
        Person {
            subject: Subject {
                issuer: "https://id.example.com".to_owned(),
                subject: "1".to_owned(),
            },
            claims,
        }
    }

    #[test]
    fn a_username_is_made_of_what_the_provider_says() {
        for (claims, wanted) in [
            (json!({"preferred_username": "ada"}), "ada"),
            (json!({"preferred_username": "Ada.L_1-x"}), "Ada.L_1-x"),
            (json!({"preferred_username": "ada@example.com"}), "ada"),
            (json!({"preferred_username": "José Núñez"}), "Jose.Nunez"),
            (json!({"preferred_username": "ÅSA"}), "ASA"),
            (json!({"preferred_username": "CORP\\ada"}), "CORPada"),
            (json!({"preferred_username": "..ada--"}), "ada"),
            (
                json!({"preferred_username": "莉莉", "nickname": "lily"}),
                "lily",
            ),
            (
                json!({"preferred_username": 5, "email": "ada@x.org"}),
                "ada",
            ),
            (json!({"name": "Ada Lovelace"}), "Ada.Lovelace"),
            (json!({"preferred_username": "\u{202e}ada"}), "ada"),
            (json!({}), "user"),
            (json!({"preferred_username": "---"}), "user"),
        ] {
            let username = person(claims.clone()).username();
            assert_eq!(username, wanted, "{claims}");
            assert!(candidate(&username, 0).is_some(), "{claims}");
        }
    }

    #[test]
    fn a_taken_name_gets_a_suffix_and_every_name_is_valid() {
        let names = |wanted: &str, taken| candidate(wanted, taken).map(|name| name.to_string());
        assert_eq!(names("ada", 0).unwrap(), "ada");
        assert_eq!(names("ada", 1).unwrap(), "ada-2");
        assert_eq!(names("ada", 8).unwrap(), "ada-9");
        assert_ne!(names("ada", 9), names("ada", 9));
        assert_eq!(names("al", 0).unwrap(), "user-al");
        // Slipway's own names are refused, with a suffix they are not.
        assert_eq!(names("system", 0), None);
        assert_eq!(names("system", 1).unwrap(), "system-2");
        let long = person(json!({"preferred_username": "x".repeat(300)})).username();
        for taken in 0..12 {
            let name = names(&long, taken).unwrap();
            assert!(name.len() <= 40, "{name}");
        }
        let id = "0190c2b8-7a5e-7c3f-8f00-0000000000aa";
        assert_eq!(names(id, 0), None);
        assert!(names(id, 1).is_some());
    }

    #[test]
    fn an_address_is_taken_only_if_it_is_one() {
        let email = |claims| person(claims).email().map(|email| email.to_string());
        assert_eq!(
            email(json!({"email": "ada@x.org"})).as_deref(),
            Some("ada@x.org")
        );
        for claims in [
            json!({}),
            json!({"email": "ada"}),
            json!({"email": ["a@b"]}),
        ] {
            assert_eq!(email(claims), None);
        }
    }

    #[test]
    fn an_address_is_verified_only_if_the_provider_says_so() {
        let of = |verified: Value| {
            person(json!({"email": "ada@x.org", "email_verified": verified})).verified_email()
        };
        for yes in [json!(true), json!("true")] {
            assert_eq!(of(yes).unwrap().to_string(), "ada@x.org");
        }
        for no in [
            json!(false),
            json!("false"),
            json!(1),
            json!("yes"),
            Value::Null,
        ] {
            assert!(of(no.clone()).is_none(), "{no}");
        }
        assert!(
            person(json!({"email": "ada@x.org"}))
                .verified_email()
                .is_none()
        );
        assert!(
            person(json!({"email_verified": true}))
                .verified_email()
                .is_none()
        );
    }

    #[test]
    fn people_see_the_name_that_the_provider_has() {
        let name = |claims| person(claims).display_name().map(|name| name.to_string());
        let lovelace = json!({"name": "Ada Lovelace"});
        assert_eq!(name(lovelace).as_deref(), Some("Ada Lovelace"));
        for none in [
            json!({}),
            json!({"name": " "}),
            json!({"name": "a\nb"}),
            json!({"name": 5}),
        ] {
            assert_eq!(name(none.clone()), None, "{none}");
        }
    }

    #[test]
    fn a_role_comes_from_the_claim_and_is_the_smaller_one_otherwise() {
        let rule = |path: &str| RoleRule {
            claim: path.parse().unwrap(),
            admins: vec!["slipway-admin".to_owned(), "ops".to_owned()],
        };
        let claims = json!({
            "realm_access": {"roles": ["user", "ops"]},
            "https://example.com/roles": ["slipway-admin"],
            "group": "slipway-admin",
            "many": ["user", 5, null, {"a": "ops"}],
            "text": "slipway-admin,ops",
            "map": {"slipway-admin": true},
        });
        let claims = person(claims).claims;
        for (path, role) in [
            ("realm_access.roles", Role::Admin),
            ("/realm_access/roles", Role::Admin),
            ("/https:~1~1example.com~1roles", Role::Admin),
            ("group", Role::Admin),
            ("many", Role::Developer),
            ("text", Role::Developer),
            ("map", Role::Developer),
            ("realm_access", Role::Developer),
            ("realm_access.roles.0", Role::Developer),
            ("unknown", Role::Developer),
        ] {
            assert_eq!(rule(path).role(&claims), role, "{path}");
        }
        for bad in ["", ".", "a.", "/", "/a//b", "a..b"] {
            assert_eq!(bad.parse::<ClaimPath>(), Err(()), "{bad}");
        }
    }
}
