//! The recipients of each event, and events without recipients.

use jiff::Timestamp;
use slipway_bus::event::Origin;
use slipway_proto::events::{
    CommentedTask, HotfixTaskAddedEvent, PasswordResetRequestedEvent, ReleaseReadyEvent, SeriesEnd,
    StaleTaskDetectedEvent, TaskAssignedEvent, TaskData, TaskPausedEvent, TaskRecurrenceEndedEvent,
    TaskReminderDueEvent, UserInvitedEvent, UserRegisteredEvent,
};

use super::*;
use crate::samples;

const ADA: Uuid = Uuid::from_u128(0xada);
const ANY: Uuid = Uuid::from_u128(1);

fn event<P: Payload>(payload: &P, actor: &Actor) -> Event {
    let origin = Origin {
        service: "release-svc",
        key: ANY,
        subject: ANY,
        actor,
        time: Timestamp::UNIX_EPOCH,
    };
    Event::new(payload, &origin)
}

fn assigned() -> TaskAssignedEvent {
    TaskAssignedEvent {
        developer_id: ADA,
        developer_name: "ada".into(),
        release_id: ANY,
        release_name: "Kubernetes 1.31".into(),
        task_id: ANY,
        task_title: "Build images".into(),
        order_index: 1,
        position: None,
        can_start: None,
        due_at: None,
        plan_tasks: None,
    }
}

#[test]
fn the_owner_of_a_task_is_notified() {
    let hotfix = HotfixTaskAddedEvent {
        developer_id: ADA,
        developer_name: "ada".into(),
        release_id: ANY,
        release_name: "Kubernetes 1.31".into(),
        task_id: ANY,
        task_title: "Build images".into(),
        position: None,
        can_start: None,
        due_at: None,
    };
    let stale = StaleTaskDetectedEvent {
        developer_id: ADA,
        developer_name: "ada".into(),
        release_id: ANY,
        release_name: "Kubernetes 1.31".into(),
        task_id: ANY,
        task_title: "Build images".into(),
        started_at: Timestamp::UNIX_EPOCH,
        hours: 49,
    };
    let reminder = TaskReminderDueEvent {
        developer_id: ADA,
        developer_name: "ada".into(),
        release_id: ANY,
        release_name: "Kubernetes 1.31".into(),
        task_id: ANY,
        task_title: "Build images".into(),
        due_at: None,
        remind_at: Timestamp::UNIX_EPOCH,
        late: None,
    };
    let system = &Actor::System;
    let events = [
        event(&assigned(), system),
        event(&hotfix, system),
        event(&stale, system),
        event(&reminder, system),
    ];
    for event in &events {
        let drafts = of(event).unwrap();
        assert_eq!(drafts.len(), 1);
        assert_eq!(
            (&drafts[0].kind, &drafts[0].to),
            (&event.event_type, &To::User(ADA))
        );
        assert_eq!(drafts[0].data["taskTitle"], "Build images");
        assert_eq!(drafts[0].data.get("actor"), None);
    }
}

#[test]
fn a_link_goes_to_the_address_that_the_event_names_and_is_hidden() {
    let (username, email) = ("ada".to_owned(), "Ada@example.com".to_owned());
    let expires_at = Timestamp::UNIX_EPOCH;
    let reset = PasswordResetRequestedEvent {
        user_id: ADA,
        username: username.clone(),
        email: email.clone(),
        link_id: ANY,
        expires_at,
    };
    let invited = UserInvitedEvent {
        user_id: ADA,
        username,
        email,
        link_id: ANY,
        expires_at,
    };
    // Also if the user asked for it.
    let ada = Actor::User {
        id: ADA,
        username: "ada".into(),
    };
    for event in [event(&reset, &ada), event(&invited, &ada)] {
        let drafts = of(&event).unwrap();
        let [draft] = drafts.as_slice() else {
            panic!("{drafts:?}")
        };
        assert_eq!(draft.to, To::address("ada@example.com"));
        assert_eq!((&draft.kind, draft.sender), (&event.event_type, None));
        assert_eq!(draft.data["secret"], "hidden");
    }
}

fn user(id: Uuid, username: &str) -> UserRef {
    UserRef {
        id,
        username: username.into(),
    }
}

fn on_a_task_of(owner: Uuid) -> CommentedTask {
    CommentedTask {
        id: ANY,
        title: "Build images".into(),
        release_id: ANY,
        release_name: "Kubernetes 1.31".into(),
        assignee: user(owner, "owner"),
    }
}

fn comment(author: Uuid, owner: Uuid, mentions: &[Uuid]) -> Event {
    let comment = CommentPostedEvent {
        task: on_a_task_of(owner),
        comment_id: ANY,
        author: user(author, "author"),
        excerpt: "Is it done?".into(),
        mentions: mentions.iter().map(|id| user(*id, "mentioned")).collect(),
    };
    event(&comment, &Actor::System)
}

fn reply(author: Uuid, parent: Uuid, owner: Uuid, mentions: &[Uuid]) -> Event {
    let reply = CommentRepliedEvent {
        task: on_a_task_of(owner),
        comment_id: ANY,
        parent_id: ANY,
        parent_author: user(parent, "parent"),
        author: user(author, "author"),
        excerpt: "I agree".into(),
        mentions: mentions.iter().map(|id| user(*id, "mentioned")).collect(),
    };
    event(&reply, &Actor::System)
}

/// The recipients of an event, each with the notification type and the reason.
fn audience(event: &Event) -> Vec<(Uuid, String, String)> {
    let drafts = of(event).unwrap().into_iter();
    drafts
        .map(|draft| {
            let because = draft.data["because"].as_str().unwrap();
            (draft.to.user().unwrap(), draft.kind, because.to_owned())
        })
        .collect()
}

fn member(id: Uuid, kind: &str, why: &str) -> (Uuid, String, String) {
    (id, kind.to_owned(), why.to_owned())
}

#[test]
fn a_reply_notifies_the_parent_author_and_the_mentioned_users() {
    let (bob, eve) = (Uuid::from_u128(0xb0b), Uuid::from_u128(0xe5e));
    let because = |id, why: &str| member(id, "comment.replied", why);
    assert_eq!(
        audience(&reply(bob, ADA, bob, &[eve])),
        [because(ADA, "reply"), because(eve, "mention")]
    );
    assert_eq!(
        audience(&reply(bob, ADA, bob, &[ADA, eve, eve])),
        [because(ADA, "reply"), because(eve, "mention")],
        "each once"
    );
    assert_eq!(
        audience(&reply(ADA, ADA, ADA, &[ADA])),
        [],
        "nobody answers themselves"
    );
}

#[test]
fn the_owner_of_a_task_is_notified_once_of_others_comments() {
    let (bob, eve) = (Uuid::from_u128(0xb0b), Uuid::from_u128(0xe5e));
    let owner = member(ADA, "task.commented", "owner");
    assert_eq!(
        audience(&comment(bob, ADA, &[])),
        std::slice::from_ref(&owner)
    );
    assert_eq!(
        audience(&comment(bob, ADA, &[eve])),
        [member(eve, "comment.posted", "mention"), owner.clone()]
    );
    assert_eq!(
        audience(&comment(bob, ADA, &[ADA])),
        [member(ADA, "comment.posted", "mention")],
        "a mention says it already"
    );
    assert_eq!(audience(&comment(ADA, ADA, &[])), []);
    assert_eq!(
        audience(&reply(bob, eve, ADA, &[])),
        [member(eve, "comment.replied", "reply"), owner]
    );
    assert_eq!(
        audience(&reply(bob, ADA, ADA, &[])),
        [member(ADA, "comment.replied", "reply")]
    );
    assert_eq!(audience(&reply(ADA, ADA, ADA, &[])), []);
}

fn ready() -> TaskReadyEvent {
    TaskReadyEvent {
        task: TaskData {
            title: "Publish".into(),
            order_index: 20,
            ..samples::task(ANY, ANY, user(ADA, "ada"))
        },
        position: 2,
        announced_by: None,
    }
}

#[test]
fn the_next_owner_is_notified_unless_they_caused_it() {
    let by = |id| Actor::User {
        id,
        username: "somebody".into(),
    };
    let of_another = of(&event(&ready(), &by(ANY))).unwrap();
    assert_eq!(of_another.len(), 1);
    assert_eq!(
        (of_another[0].kind.as_str(), &of_another[0].to),
        ("task.ready", &To::User(ADA))
    );
    assert_eq!(of(&event(&ready(), &by(ADA))).unwrap(), []);
}

#[test]
fn the_planner_and_the_owner_are_notified_of_a_pause_by_somebody_else() {
    let (grace, linus) = (Uuid::from_u128(0x6ace), Uuid::from_u128(0x11005));
    let by = |id| Actor::User {
        id,
        username: "somebody".into(),
    };
    let paused = TaskPausedEvent {
        task: ready().task,
        reason: "Ada is ill.".into(),
        worked_ms: 1,
        planned_by: user(grace, "grace"),
    };
    let (planner, owner) = (
        member(grace, "task.paused", "planner"),
        member(ADA, "task.paused", "owner"),
    );
    for (actor, expected) in [
        (ADA, vec![planner.clone()]),
        (grace, vec![owner.clone()]),
        (linus, vec![planner, owner]),
    ] {
        assert_eq!(audience(&event(&paused, &by(actor))), expected);
    }
}

#[test]
fn the_planner_and_the_owner_are_notified_when_a_series_ends() {
    let grace = Uuid::from_u128(0x6ace);
    let ended = TaskRecurrenceEndedEvent {
        task: ready().task,
        reason: SeriesEnd::ReleaseCompleted,
        planned_by: user(grace, "grace"),
    };
    let expected = [
        member(grace, "task.recurrence_ended", "planner"),
        member(ADA, "task.recurrence_ended", "owner"),
    ];
    assert_eq!(audience(&event(&ended, &Actor::System)), expected);
}

#[test]
fn the_planner_is_notified_when_all_tasks_are_completed() {
    let ready = ReleaseReadyEvent {
        release_id: ANY,
        release_name: "Kubernetes 1.31".into(),
        version: String::new(),
        created_by: user(ADA, "ada"),
        total_tasks: 5,
    };
    let drafts = of(&event(&ready, &Actor::System)).unwrap();
    assert_eq!(drafts.len(), 1);
    assert_eq!(
        (drafts[0].kind.as_str(), &drafts[0].to),
        ("release.ready", &To::User(ADA))
    );
}

#[test]
fn the_data_names_the_actor() {
    let grace = Actor::User {
        id: ANY,
        username: "grace".into(),
    };
    let drafts = of(&event(&assigned(), &grace)).unwrap();
    assert_eq!(drafts[0].data["actor"], "grace");
}

#[test]
fn most_events_notify_nobody() {
    let registered = UserRegisteredEvent {
        user_id: ADA,
        username: "ada".into(),
        email: "ada@example.com".into(),
        role: slipway_proto::events::Role::Developer,
    };
    assert!(of(&event(&registered, &Actor::System)).unwrap().is_empty());
}

#[test]
fn every_type_that_notifies_is_on_a_topic_that_is_consumed() {
    for known in EventType::ALL.iter().filter(|known| notifies(**known)) {
        assert!(TOPICS.contains(&known.topic()), "{}", known.name());
    }
}

#[test]
fn a_payload_that_violates_the_schema_is_refused() {
    let mut event = event(&assigned(), &Actor::System);
    event.dataschema = "task.assigned/2".into();
    assert!(of(&event).is_err(), "of another major version");
    event.dataschema = "task.assigned/1".into();
    event.data = "{}".into();
    assert!(of(&event).is_err());
}
