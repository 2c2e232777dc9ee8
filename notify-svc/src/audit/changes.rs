//! What a change did to fields, from the event: events about edits say it, and others always do the
//! same.

use serde_json::{Value, json};
use slipway_proto::events::{EventData, FieldChange};

use super::Entry;

/// The fields that a change affected, before and after. Empty for what creates or deletes
/// something: then the data has all fields.
#[must_use]
pub fn of(entry: &Entry) -> Vec<FieldChange> {
    use EventData as E;
    let major = entry.schema.rsplit_once('/');
    let major = major.and_then(|(_, major)| major.parse().ok());
    let Ok(data) = EventData::read(&entry.event_type, major, entry.data.as_bytes()) else {
        return Vec::new();
    };
    match data {
        E::TaskUpdated(e) => e.changes,
        E::ReleaseUpdated(e) => e.changes,
        E::TemplateUpdated(e) => e.changes,
        E::TemplateDeleted(e) => e.changes,
        E::DeadLetterReplayed(e) => e.changes,
        E::UserRoleChanged(e) => e.changes,
        E::UserDisabled(_) => vec![change("disabled", json!(false), json!(true))],
        E::UserEnabled(_) => vec![change("disabled", json!(true), json!(false))],
        E::TaskStarted(e) => vec![
            change("status", json!("TODO"), json!("IN_PROCESS")),
            change("startedAt", Value::Null, json!(e.task.started_at)),
        ],
        E::TaskPaused(_) => vec![change("status", json!("IN_PROCESS"), json!("TODO"))],
        E::CommentEdited(e) => {
            vec![change(
                "excerpt",
                json!(e.previous_excerpt),
                json!(e.excerpt),
            )]
        }
        E::TaskCompleted(e) => vec![
            change("status", json!("IN_PROCESS"), json!("COMPLETED")),
            change("completedAt", Value::Null, json!(e.task.completed_at)),
        ],
        E::ReleaseCompleted(e) => vec![
            change("status", json!("OPEN"), json!("COMPLETED")),
            change("completedAt", Value::Null, json!(e.completed_at)),
        ],
        E::ReleaseReopened(e) => vec![
            change("status", json!("COMPLETED"), json!("OPEN")),
            change(
                "reopenedCount",
                json!(e.reopened_count.saturating_sub(1)),
                json!(e.reopened_count),
            ),
        ],
        // They create or delete something, or report what another change led to.
        E::UserRegistered(_)
        | E::SessionEnded(_)
        | E::TokenCreated(_)
        | E::TokenRevoked(_)
        | E::PasswordChanged(_)
        | E::PasswordResetRequested(_)
        | E::UserInvited(_)
        | E::ReleaseCreated(_)
        | E::ReleaseReady(_)
        | E::ReleaseDeleted(_)
        | E::TaskCreated(_)
        | E::TaskDeleted(_)
        | E::TaskAssigned(_)
        | E::TaskReady(_)
        | E::HotfixTaskAdded(_)
        | E::StaleTaskDetected(_)
        | E::TaskReminderDue(_)
        | E::TaskRecurrenceEnded(_)
        | E::CommentPosted(_)
        | E::CommentReplied(_)
        | E::CommentDeleted(_) => Vec::new(),
        // Not in the audit trail.
        E::ChatAnswered(_)
        | E::NotificationRequested(_)
        | E::NotificationSent(_)
        | E::NotificationFailed(_)
        | E::SystemError(_) => Vec::new(),
        // A type of a newer version.
        E::Unknown => Vec::new(),
    }
}

fn change(field: &str, from: Value, to: Value) -> FieldChange {
    FieldChange {
        field: field.to_owned(),
        from,
        to,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::chain::tests::entry;

    fn changes(event_type: &str, data: &Value) -> Vec<FieldChange> {
        of(&Entry {
            event_type: event_type.to_owned(),
            schema: format!("{event_type}/1"),
            data: data.to_string(),
            ..entry(1)
        })
    }

    #[test]
    fn a_change_of_state_is_known_by_its_type() {
        let data = json!({
            "releaseId": uuid::Uuid::nil(), "releaseName": "Spring", "version": "", "totalTasks": 1,
            "completedTasks": 1, "reopenedCount": 2,
        });
        assert_eq!(
            changes("release.reopened", &data),
            [
                change("status", json!("COMPLETED"), json!("OPEN")),
                change("reopenedCount", json!(1), json!(2)),
            ]
        );
    }

    #[test]
    fn an_edit_says_what_it_changed() {
        let data = json!({
            "notificationType": "order-placed", "version": 2,
            "changes": [{"field": "subject", "from": "a", "to": null}],
        });
        let expected = [change("subject", json!("a"), Value::Null)];
        assert_eq!(changes("template.updated", &data), expected);
        assert_eq!(changes("template.deleted", &data), expected);
    }

    #[test]
    fn nothing_is_known_of_another_version_or_of_data_that_does_not_fit() {
        assert_eq!(changes("template.updated", &json!({})), []);
        assert_eq!(changes("template.renamed", &json!({})), []);
    }
}
