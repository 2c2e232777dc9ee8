//! What administrators did, from the audit trail: which types of events are their acts, and how each
//! reads.

use serde_json::Value;
use slipway_proto::events::{EventType, UserRef};

use super::{Entry, Kind};
use crate::{
    activity::TypePattern,
    audit::{self, changes},
};

/// What an administrator does in an event of this type; `None` if it is not only theirs to do.
fn verb(event_type: EventType) -> Option<&'static str> {
    use EventType as E;
    Some(match event_type {
        E::UserRegistered => "created the account",
        E::UserInvited => "invited",
        E::PasswordResetRequested => "sent a link for a new password to",
        E::UserDisabled => "disabled the account",
        E::UserEnabled => "enabled the account",
        E::UserRoleChanged => "changed the role of",
        E::ReleaseCreated => "planned the release",
        E::ReleaseUpdated => "changed the release",
        E::ReleaseDeleted => "deleted the release",
        E::ReleaseCompleted => "completed the release",
        E::ReleaseReopened => "reopened the release",
        E::TaskCreated => "added the task",
        E::TaskUpdated => "changed the task",
        E::TaskDeleted => "deleted the task",
        E::HotfixTaskAdded => "added the hotfix",
        E::TemplateUpdated => "changed the template of",
        E::TemplateDeleted => "restored the template of",
        E::DeadLetterReplayed => "replayed the dead letter of",
        // What developers do, what happens to sessions, and what other events lead to.
        E::ReleaseReady
        | E::TaskAssigned
        | E::TaskReady
        | E::TaskStarted
        | E::TaskPaused
        | E::TaskCompleted
        | E::TaskRecurrenceEnded
        | E::StaleTaskDetected
        | E::TaskReminderDue
        | E::CommentPosted
        | E::CommentReplied
        | E::CommentEdited
        | E::CommentDeleted
        | E::ChatAnswered
        | E::NotificationRequested
        | E::NotificationSent
        | E::NotificationFailed
        | E::SystemError
        | E::SessionEnded
        | E::PasswordChanged
        | E::ProfileChanged
        | E::EmailChangeRequested
        | E::EmailChanged
        | E::TokenCreated
        | E::TokenRevoked => return None,
    })
}

/// The types of events that are acts.
pub(super) fn types() -> Vec<TypePattern> {
    let acts = EventType::ALL
        .iter()
        .filter(|known| verb(**known).is_some());
    acts.map(|act| TypePattern::Exact(act.name().to_owned()))
        .collect()
}

/// The act of an audited event; `None` if nobody did it, or if it is the registration of an account
/// by its owner.
pub(super) fn act(audited: &audit::Entry) -> Option<Entry> {
    let verb = verb(EventType::named(&audited.event_type)?)?;
    if audited.actor_id.is_empty() || audited.actor_id == audited.user_id {
        return None;
    }
    let data: Value = serde_json::from_str(&audited.data).unwrap_or_default();
    let fields: Vec<_> = changes::of(audited)
        .into_iter()
        .map(|change| change.field)
        .collect();
    let detail = match fields.is_empty() {
        true => String::new(),
        false => format!("changed: {}", fields.join(", ")),
    };
    Some(Entry {
        kind: Kind::Act,
        id: audited.event_id.clone(),
        time: audited.happened(),
        summary: format!("{} {verb} {}", audited.actor_name, object(&data)),
        detail,
        event_type: audited.event_type.clone(),
        actor: Some(UserRef {
            id: audited.actor_id.parse().ok()?,
            username: audited.actor_name.clone(),
        }),
        open: false,
        release_id: audited.release_id.clone(),
        task_id: audited.task_id.clone(),
    })
}

/// What an event is about, by name.
fn object(data: &Value) -> String {
    let names = [
        "/task/title",
        "/taskTitle",
        "/releaseName",
        "/username",
        "/notificationType",
        "/group",
    ];
    let mut names = names.iter().filter_map(|name| data.pointer(name)?.as_str());
    names
        .next()
        .map_or_else(String::new, |name| format!("“{name}”"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::audit::chain::tests::entry;

    fn audited(event_type: &str, actor: &str, user: &str, data: &Value) -> audit::Entry {
        audit::Entry {
            event_type: event_type.to_owned(),
            schema: format!("{event_type}/1"),
            actor_id: actor.to_owned(),
            actor_name: "grace".to_owned(),
            user_id: user.to_owned(),
            data: data.to_string(),
            ..entry(1)
        }
    }

    #[test]
    fn an_act_says_who_did_what() {
        let (grace, ada) = (uuid::Uuid::from_u128(1), uuid::Uuid::from_u128(2));
        let (grace, ada) = (grace.to_string(), ada.to_string());
        let data = json!({"userId": ada, "username": "ada", "role": "DEVELOPER", "revision": 3});
        let disabled = act(&audited("user.disabled", &grace, &ada, &data)).unwrap();
        assert_eq!(disabled.summary, "grace disabled the account “ada”");
        assert_eq!(disabled.detail, "changed: disabled");
        assert_eq!(disabled.actor.unwrap().username, "grace");
        let registered = |actor: &str| act(&audited("user.registered", actor, &ada, &data));
        assert!(registered(&grace).is_some());
        assert!(registered(&ada).is_none(), "their own registration");
        assert!(registered("").is_none(), "the first administrator");
        assert!(act(&audited("task.started", &grace, "", &json!({}))).is_none());
    }
}
