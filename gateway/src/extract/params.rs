//! Extractors for the id or name in the path, and for the query.

use std::{borrow::Cow, collections::BTreeMap};

use axum::extract::{FromRequestParts, Path};
use http::request::Parts;
use serde::{
    Deserializer,
    de::{
        DeserializeOwned, IntoDeserializer, Visitor,
        value::{self, MapDeserializer, SeqDeserializer},
    },
};
use slipway_rpc::error::Fault;
use slipway_runtime::json::{Wrong, refused};

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

/// The name in the path: any text; the service validates it.
pub(crate) struct PathName(pub(crate) String);

impl FromRequestParts<AppState> for PathName {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Problem> {
        let text = Path::<String>::from_request_parts(parts, app).await;
        Ok(Self(text.map(|Path(text)| text).unwrap_or_default()))
    }
}

/// The query. A parameter may be given several times if it is a list.
pub(crate) struct Params<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequestParts<AppState> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, Problem> {
        Ok(Self(read(pairs(parts))?))
    }
}

/// The query of a list: its own parameters, and the paging parameters of every list.
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

type Pairs<'a> = BTreeMap<Cow<'a, str>, Values<'a>>;

fn pairs(parts: &Parts) -> Pairs<'_> {
    let mut pairs = Pairs::new();
    let query = parts.uri.query().unwrap_or_default();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        pairs.entry(name).or_default().0.push(value);
    }
    pairs
}

/// The values of a parameter: a list, or one text.
#[derive(Default)]
struct Values<'a>(Vec<Cow<'a, str>>);

impl<'de> IntoDeserializer<'de> for Values<'_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Values<'_> {
    type Error = value::Error;

    fn deserialize_any<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, value::Error> {
        match (self.0.pop(), self.0.is_empty()) {
            (Some(only), true) => visitor.visit_string(only.into_owned()),
            _ => Err(refused("must be given once")),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, value::Error> {
        visitor.visit_seq(SeqDeserializer::new(self.0.into_iter()))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, value::Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, value::Error> {
        visitor.visit_newtype_struct(self)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct tuple tuple_struct map struct enum identifier ignored_any
    }
}

fn read<T: DeserializeOwned>(pairs: Pairs<'_>) -> Result<T, Fault> {
    let pairs = MapDeserializer::<_, value::Error>::new(pairs.into_iter());
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
        q: Option<String>,
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
    fn errors_name_the_parameter() {
        for twice in ["size=1&size=2", "q=a&q=b", "mine=true&mine=true"] {
            let name = twice.split('=').next().unwrap();
            assert_eq!(fault(twice), (name.into(), "must be given once".into()));
        }
        assert_eq!(
            fault("seize=1"),
            (
                "seize".into(),
                "is not known here (did you mean size?)".into()
            )
        );
        assert!(fault("id=7").1.starts_with("must be a UUID"));
        for wrong in [
            "x", "", "-1", "%2B5", "010", "00", "1.0", "1e3", "%205", "٣",
        ] {
            let (_, told) = fault(&format!("size={wrong}"));
            let number = "must be a whole number from 0 to 9223372036854775807, without a sign or \
                          leading zeros";
            assert_eq!(told, number, "{wrong}");
        }
        let zero = sample("size=0").unwrap().size;
        assert_eq!(zero.map(|size| size.0), Some(0));
        assert_eq!(fault("mine=yes").1, "must be true or false");
        let time = "must be a date with a time and an offset (RFC 3339), such as \
            2026-12-01T17:00:00Z";
        for wrong in [
            "",
            "2026-12-01",
            "yesterday",
            "1780000000",
            "2026-13-01T00:00:00Z",
            "2026-12-01%2017:00:00Z",
            "2026-12-01T17:00Z",
            "2026-12-01T17:00:00",
            "2026-12-01T17:00:00%2B24:00",
            "2026-12-01T17:00:00%2B01:60",
            "2026-12-01T17:00:00%2B0100",
            "2026-12-01T17:00:00.5%2B01",
            "2026-12-01T17:00:00Z[UTC]",
            "%2B002026-12-01T17:00:00Z",
        ] {
            assert_eq!(
                fault(&format!("from={wrong}")),
                ("from".into(), time.into())
            );
        }
        for (wrong, expected) in [
            ("9999-12-31T23:59:59Z", "must be at most 9999-12-30"),
            (
                "2026-12-01T17:00:00.1234567890Z",
                "must have at most nine digits",
            ),
        ] {
            let (_, message) = fault(&format!("from={wrong}"));
            assert!(message.starts_with(expected), "{message}");
        }
        let blank = fault("from=2026-12-01T17:00:00+01:00").1;
        assert!(blank.starts_with(time) && blank.ends_with("%2B"), "{blank}");
        for right in ["T17:00:00Z", "t17:00:00.25z", "T17:00:00-23:59"] {
            let right = sample(&format!("from=2026-12-01{right}&mine=true")).unwrap();
            assert!(right.from.is_some() && right.mine == Some(true));
        }
    }
}
