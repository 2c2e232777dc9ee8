//! `docs/data-model.md`: the stored collections. Names, indexes and schema numbers come from their
//! declarations. What those do not know is in `described`, and is compared with stored documents.

mod described;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use jiff::Timestamp;
use serde_json::Value;
use slipway::{collections, config};
use slipway_store::{BY_ID, Collection, IndexKind};
use uuid::Uuid;

use self::described::{COLLECTIONS, Described, Mark, REFERENCES, Reference, Type};
use super::{introduction, is_up_to_date};
use crate::journey;

const PAGE: &str = "docs/data-model.md";

#[test]
fn the_data_model_is_the_one_of_the_declarations() {
    let mut page = introduction(PAGE) + "\n## References\n\n```mermaid\nerDiagram\n";
    for reference in REFERENCES {
        page += &line(reference, |(service, collection)| {
            format!("{}_{collection}", short(service))
        });
    }
    page += "```\n";
    for (service, schema) in collections::ALL {
        write!(page, "\n## {service}\n\n```mermaid\nerDiagram\n").unwrap();
        for collection in *schema {
            page += &entity(described((service, collection.name)));
        }
        let is_within = |reference: &&Reference| reference.services() == [*service; 2];
        for reference in REFERENCES.iter().filter(is_within) {
            page += &line(reference, |(_, collection)| collection.to_owned());
        }
        page += "```\n";
        for collection in *schema {
            page += &section(collection, described((service, collection.name)));
        }
    }
    is_up_to_date(PAGE, &page);
}

/// The name of a service without its ending.
fn short(service: &str) -> &str {
    service.trim_end_matches("-svc")
}

fn described(of: (&str, &str)) -> &'static Described {
    let found = COLLECTIONS.iter().find(|described| described.of == of);
    found.unwrap_or_else(|| panic!("{of:?} is not described"))
}

/// A reference in a diagram.
fn line(reference: &Reference, name: impl Fn((&'static str, &'static str)) -> String) -> String {
    let Reference {
        from, field, to, ..
    } = reference;
    let many = if reference.is_one_to_one() {
        "o|"
    } else {
        "o{"
    };
    let (from, to) = (name(*from), name(*to));
    format!("    {to} ||--{many} {from} : \"{field}\"\n")
}

impl Reference {
    fn services(&self) -> [&'static str; 2] {
        [self.from.0, self.to.0]
    }

    /// Whether each document has at most one other that refers to it: the reference is its id.
    fn is_one_to_one(&self) -> bool {
        let ids = described(self.from).ids();
        ids.len() == 1 && ids[0] == self.field
    }
}

impl Described {
    /// The fields that make up the id.
    fn ids(&self) -> Vec<&'static str> {
        let fields = self.fields.iter().filter(|field| field.2 == Mark::Id);
        fields.map(|field| field.0).collect()
    }

    fn has(&self, path: &str) -> bool {
        self.fields.iter().any(|field| field.0 == path)
    }
}

/// A collection in a diagram.
fn entity(described: &Described) -> String {
    let mut text = format!("    {} {{\n", described.of.1);
    for (path, kind, mark) in described.fields {
        let (kind, name) = (kind.name(), path.replace('.', "_"));
        let refers = REFERENCES
            .iter()
            .any(|reference| reference.from == described.of && reference.field == *path);
        let mut keys = match mark {
            Mark::Id => vec!["PK"],
            Mark::Unique(_) => vec!["UK"],
            Mark::None => Vec::new(),
        };
        keys.extend(refers.then_some("FK"));
        let keys = keys.join(", ");
        let line = format!("        {kind} {name} {keys}");
        writeln!(text, "{}", line.trim_end()).unwrap();
    }
    text + "    }\n"
}

/// What is said about one collection.
fn section(collection: &Collection, described: &Described) -> String {
    let Described {
        what, kept, keys, ..
    } = described;
    let writes = match (collection.has_events, collection.has_receipts) {
        (true, true) => " Writes carry events and receipts.",
        (true, false) => " Writes carry events.",
        (false, true) => " Writes carry receipts.",
        (false, false) => "",
    };
    let (name, schema) = (collection.name, collection.schema);
    let mut text = format!(
        "\n### {name}\n\n{what} Schema {schema}.{writes}\n\nKept: {kept}\n\n\
         | index | kind | key |\n| --- | --- | --- |\n"
    );
    for index in collection.indexes {
        let (name, key) = match index.kind {
            IndexKind::Id => ("id", "the id"),
            _ => (index.name, keys_of(keys, index.name)),
        };
        let kind = match (index.kind, index.has_summaries) {
            (IndexKind::Unique, _) => "unique",
            (IndexKind::Id | IndexKind::List, false) => "list",
            (IndexKind::Id | IndexKind::List, true) => "list with summaries",
            (IndexKind::View, _) => "view",
        };
        writeln!(text, "| `{name}` | {kind} | {key} |").unwrap();
    }
    if collection.indexes.is_empty() {
        text.truncate(text.find("\n\n| index").expect("there is a table"));
        text += "\n\nRead by id only.\n";
    }
    text
}

fn keys_of(keys: &[(&str, &'static str)], index: &str) -> &'static str {
    let found = keys.iter().find(|(name, _)| *name == index);
    found
        .unwrap_or_else(|| panic!("the key of {index} is not described"))
        .1
}

#[test]
fn what_is_described_is_declared() {
    let declared: BTreeMap<_, _> = collections::ALL
        .iter()
        .flat_map(|(service, schema)| schema.iter().map(move |one| ((*service, one.name), one)))
        .collect();
    assert_eq!(declared.len(), COLLECTIONS.len());
    for described in COLLECTIONS {
        let collection = declared[&described.of];
        let named: BTreeSet<_> = described.keys.iter().map(|(index, _)| *index).collect();
        let indexes = collection.indexes.iter().map(|index| index.name);
        let indexes: BTreeSet<_> = indexes.filter(|index| *index != BY_ID.name).collect();
        assert_eq!(named, indexes, "{:?}", described.of);
        for (path, _, mark) in described.fields {
            if let Mark::Unique(unique) = mark {
                let is_it = collection
                    .indexes
                    .iter()
                    .any(|index| index.name == *unique && index.kind == IndexKind::Unique);
                assert!(is_it, "{:?} {path}", described.of);
            }
        }
        let words = described.kept.split('`');
        for key in words.filter(|word| word.starts_with("SLIPWAY_")) {
            assert!(config::ALL.iter().any(|known| known.env() == key), "{key}");
        }
    }
    for reference in REFERENCES {
        assert!(described(reference.from).has(reference.field));
        assert!(described(reference.to).has(reference.of));
    }
}

/// The stored documents of each collection, each with its id.
struct Stored(BTreeMap<(&'static str, &'static str), Vec<(String, Value)>>);

impl Stored {
    fn read(journey: &journey::Journey) -> Self {
        let mut stored = BTreeMap::new();
        for (service, schema) in collections::ALL {
            let file = format!("data/{}.db", short(service));
            let database = rusqlite::Connection::open(journey.data.path().join(file)).unwrap();
            for collection in *schema {
                let query = format!("SELECT id, body FROM {}", collection.name);
                let mut query = database.prepare(&query).unwrap();
                let documents = query.query_map([], |row| {
                    let body: String = row.get(1)?;
                    Ok((row.get(0)?, serde_json::from_str(&body).unwrap()))
                });
                let documents: Result<_, _> = documents.unwrap().collect();
                stored.insert((*service, collection.name), documents.unwrap());
            }
        }
        Self(stored)
    }

    /// The values at this path in all documents of a collection, without nulls.
    fn values(&self, of: (&'static str, &'static str), path: &str) -> Vec<&Value> {
        let documents = self.0[&of].iter();
        documents
            .flat_map(|(_, document)| values(document, path))
            .collect()
    }
}

/// The values at a path of names, of which those of lists end with `[]`; without nulls.
fn values<'a>(document: &'a Value, path: &str) -> Vec<&'a Value> {
    let mut found = vec![document];
    for name in path.split('.') {
        let next = found
            .into_iter()
            .map(|value| &value[name.trim_end_matches("[]")]);
        found = match name.ends_with("[]") {
            true => next.filter_map(Value::as_array).flatten().collect(),
            false => next.collect(),
        };
    }
    found.retain(|value| !value.is_null());
    found
}

impl Type {
    fn fits(self, value: &Value) -> bool {
        let text = value.as_str();
        match self {
            Self::Uuid => text.is_some_and(|text| text.parse::<Uuid>().is_ok()),
            Self::Time => text.is_some_and(|text| text.parse::<Timestamp>().is_ok()),
            Self::Text => text.is_some(),
            Self::Number => value.is_number(),
            Self::Flag => value.is_boolean(),
            Self::Variant => text.is_some() || value.is_object(),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Uuid => "uuid",
            Self::Time => "time",
            Self::Text => "text",
            Self::Number => "number",
            Self::Flag => "flag",
            Self::Variant => "variant",
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_described_is_stored() {
    let stored = Stored::read(&journey::make("info").await);
    let mut wrong = Vec::new();
    for described in COLLECTIONS {
        for (path, kind, _) in described.fields {
            let values = stored.values(described.of, path);
            if values.is_empty() || !values.iter().all(|value| kind.fits(value)) {
                wrong.push(format!("{:?} {path}: {values:?}", described.of));
            }
        }
        if let [path] = described.ids()[..] {
            let is_id = |(id, document): &(String, Value)| {
                values(document, path).iter().all(|value| match value {
                    Value::Number(number) => id.parse::<u64>().ok() == number.as_u64(),
                    value => value.as_str() == Some(id.as_str()),
                })
            };
            if !stored.0[&described.of].iter().all(is_id) {
                wrong.push(format!("{:?}: {path} is not its id", described.of));
            }
        }
    }
    for reference in REFERENCES {
        let known = stored.values(reference.to, reference.of);
        let values = stored.values(reference.from, reference.field);
        if !values.iter().any(|value| known.contains(value)) {
            wrong.push(format!(
                "{:?} {}: none of {values:?} is among {known:?}",
                reference.from, reference.field
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
