//! The path's id and the query.

use std::{borrow::Cow, collections::BTreeMap};

use axum::extract::{FromRequestParts, Path};
use http::request::Parts;
use serde::de::{DeserializeOwned, value::MapDeserializer};
use slipway_rpc::error::Fault;
use slipway_runtime::json::Wrong;

use crate::{
    app::AppState,
    model::{Id, Paging},
    problem::Problem,
};

/// The `{id}` in the path.
pub(crate) struct PathId(pub(crate) Id);

impl FromRequestParts<AppState> for PathId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Problem> {
        let text = Path::<String>::from_request_parts(parts, app).await;
        let text = text.map(|Path(text)| text).unwrap_or_default();
        let id = text
            .parse::<Id>()
            .map_err(|error| Fault::invalid_field("id", error.to_string()))?;
        Ok(Self(id))
    }
}

/// The name in the path: any text, which is the service's to know.
pub(crate) struct PathName(pub(crate) String);

impl FromRequestParts<AppState> for PathName {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Problem> {
        let text = Path::<String>::from_request_parts(parts, app).await;
        Ok(Self(text.map(|Path(text)| text).unwrap_or_default()))
    }
}

/// The query. A parameter that is given several times counts as one with the values
/// joined by commas: a list for those that take one, malformed for the others.
pub(crate) struct Params<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequestParts<AppState> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, Problem> {
        Ok(Self(read(pairs(parts))?))
    }
}

/// The query of a list: its own parameters, and those that every list has.
pub(crate) struct ListParams<T>(pub(crate) T, pub(crate) Paging);

impl<T: DeserializeOwned> FromRequestParts<AppState> for ListParams<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, Problem> {
        let (paging, own) = pairs(parts)
            .into_iter()
            .partition(|(name, _)| Paging::NAMES.contains(&&**name));
        Ok(Self(read(own)?, read(paging)?))
    }
}

type Pairs<'a> = BTreeMap<Cow<'a, str>, String>;

fn pairs(parts: &Parts) -> Pairs<'_> {
    let mut pairs = Pairs::new();
    let query = parts.uri.query().unwrap_or_default();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        pairs
            .entry(name)
            .and_modify(|joined| {
                joined.push(',');
                joined.push_str(&value);
            })
            .or_insert_with(|| value.into_owned());
    }
    pairs
}

fn read<T: DeserializeOwned>(pairs: Pairs<'_>) -> Result<T, Fault> {
    let pairs = MapDeserializer::<_, serde::de::value::Error>::new(pairs.into_iter());
    serde_path_to_error::deserialize(pairs).map_err(|error| {
        match Wrong::value(&error.path().to_string(), &error.inner().to_string()) {
            Wrong::Field { field, message } => Fault::invalid_field(field, message),
            Wrong::Text(what) => Fault::invalid_field("query", what),
        }
    })
}

#[cfg(test)]
mod tests {
    use http::Request;
    use jiff::Timestamp;
    use serde::Deserialize;

    use super::*;
    use crate::{
        extract::{flag, list, parsed, time},
        model::Sequence,
    };

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        #[serde(default, deserialize_with = "parsed")]
        size: Option<Sequence>,
        #[serde(default, deserialize_with = "flag")]
        mine: Option<bool>,
        #[serde(default, deserialize_with = "time")]
        from: Option<Timestamp>,
        #[serde(default, deserialize_with = "list")]
        id: Vec<Id>,
    }

    fn sample(query: &str) -> Result<Sample, Fault> {
        let request = Request::get(format!("/?{query}")).body(()).unwrap();
        read(pairs(&request.into_parts().0))
    }

    fn fault(query: &str) -> (String, String) {
        let field = sample(query).unwrap_err().fields.remove(0);
        (field.field, field.message)
    }

    #[test]
    fn repeated_parameters_are_a_list() {
        let id = "0190c2b8-7a5e-7c3f-8f00-000000000001";
        let expected = vec![id.parse::<Id>().unwrap(); 3];
        assert_eq!(
            sample(&format!("id={id}&id={id},{id}")).unwrap().id,
            expected
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert_eq!(fault("size=1&size=2").0, "size");
        assert_eq!(
            fault("seize=1"),
            ("seize".into(), "is not known here".into())
        );
        assert!(fault("id=7").1.starts_with("must be a UUID"));
        assert!(
            fault("size=x")
                .1
                .starts_with("must be a whole number from 0")
        );
        assert_eq!(fault("mine=yes").1, "must be true or false");
        let time = "must be a date with a time and an offset (RFC 3339), such as \
            2026-12-01T17:00:00Z";
        for wrong in [
            "",
            "2026-12-01",
            "yesterday",
            "1780000000",
            "2026-13-01T00:00:00Z",
        ] {
            assert_eq!(
                fault(&format!("from={wrong}")),
                ("from".into(), time.into())
            );
        }
        let right = sample("from=2026-12-01T17:00:00Z&mine=true").unwrap();
        assert!(right.from.is_some() && right.mine == Some(true));
    }
}
