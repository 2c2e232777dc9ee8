//! Checks an edited payload: consumers of the event type must be able to read it.

use slipway_proto::events::EventType;
use slipway_runtime::json::Wrong;

/// Why the payload is not valid for the type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidPayload(String);

/// Checks `payload` against the schema of `event_type`. Without a type, or with one that is not in
/// the catalogue, the payload only has to be JSON.
///
/// # Errors
/// What is wrong, as the end of a sentence whose subject is the payload.
pub fn checked(event_type: Option<&str>, payload: &[u8]) -> Result<(), InvalidPayload> {
    serde_json::from_slice::<serde::de::IgnoredAny>(payload)
        .map_err(|error| InvalidPayload(Wrong::json("", &error).to_string()))?;
    let Some(known) = event_type.and_then(EventType::named) else {
        return Ok(());
    };
    known.read(payload).map(drop).map_err(|error| {
        let (name, major) = (known.name(), known.major());
        let wrong = Wrong::json("", &error);
        InvalidPayload(format!("must fit the schema of {name}/{major}: {wrong}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_must_fit_the_schema_of_its_type() {
        let good = br#"{"releaseId": "0190c2b8-7a5e-7c3f-8f00-000000000001", "name": "r"}"#;
        let refused = checked(Some("release.reopened"), good).unwrap_err();
        let expected = "must fit the schema of release.reopened/1: ";
        assert!(refused.to_string().starts_with(expected), "{refused}");
        assert!(refused.to_string().ends_with(" is required"), "{refused}");
        assert!(checked(Some("release.renamed"), good).is_ok());
        assert!(checked(None, good).is_ok());
        let refused = checked(None, b"{").unwrap_err().to_string();
        assert_eq!(
            refused,
            "is not valid JSON: it ends too early (line 1, column 1)"
        );
    }
}
