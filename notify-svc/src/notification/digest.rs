//! The digest mail for several notifications: its subject and its content. Pure.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use slipway_proto::events::{
    Payload as _, ReleaseReadyEvent, SystemErrorEvent, TaskAssignedEvent, TaskPausedEvent,
    TaskReadyEvent, TaskRecurrenceEndedEvent,
};
use uuid::Builder;

use super::{Notification, NotificationId, Subject, audience, gathering::plan_tasks};

/// Maximum number of notifications in one digest; the others go into another one.
pub const LARGEST: usize = 2_000;

/// Maximum number of notifications that one digest lists; it gives the number of the others.
pub const LISTED: usize = 100;

/// The name of the templates. Administrators cannot create types in this family.
pub(crate) const TEMPLATE: &str = "notification.digest";

/// Id for the mail's `Message-ID`: the same for the same notifications, different for others. So a
/// repeated mail is recognised, and one with more notifications does not count as a repetition.
#[must_use]
pub fn id(of: impl IntoIterator<Item = NotificationId>) -> NotificationId {
    let mut ids: Vec<_> = of.into_iter().collect();
    ids.sort_unstable();
    let mut hash = Sha256::new();
    for id in ids {
        hash.update(id.0.as_bytes());
    }
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.finalize()[..16]);
    NotificationId(Builder::from_custom_bytes(bytes).into_uuid())
}

/// Whether notifications of the same plan are missing: tasks that are not queued yet.
#[must_use]
pub fn is_incomplete<N: AsRef<Notification>>(notifications: &[N]) -> bool {
    let of_a_plan = |n: &&Notification| {
        let group = n.group.as_deref();
        group.is_some_and(|group| group.starts_with("plan:"))
    };
    let expected = notifications.iter().map(AsRef::as_ref).filter(of_a_plan);
    let expected = expected.map(|n| plan_tasks(&n.data)).max().unwrap_or(0);
    (notifications.len() as u64) < expected
}

/// The subject of the mail.
#[must_use]
pub fn subject<N: AsRef<Notification>>(notifications: &[N]) -> Subject {
    Subject::new(&heading(notifications))
}

/// The template's variables, without `recipient` and `publicUrl`.
#[must_use]
pub fn data<N: AsRef<Notification>>(notifications: &[N]) -> Value {
    let group = group(notifications);
    let mut all: Vec<_> = notifications.iter().map(AsRef::as_ref).collect();
    if group.0 == "plan" {
        all.sort_by_key(|n| n.data["position"].as_u64());
    }
    let items = all.iter().take(LISTED).map(|n| item(n, group.0));
    let items: Vec<_> = items.collect();
    json!({
        "heading": heading(notifications),
        "intro": intro(group),
        "items": items,
        "more": notifications.len() - items.len(),
    })
}

/// The kind and the key of the group they share.
fn group<N: AsRef<Notification>>(notifications: &[N]) -> (&str, &str) {
    let group = notifications
        .first()
        .and_then(|n| n.as_ref().group.as_deref());
    let group = group.unwrap_or_default();
    group.split_once(':').unwrap_or((group, ""))
}

fn heading<N: AsRef<Notification>>(notifications: &[N]) -> String {
    let count = notifications.len();
    let first = notifications.first();
    let first = first.map_or(&Value::Null, |n| &n.as_ref().data);
    let text = |pointer| first.pointer(pointer).and_then(Value::as_str);
    match group(notifications).0 {
        "plan" => format!(
            "{count} tasks for you ({})",
            text("/releaseName").unwrap_or_default()
        ),
        "release" => {
            let release = text("/releaseName").unwrap_or_default();
            format!("{count} more tasks for you ({release})")
        }
        "turn" => {
            let release = text("/task/releaseName").unwrap_or_default();
            format!("{count} more tasks that are your turn ({release})")
        }
        "ready" => {
            let release = text("/releaseName").unwrap_or_default();
            format!("{count} more times all tasks were completed ({release})")
        }
        "discussion" => {
            let (what, task) = (
                comments(notifications),
                text("/task/title").unwrap_or_default(),
            );
            format!("{count} more {what} on “{task}”")
        }
        "system" => format!("{count} more messages about faults of the system"),
        "sender" => {
            let sender = text("/author/username").or_else(|| text("/actor"));
            format!(
                "{count} more notifications caused by {}",
                sender.unwrap_or("the same sender")
            )
        }
        "quiet" => format!("{count} notifications from your quiet hours"),
        kind => format!("{count} more notifications of the type {kind}"),
    }
}

/// The word for the comments in the subject.
fn comments<N: AsRef<Notification>>(notifications: &[N]) -> &'static str {
    let of = |why| {
        notifications
            .iter()
            .any(|n| n.as_ref().data["because"] == why)
    };
    match (of("mention"), of("reply"), of("owner")) {
        (true, false, false) => "mentions",
        (false, true, false) => "replies",
        (true, true, false) => "replies and mentions",
        _ => "comments",
    }
}

fn intro((group, _): (&str, &str)) -> &'static str {
    match group {
        "plan" => "a release was planned, and these of its tasks are yours:",
        "quiet" => "these notifications came in your quiet hours:",
        _ => "these notifications are combined in one mail:",
    }
}

/// A notification in a digest of this kind of group.
fn item(notification: &Notification, group: &str) -> Value {
    let data = &notification.data;
    let text = |pointer| {
        data.pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let kind = notification.kind.as_str();
    let path = match kind {
        _ if audience::is_of_comment(kind) => format!("/tasks/{}/comments", text("/task/id")),
        TaskReadyEvent::TYPE | TaskPausedEvent::TYPE | TaskRecurrenceEndedEvent::TYPE => {
            format!("/tasks/{}", text("/task/id"))
        }
        ReleaseReadyEvent::TYPE => format!("/releases/{}", text("/releaseId")),
        SystemErrorEvent::TYPE => "/admin/incidents".to_owned(),
        _ if kind.starts_with("task.") => format!("/tasks/{}", text("/taskId")),
        _ => format!("/notifications/{}", notification.id),
    };
    let of_one_release = matches!(group, "plan" | "release");
    let line = match (kind, data["position"].as_u64()) {
        (TaskAssignedEvent::TYPE, Some(position)) if of_one_release => {
            format!("number {position}: {}", text("/taskTitle"))
        }
        (TaskAssignedEvent::TYPE, Some(position)) => {
            let release = text("/releaseName");
            format!("number {position} of {release}: {}", text("/taskTitle"))
        }
        (TaskAssignedEvent::TYPE, None) => text("/taskTitle").to_owned(),
        _ if audience::is_of_comment(kind) => {
            format!("{}: {}", notification.subject.as_str(), text("/excerpt"))
        }
        _ => notification.subject.as_str().to_owned(),
    };
    let due_at = match kind {
        TaskReadyEvent::TYPE => text("/task/dueAt"),
        _ => text("/dueAt"),
    };
    json!({
        "text": Subject::new(&line),
        "path": path,
        "canStart": data["canStart"] == true,
        "dueAt": due_at,
    })
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use uuid::Uuid;

    use super::*;
    use crate::notification::{Draft, To, templates::Templates};

    fn notification(n: u64, kind: &str, group: &str, data: Value) -> Notification {
        let draft = Draft {
            kind: kind.to_owned(),
            to: To::User(Uuid::from_u128(0xada)),
            data,
            sender: None,
        };
        let now = Timestamp::from_second(i64::try_from(n).unwrap()).unwrap();
        let subject = Subject::new(&format!("Nr. {n} <&>"));
        Notification::new(draft, Uuid::from_u128(n.into()), subject, now).gathered(group, "", now)
    }

    #[test]
    fn a_task_that_is_ready_says_when_it_is_due() {
        let task = json!({"id": "42", "dueAt": "2026-01-05T16:00:00Z"});
        let ready = notification(1, "task.ready", "task:42", json!({"task": task}));
        assert_eq!(item(&ready, "task")["dueAt"], "2026-01-05T16:00:00Z");
    }

    fn mentions(count: u64) -> Vec<Notification> {
        let mention = |n| {
            let data = json!({
                "task": {"id": "42", "title": "Build the images"}, "because": "mention",
                "author": {"username": "grace"},
            });
            notification(n, "comment.posted", "discussion:42", data)
        };
        (1..=count).map(mention).collect()
    }

    fn task(n: u64, group: &str, of: u64) -> Notification {
        let data = json!({
            "releaseName": "Spring", "taskId": n.to_string(), "taskTitle": format!("task {n}"),
            "orderIndex": 10 * n, "position": n, "canStart": n == 1,
            "dueAt": "2026-01-05T16:00:00Z", "planTasks": of,
        });
        notification(n, "task.assigned", group, data)
    }

    #[test]
    fn the_subject_has_the_number_and_the_kind() {
        let named = |notifications: &[Notification]| subject(notifications).as_str().to_owned();
        assert_eq!(named(&mentions(7)), "7 more mentions on “Build the images”");
        let mut mixed = mentions(2);
        mixed[1].data["because"] = "reply".into();
        assert_eq!(
            named(&mixed),
            "2 more replies and mentions on “Build the images”"
        );
        mixed[0].data["because"] = "reply".into();
        assert_eq!(named(&mixed), "2 more replies on “Build the images”");
        mixed[1].data["because"] = "owner".into();
        assert_eq!(named(&mixed), "2 more comments on “Build the images”");
        let tasks = |group| [task(1, group, 2), task(2, group, 2)];
        assert_eq!(named(&tasks("plan:1")), "2 tasks for you (Spring)");
        assert_eq!(named(&tasks("release:1")), "2 more tasks for you (Spring)");
        assert_eq!(
            named(&tasks("quiet")),
            "2 notifications from your quiet hours"
        );
        for (group, expected) in [
            ("sender:1", "1 more notifications caused by grace"),
            ("system", "1 more messages about faults of the system"),
            (
                "order-placed::1",
                "1 more notifications of the type order-placed",
            ),
        ] {
            let data = json!({"author": {"username": "grace"}});
            assert_eq!(named(&[notification(1, "x", group, data)]), expected);
        }
    }

    #[test]
    fn a_digest_lists_a_hundred_and_counts_the_others() {
        let templates = Templates::built_in("https://x.example");
        let all = mentions(1_000);
        let body = templates.body(TEMPLATE, &data(&all), "ada").unwrap();
        for (text, name) in [
            (&body.text, "Nr. 7 <&>"),
            (&body.html, "Nr. 7 &lt;&amp;&gt;"),
        ] {
            assert!(text.contains(name), "{text}");
            let (text, link) = (text.replace("&#x2f;", "/"), "/tasks/42/comments");
            assert_eq!(text.matches(link).count(), LISTED, "{text}");
            assert!(text.contains("900 more"), "{text}");
        }
        let few = templates.body(TEMPLATE, &data(&all[..100]), "ada").unwrap();
        assert!(!few.text.contains("\nand "), "{}", few.text);
    }

    #[test]
    fn the_longest_lines_fit() {
        let mut all = mentions(1_000);
        for notification in &mut all {
            notification.subject = Subject::new(&"<".repeat(200));
        }
        let templates = Templates::built_in("https://x.example");
        templates.body(TEMPLATE, &data(&all), "ada").unwrap();
    }

    #[test]
    fn a_plan_is_listed_with_places_and_due_dates() {
        let tasks = [task(1, "plan:1", 2), task(2, "plan:1", 2)];
        let templates = Templates::built_in("https://x.example");
        let body = templates.body(TEMPLATE, &data(&tasks), "ada").unwrap();
        insta::assert_snapshot!(body.text);
    }

    #[test]
    fn a_plan_is_complete_when_all_its_tasks_are_there() {
        let tasks = |group| [task(1, group, 3), task(2, group, 3), task(3, group, 3)];
        assert!(is_incomplete(&tasks("plan:1")[..2]));
        assert!(!is_incomplete(&tasks("plan:1")));
        assert!(!is_incomplete(&tasks("quiet")[..1]));
        assert!(!is_incomplete(&mentions(1)));
    }

    #[test]
    fn the_id_depends_only_on_the_notifications() {
        let ids: Vec<_> = mentions(3).iter().map(|n| n.id).collect();
        let all = id(ids.clone());
        assert_eq!(id(ids.iter().rev().copied()), all);
        assert_ne!(id(ids[..2].to_vec()), all);
        assert_eq!(
            all.to_string().parse(),
            Ok(all),
            "a Message-ID is read as it was written"
        );
    }
}
