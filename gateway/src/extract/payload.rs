//! Extractor for JSON bodies.

use axum::extract::{FromRequest, OptionalFromRequest, Request};
use http::{
    HeaderMap, Method,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
};
use http_body::Body as _;
use serde::de::DeserializeOwned;
use slipway_rpc::error::Fault;
use slipway_runtime::json::{Objects, Wrong, rounded_integer};

use crate::{
    app::AppState,
    body::{self, Sender},
    middleware::BodyState,
    problem::Problem,
};

/// A JSON object of the shape `T`; whether unknown fields are refused depends on `T`. The client
/// has the request deadline to send it; a slower client gets a 4xx answer.
///
/// It must come after the extractor that authenticates the sender: a handler without one, or in
/// the wrong order, answers 500 in every test. So on routes that need a token, no body is buffered
/// before the token is verified.
#[derive(Default)]
pub(crate) struct Payload<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<AppState> for Payload<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &AppState) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let sender = parts.extensions.get::<Sender>().copied();
        let sender = sender.ok_or_else(|| Fault::internal("a body of nobody"))?;
        let arrival = parts.extensions.get::<BodyState>();
        let arrival = arrival.ok_or_else(|| Fault::internal("a body that is not wrapped"))?;
        if is_coded(&parts.headers) {
            return Err(Problem::coded_body());
        }
        if !is_json(&parts.method, &parts.headers) {
            return Err(Problem::not_json());
        }
        let body = body::read(body, arrival, app.deadline).await?;
        let text = text(&body)?;
        let payload = read(text)?;
        // Callers of webhooks do not repeat refused requests.
        if sender != Sender::Hook {
            refuse_rounded(text)?;
        }
        Ok(Self(payload))
    }
}

/// For an optional body: a request that announces no body has none.
impl<T: DeserializeOwned> OptionalFromRequest<AppState> for Payload<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &AppState) -> Result<Option<Self>, Problem> {
        if request.body().is_end_stream() {
            return Ok(None);
        }
        let payload = <Self as FromRequest<AppState>>::from_request(request, app).await?;
        Ok(Some(payload))
    }
}

/// Whether the body is compressed, which is not supported.
fn is_coded(headers: &HeaderMap) -> bool {
    let codings = headers.get_all(CONTENT_ENCODING).iter();
    codings
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .any(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity"))
}

/// The media type of RFC 7396. The bodies of changes are such patches: a field that is left out
/// stays as it is, and `null` clears it.
const MERGE_PATCH: &str = "application/merge-patch+json";

fn is_json(method: &Method, headers: &HeaderMap) -> bool {
    let Some(value) = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
    else {
        return false;
    };
    let mut parts = value.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    let is_json = essence.eq_ignore_ascii_case("application/json")
        || (*method == Method::PATCH && essence.eq_ignore_ascii_case(MERGE_PATCH));
    is_json && parts.all(is_utf8_if_charset)
}

/// Whether a parameter of a media type is not a charset, or is the charset UTF-8.
fn is_utf8_if_charset(parameter: &str) -> bool {
    let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
    !name.eq_ignore_ascii_case("charset") || value.trim_matches('"').eq_ignore_ascii_case("utf-8")
}

/// The first bytes of `gzip` and `zstd` data. JSON never begins with them.
const COMPRESSED: [&[u8]; 2] = [&[0x1F, 0x8B], &[0x28, 0xB5, 0x2F, 0xFD]];

/// The text of a body.
fn text(body: &[u8]) -> Result<&str, Problem> {
    // Detects a compressed body without `Content-Encoding`.
    if COMPRESSED.iter().any(|start| body.starts_with(start)) {
        return Err(Problem::coded_body());
    }
    let refused = |what: &str| Problem::malformed_body(format!("The body {what}."));
    if matches!(
        body,
        [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] | [0, ..] | [_, 0, ..]
    ) {
        return Err(refused("must be in UTF-8, not in UTF-16 or UTF-32"));
    }
    let text = str::from_utf8(body);
    let text = text.map_err(|error| {
        let place = error.valid_up_to();
        refused(&format!("must be in UTF-8, and is not at byte {place}"))
    })?;
    match text.starts_with('\u{feff}') {
        true => Err(refused(
            "must begin with its JSON, not with a byte order mark",
        )),
        false => Ok(text),
    }
}

fn read<T: DeserializeOwned>(text: &str) -> Result<T, Problem> {
    // The API only takes objects; this gives a clearer message than the deserializer.
    if !text.trim_ascii_start().starts_with('{') {
        return Err(Problem::malformed_body(
            "The body must be a JSON object.".to_owned(),
        ));
    }
    let mut json = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(Objects(&mut json))
        .map_err(|error| refusal(&error.path().to_string(), error.inner()))?;
    json.end().map_err(|error| refusal("", &error))?;
    Ok(value)
}

/// Refuses numbers that would be rounded: values that are passed on unchanged, such as the data of
/// an event, must arrive as they were sent.
fn refuse_rounded(text: &str) -> Result<(), Problem> {
    let Some((line, column)) = rounded_integer(text) else {
        return Ok(());
    };
    Err(Problem::malformed_body(format!(
        "The body has a whole number of more than 64 bits, which would be rounded (line {line}, \
         column {column}). Send it as a string."
    )))
}

fn refusal(path: &str, error: &serde_json::Error) -> Problem {
    match Wrong::json(path, error) {
        Wrong::Field { field, message } => {
            let field = if field.is_empty() { "body" } else { &field };
            Fault::invalid_field(field, message).into()
        }
        Wrong::Text(what) => {
            Problem::malformed_body(format!("The body is not valid JSON: {what}."))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use serde::Deserialize;

    use super::*;
    use slipway_runtime::json::whole;

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Sample {
        #[expect(dead_code, reason = "only read from JSON")]
        name: String,
        #[serde(default)]
        #[expect(dead_code, reason = "only read from JSON")]
        parts: Vec<Part>,
        #[serde(default)]
        #[expect(dead_code, reason = "only read from JSON")]
        data: serde_json::Map<String, serde_json::Value>,
    }

    /// A payload of a program that may add fields in new versions.
    #[derive(Debug, Deserialize)]
    struct Loose {
        #[expect(dead_code, reason = "only read from JSON")]
        labels: std::collections::BTreeMap<String, String>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Part {
        #[expect(dead_code, reason = "only read from JSON")]
        size: i64,
        #[expect(dead_code, reason = "only read from JSON")]
        colour: Option<Colour>,
        #[serde(default, deserialize_with = "whole::<7, _>")]
        place: Option<i64>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "UPPERCASE")]
    enum Colour {
        Red,
        Blue,
    }

    fn error_text(body: &[u8]) -> String {
        let read = text(body).and_then(read::<Sample>);
        format!("{:?}", read.unwrap_err())
    }

    #[track_caller]
    fn refuses(body: &str, field: &str, message: &str) {
        let text = error_text(body.as_bytes());
        let expected = format!("FieldError {{ field: {field:?}, message: {message:?} }}");
        assert!(text.contains(&expected), "{body}: {text}");
    }

    #[test]
    fn errors_name_the_field() {
        refuses("{}", "name", "is required");
        refuses(r#"{"name": 7}"#, "name", "must be a string");
        refuses(
            r#"{"name": "a", "nmae": {}}"#,
            "nmae",
            "is not known here (did you mean name?)",
        );
        refuses(r#"{"name": "a", "xyz": {}}"#, "xyz", "is not known here");
        refuses(
            r#"{"name": "a", "name": "b"}"#,
            "name",
            "is given more than once",
        );
        refuses(r#"{"name": "a", "parts": 3}"#, "parts", "must be an array");
        refuses(
            r#"{"name": "a", "parts": [{}]}"#,
            "parts[0].size",
            "is required",
        );
        refuses(
            r#"{"name": "a", "parts": [7]}"#,
            "parts[0]",
            "must be an object",
        );
        // An array of the values in order is not an object either.
        refuses(
            r#"{"name": "a", "parts": [[1, "RED"]]}"#,
            "parts[0]",
            "must be an object",
        );
        refuses(
            r#"{"name": "a", "parts": [{"size": 1, "sise": 2}]}"#,
            "parts[0].sise",
            "is not known here (did you mean size?)",
        );
        refuses(
            r#"{"name": "a", "parts": [{"size": "1"}]}"#,
            "parts[0].size",
            "must be a whole number",
        );
        refuses(
            r#"{"name": "a", "parts": [{"size": 1, "colour": "GREEN"}]}"#,
            "parts[0].colour",
            "must be RED or BLUE",
        );
    }

    #[test]
    fn a_duplicate_name_is_refused_at_any_depth() {
        let twice = "is given more than once";
        refuses(r#"{"name": "a", "\u006eame": "b"}"#, "name", twice);
        refuses(
            r#"{"name": "a", "data": {"x": 1, "x": 1}}"#,
            "data.x",
            twice,
        );
        refuses(
            r#"{"name": "a", "data": {"x": [{}, {"y": {"z": 1, "": 2, "z": 3}}]}}"#,
            "data.x[1].y.z",
            twice,
        );
        refuses(
            r#"{"name": "a", "parts": [{"size": 1, "size": 1}]}"#,
            "parts[0].size",
            twice,
        );
        for body in [
            r#"{"labels": {"a": "1", "a": "2"}}"#,
            r#"{"labels": {}, "unknown": [{"a": 1, "a": 2}]}"#,
            r#"{"labels": {}, "unknown": 1, "unknown": 2}"#,
        ] {
            let text = format!("{:?}", read::<Loose>(body).unwrap_err());
            assert!(text.contains(twice), "{text}");
        }
        read::<Loose>(r#"{"labels": {"a": "1", "b": "1"}, "unknown": [{"a": 1}, {"a": 1}]}"#)
            .unwrap();
    }

    #[test]
    fn an_enum_is_a_name() {
        for colour in [
            "{\"RED\": null}",
            "{\"RED\": {}}",
            "[\"RED\"]",
            "0",
            "{}",
            "true",
        ] {
            let body = format!(r#"{{"name": "a", "parts": [{{"size": 1, "colour": {colour}}}]}}"#);
            refuses(&body, "parts[0].colour", "must be RED or BLUE");
        }
        for colour in ["\"RED\"", "null"] {
            let body = format!(r#"{{"name": "a", "parts": [{{"size": 1, "colour": {colour}}}]}}"#);
            read::<Sample>(&body).unwrap();
        }
    }

    #[test]
    fn a_whole_number_has_bounds_and_one_spelling() {
        let part = |place| format!(r#"{{"size": 1, "place": {place}}}"#);
        for wrong in ["1.0", "1e3", "9223372036854775808", "1e30", "1.5", "\"1\""] {
            let body = format!(r#"{{"name": "a", "parts": [{}]}}"#, part(wrong));
            let message = "must be a whole number from 0 to 7, without a point or an exponent";
            refuses(&body, "parts[0].place", message);
        }
        // The service refuses what is out of bounds, together with everything else.
        for (right, read_as) in [
            ("7", Some(7)),
            ("-1", Some(-1)),
            ("8", Some(8)),
            ("null", None),
        ] {
            assert_eq!(read::<Part>(&part(right)).unwrap().place, read_as);
        }
    }

    #[test]
    fn a_body_that_is_not_a_json_object_is_malformed() {
        let deep = format!("{{\"name\": {}", "[".repeat(100_000));
        let bodies: [&[u8]; 7] = [
            b"",
            b"  ",
            b"[\"a\"]",
            b"{\"name\": \"a\"",
            b"{\"name\": \"a\"} x",
            b"{\"name\": \"\xff\"}",
            deep.as_bytes(),
        ];
        for body in bodies {
            let text = error_text(body);
            assert!(text.contains("status: 400"), "{text}");
        }
    }

    #[test]
    fn a_body_that_is_not_plain_utf_8_gets_a_specific_message() {
        let json = r#"{"name": "a"}"#;
        let utf_16 = |unit: fn(u16) -> [u8; 2]| json.encode_utf16().flat_map(unit).collect();
        let marked = |mark: &[u8], text: Vec<u8>| [mark, &text].concat();
        let le: Vec<u8> = utf_16(u16::to_le_bytes);
        let be: Vec<u8> = utf_16(u16::to_be_bytes);
        for body in [
            marked(b"\xff\xfe", le.clone()),
            marked(b"\xfe\xff", be.clone()),
            le,
            be,
        ] {
            let text = error_text(&body);
            assert!(text.contains("must be in UTF-8, not in UTF-16"), "{text}");
        }
        let mark = error_text(&marked(b"\xef\xbb\xbf", json.into()));
        assert!(mark.contains("byte order mark"), "{mark}");
        let latin_1 = error_text(b"{\"name\": \"\xe4\"}");
        assert!(latin_1.contains("is not at byte 10"), "{latin_1}");
    }

    #[test]
    fn a_whole_number_that_would_be_rounded_is_refused() {
        refuse_rounded(r#"{"name": "a", "data": {"x": 18446744073709551615}}"#).unwrap();
        let refused = refuse_rounded(r#"{"data": {"x": 18446744073709551616}}"#).unwrap_err();
        let text = format!("{refused:?}");
        assert!(
            text.contains("more than 64 bits") && text.contains("column 16"),
            "{text}"
        );
    }
}
