//! What makes one document of another, so that a change says only what it changes.

use mongodb::bson::{Bson, Document as Fields};

/// Paths, with their new values and without any.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Difference {
    pub(super) set: Fields,
    pub(super) unset: Fields,
}

/// What makes `after` of `before`.
pub(super) fn difference(before: Fields, after: Fields) -> Difference {
    let mut difference = Difference::default();
    difference.fields("", before, after);
    difference
}

impl Difference {
    fn fields(&mut self, parent: &str, mut before: Fields, after: Fields) {
        for (name, value) in after {
            let path = path(parent, &name);
            match before.remove(&name) {
                Some(old) => self.value(path, old, value),
                None => drop(self.set.insert(path, value)),
            }
        }
        for (name, _) in before {
            self.unset.insert(path(parent, &name), "");
        }
    }

    fn value(&mut self, path: String, before: Bson, after: Bson) {
        if before == after {
            return;
        }
        match (before, after) {
            (Bson::Document(before), Bson::Document(after))
                if is_addressable(&before) && is_addressable(&after) =>
            {
                self.fields(&path, before, after);
            }
            (Bson::Array(before), Bson::Array(after)) if before.len() == after.len() => {
                for (place, (before, after)) in before.into_iter().zip(after).enumerate() {
                    self.value(format!("{path}.{place}"), before, after);
                }
            }
            (_, after) => drop(self.set.insert(path, after)),
        }
    }
}

fn path(parent: &str, name: &str) -> String {
    match parent {
        "" => name.to_owned(),
        _ => format!("{parent}.{name}"),
    }
}

/// Whether each of its fields can be named in a path.
fn is_addressable(document: &Fields) -> bool {
    document
        .keys()
        .all(|name| !name.is_empty() && !name.contains('.') && !name.starts_with('$'))
}

#[cfg(test)]
mod tests {
    use mongodb::bson::doc;

    use super::*;

    #[test]
    fn only_what_differs_is_said() {
        let before = doc! { "a": 1, "b": { "c": [1, { "d": 2, "e": 3 }], "f": 4 }, "g": [1] };
        let after = doc! { "a": 1, "b": { "c": [1, { "d": 5, "e": 3 }], "h": 6 }, "g": [1, 2] };
        assert_eq!(
            difference(before.clone(), after),
            Difference {
                set: doc! { "b.c.1.d": 5, "b.h": 6, "g": [1, 2] },
                unset: doc! { "b.f": "" },
            }
        );
        assert_eq!(difference(before.clone(), before), Difference::default());
    }

    #[test]
    fn what_no_path_can_name_is_said_whole() {
        let before = doc! { "a": { "b.c": 1 }, "d": { "$e": 1 } };
        let after = doc! { "a": { "b.c": 2 }, "d": { "$e": 2 } };
        let said = difference(before, after.clone());
        assert_eq!((said.set, said.unset), (after, Fields::new()));
    }
}
