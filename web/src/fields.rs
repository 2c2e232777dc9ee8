//! Fields of a form or a query.

use form_urlencoded::{Serializer, byte_serialize, parse};

/// The most fields of a form; the largest form of a page has some dozens.
const MOST: usize = 1_000;

/// The fields that people write into, and what they are called. All others are chosen, or only for
/// this program.
const WRITTEN: [(&str, &str); 24] = [
    ("name", "Name"),
    ("version", "Version"),
    ("title", "Title"),
    ("owner", "Owner"),
    ("order", "Place in the order"),
    ("description", "Description"),
    ("rows", "Tasks"),
    ("due", "Due"),
    ("reminder", "Reminder"),
    ("tags", "Tags"),
    ("rule", "Recurrence"),
    ("zone", "Time zone"),
    ("start", "Quiet from"),
    ("end", "Quiet until"),
    ("quiet_zone", "Time zone of the quiet hours"),
    ("reason", "Reason"),
    ("content", "Text"),
    ("subject", "Subject"),
    ("text", "Plain text"),
    ("html", "HTML"),
    ("sample", "Sample"),
    ("payload", "Payload"),
    ("username", "Username"),
    ("email", "Email address"),
];

/// What a field is called, if people write into it.
pub(crate) fn label(name: &str) -> Option<&'static str> {
    let found = WRITTEN.iter().find(|(written, _)| *written == name);
    found.map(|(_, label)| *label)
}

/// Names and values, in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fields(Vec<(String, String)>);

impl Fields {
    /// Reads `application/x-www-form-urlencoded`. Line breaks become single characters: browsers
    /// send two.
    pub(crate) fn parse(text: &[u8]) -> Self {
        let fields = parse(text).map(|(name, value)| {
            let value = value.replace("\r\n", "\n");
            (name.into_owned(), value)
        });
        Self(fields.take(MOST + 1).collect())
    }

    /// Whether there were more fields than a form can have. Then the last ones are missing.
    pub(crate) fn are_too_many(&self) -> bool {
        self.0.len() > MOST
    }

    /// Bytes that they have in a form.
    pub(crate) fn encoded_len(&self) -> usize {
        let texts = self.iter().flat_map(|(name, value)| [name, value]);
        let encoded =
            texts.map(|text| byte_serialize(text.as_bytes()).map(str::len).sum::<usize>());
        encoded.sum()
    }

    /// The value of a field; empty if there is none.
    pub(crate) fn get(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(field, _)| field == name);
        found.map_or("", |(_, value)| value)
    }

    /// The same; `None` if it is empty.
    pub(crate) fn filled(&self, name: &str) -> Option<&str> {
        Some(self.get(name)).filter(|value| !value.is_empty())
    }

    /// All values of a field.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let found = self.iter().filter(move |(field, _)| *field == name);
        found.map(|(_, value)| value)
    }

    /// All fields.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// The fields as a query, with another value of `name`; empty values are left out.
    pub(crate) fn with(&self, name: &str, value: &str) -> String {
        let kept = self.iter().filter(|(field, _)| *field != name);
        let pairs = kept.chain([(name, value)]);
        let pairs = pairs.filter(|(_, value)| !value.is_empty());
        let query = Serializer::new(String::new()).extend_pairs(pairs).finish();
        match query.is_empty() {
            true => query,
            false => format!("?{query}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_as_browsers_send_them() {
        let fields = Fields::parse(b"a=1&b=x+y%0D%0Az%0a&a=2&c=");
        assert_eq!((fields.get("a"), fields.get("b")), ("1", "x y\nz\n"));
        assert_eq!((fields.get("c"), fields.filled("c")), ("", None));
        assert_eq!(fields.get("d"), "");
    }

    #[test]
    fn a_query_is_kept_apart_from_one_field() {
        let fields = Fields::parse(b"type=task.*&cursor=abc&mine=");
        assert_eq!(fields.with("cursor", "d e"), "?type=task.*&cursor=d+e");
        assert_eq!(fields.with("cursor", ""), "?type=task.*");
        assert_eq!(Fields::default().with("cursor", ""), "");
    }
}
