//! What a change did to each field.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A field before and after a change, by its name in the API. Texts are complete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FieldChange {
    /// The name of the field.
    pub field: String,
    /// Its value before; `null` if it had none.
    pub from: Value,
    /// Its value after; `null` if it has none.
    pub to: Value,
}

impl FieldChange {
    /// The changes of the fields `names` between two states of one thing, as JSON objects.
    ///
    /// # Errors
    /// If a state cannot be written as JSON.
    pub fn between(
        names: &[&str],
        before: &impl Serialize,
        after: &impl Serialize,
    ) -> serde_json::Result<Vec<Self>> {
        let (before, after) = (serde_json::to_value(before)?, serde_json::to_value(after)?);
        let change = |name: &&str| Self {
            field: (*name).to_owned(),
            from: before[*name].clone(),
            to: after[*name].clone(),
        };
        Ok(names.iter().map(change).collect())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_field_that_is_absent_has_no_value() {
        let (before, after) = (json!({"a": 1, "b": "x"}), json!({"a": 2, "c": []}));
        let changes = FieldChange::between(&["a", "b", "c"], &before, &after).unwrap();
        let changes = serde_json::to_value(changes).unwrap();
        assert_eq!(
            changes,
            json!([
                {"field": "a", "from": 1, "to": 2},
                {"field": "b", "from": "x", "to": null},
                {"field": "c", "from": null, "to": []},
            ])
        );
    }
}
