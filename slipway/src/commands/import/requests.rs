//! The request that creates the release of a plan.

use serde::Serialize;

use slipway_plan::{Plan, PlannedTask};

/// The body of `POST /releases`: the whole plan in one request.
#[derive(Debug, Serialize)]
pub(super) struct NewRelease<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    tasks: &'a [PlannedTask],
    /// Prevents a second release if the same plan is imported concurrently.
    once: bool,
}

impl<'a> NewRelease<'a> {
    /// The request for `plan`.
    pub(super) fn of(plan: &'a Plan, once: bool) -> Self {
        Self {
            name: &plan.name,
            version: plan.version.as_deref(),
            description: plan.description.as_deref(),
            tasks: &plan.tasks,
            once,
        }
    }

    /// Its size in bytes.
    pub(super) fn size(&self) -> usize {
        serde_json::to_vec(self)
            .expect("text, numbers and lists of them can always be written as JSON")
            .len()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn the_body_is_what_the_api_takes() {
        let plan: Plan = serde_json::from_value(json!({
            "name": "R", "version": "1.0",
            "tasks": [{"title": "T", "assignee": "ada", "orderIndex": 10,
                       "dueAt": "2024-05-13T23:00:00Z", "priority": "HIGH", "tags": ["ui"],
                       "remindBeforeMinutes": 60,
                       "recurrence": {"rule": "FREQ=WEEKLY", "timeZone": "Europe/Berlin"}}],
            "hotfix": {"title": "H", "assignee": "bob"},
        }))
        .unwrap();
        let body: Value = serde_json::to_value(NewRelease::of(&plan, true)).unwrap();
        assert_eq!(
            body,
            json!({"name": "R", "version": "1.0",
                   "tasks": [{"title": "T", "assignee": "ada", "orderIndex": 10,
                              "dueAt": "2024-05-13T23:00:00Z", "priority": "HIGH",
                              "tags": ["ui"], "remindBeforeMinutes": 60,
                              "recurrence": {"rule": "FREQ=WEEKLY",
                                             "timeZone": "Europe/Berlin"}}],
                   "once": true})
        );
    }
}
