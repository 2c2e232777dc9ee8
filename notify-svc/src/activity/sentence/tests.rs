//! The sentence of every event type in the catalogue.

use std::collections::BTreeSet;

use jiff::Timestamp;
use slipway_bus::event::Origin;
use slipway_proto::events::{
    CommentDeletedEvent, CommentEditedEvent, CommentPostedEvent, CommentRepliedEvent,
    CommentedTask, EventType, HotfixTaskAddedEvent, Payload, ReleaseCompletedEvent,
    ReleaseCreatedEvent, ReleaseDeletedEvent, ReleaseReadyEvent, ReleaseReopenedEvent,
    ReleaseUpdatedEvent, StaleTaskDetectedEvent, TaskAssignedEvent, TaskCompletedEvent,
    TaskCreatedEvent, TaskData, TaskDeletedEvent, TaskPausedEvent, TaskReadyEvent,
    TaskRecurrenceEndedEvent, TaskReminderDueEvent, TaskStartedEvent, TaskUpdatedEvent, UserRef,
    UserRegisteredEvent,
};

use super::*;
use crate::{activity::is_shown, samples};

const ADA: Uuid = Uuid::from_u128(0xada);
const BOB: Uuid = Uuid::from_u128(0xb0b);
const GRACE: Uuid = Uuid::from_u128(0x6ace);
const RELEASE: Uuid = Uuid::from_u128(0x131);
const TASK: Uuid = Uuid::from_u128(0x7a5);

fn user(id: Uuid, username: &str) -> Actor {
    Actor::User {
        id,
        username: username.into(),
    }
}

fn event<P: Payload>(actor: &Actor, payload: &P) -> Event {
    Event::new(
        payload,
        &Origin {
            service: "release-svc",
            key: RELEASE,
            subject: TASK,
            actor,
            time: Timestamp::UNIX_EPOCH,
        },
    )
}

fn task(title: &str, assignee: Uuid, username: &str) -> TaskData {
    let owner = UserRef {
        id: assignee,
        username: username.into(),
    };
    TaskData {
        title: title.into(),
        order_index: 1,
        ..samples::task(TASK, RELEASE, owner)
    }
}

fn registered(actor: &Actor, role: Role) -> Event {
    let payload = UserRegisteredEvent {
        user_id: ADA,
        username: "ada".into(),
        email: "ada@example.com".into(),
        role,
    };
    event(actor, &payload)
}

fn created(total_tasks: u32) -> Event {
    let payload = ReleaseCreatedEvent {
        release_id: RELEASE,
        release_name: "Kubernetes 1.31".into(),
        version: "1.31".into(),
        created_by: UserRef {
            id: GRACE,
            username: "grace".into(),
        },
        total_tasks,
    };
    event(&user(GRACE, "grace"), &payload)
}

fn completed(next_task: Option<TaskData>) -> Event {
    let payload = TaskCompletedEvent {
        task: task("Build images", ADA, "ada"),
        duration_ms: 60_000,
        next_task,
    };
    event(&user(ADA, "ada"), &payload)
}

fn about_releases() -> Vec<(Event, &'static str, Vec<Uuid>)> {
    let grace = user(GRACE, "grace");
    let completed = ReleaseCompletedEvent {
        release_id: RELEASE,
        release_name: "Kubernetes 1.31".into(),
        version: "1.31".into(),
        total_tasks: 5,
        completed_at: Timestamp::UNIX_EPOCH,
    };
    let ready = |total_tasks| ReleaseReadyEvent {
        release_id: RELEASE,
        release_name: "Kubernetes 1.31".into(),
        version: "1.31".into(),
        created_by: UserRef {
            id: GRACE,
            username: "grace".into(),
        },
        total_tasks,
    };
    let planner = || UserRef {
        id: GRACE,
        username: "grace".into(),
    };
    let updated = ReleaseUpdatedEvent {
        release_id: RELEASE,
        release_name: "Kubernetes 1.31".into(),
        description: String::new(),
        version: "1.31".into(),
        created_by: planner(),
        total_tasks: 6,
        completed_tasks: 5,
        changed: vec!["name".into(), "version".into()],
        changes: Vec::new(),
    };
    let deleted = ReleaseDeletedEvent {
        release_id: RELEASE,
        release_name: "Kubernetes 1.31".into(),
        description: String::new(),
        version: "1.31".into(),
        created_by: planner(),
        total_tasks: 1,
    };
    let reopened = ReleaseReopenedEvent {
        release_id: RELEASE,
        release_name: "Kubernetes 1.31".into(),
        version: "1.31".into(),
        total_tasks: 6,
        completed_tasks: 5,
        reopened_count: 1,
    };
    vec![
        (
            created(5),
            "grace planned Kubernetes 1.31 with 5 tasks",
            vec![GRACE],
        ),
        (
            created(1),
            "grace planned Kubernetes 1.31 with 1 task",
            vec![GRACE],
        ),
        (
            event(&user(ADA, "ada"), &ready(5)),
            "All 5 tasks of Kubernetes 1.31 are completed",
            vec![GRACE],
        ),
        (
            event(&user(ADA, "ada"), &ready(1)),
            "The only task of Kubernetes 1.31 is completed",
            vec![GRACE],
        ),
        (
            event(&grace, &completed),
            "grace completed Kubernetes 1.31 with 5 tasks",
            vec![],
        ),
        (
            event(&grace, &updated),
            "grace changed the name and the version of Kubernetes 1.31",
            vec![GRACE],
        ),
        (
            event(&grace, &deleted),
            "grace deleted Kubernetes 1.31 with 1 task",
            vec![GRACE],
        ),
        (
            event(&grace, &reopened),
            "grace reopened Kubernetes 1.31 for a hotfix",
            vec![],
        ),
    ]
}

fn about_tasks() -> Vec<(Event, &'static str, Vec<Uuid>)> {
    let grace = user(GRACE, "grace");
    let build = || task("Build images", ADA, "ada");
    let added = TaskCreatedEvent { task: build() };
    let hotfix_added = TaskCreatedEvent {
        task: TaskData {
            hotfix: true,
            ..build()
        },
    };
    let assigned = TaskAssignedEvent {
        developer_id: ADA,
        developer_name: "ada".into(),
        release_id: RELEASE,
        release_name: "Kubernetes 1.31".into(),
        task_id: TASK,
        task_title: "Build images".into(),
        order_index: 1,
        position: None,
        can_start: None,
        due_at: None,
        plan_tasks: None,
    };
    let hotfix = HotfixTaskAddedEvent {
        developer_id: ADA,
        developer_name: "ada".into(),
        release_id: RELEASE,
        release_name: "Kubernetes 1.31".into(),
        task_id: TASK,
        task_title: "Build images".into(),
        position: None,
        can_start: None,
        due_at: None,
    };
    let ready = TaskReadyEvent {
        task: task("Publish", BOB, "bob"),
        position: 2,
        announced_by: None,
    };
    let started = TaskStartedEvent { task: build() };
    let stale = StaleTaskDetectedEvent {
        developer_id: ADA,
        developer_name: "ada".into(),
        release_id: RELEASE,
        release_name: "Kubernetes 1.31".into(),
        task_id: TASK,
        task_title: "Build images".into(),
        started_at: Timestamp::UNIX_EPOCH,
        hours: 49,
    };
    let reminder = TaskReminderDueEvent {
        developer_id: ADA,
        developer_name: "ada".into(),
        release_id: RELEASE,
        release_name: "Kubernetes 1.31".into(),
        task_id: TASK,
        task_title: "Build images".into(),
        due_at: None,
        remind_at: Timestamp::UNIX_EPOCH,
        late: None,
    };
    let updated = |changed: &[&str], previous: Option<Uuid>| TaskUpdatedEvent {
        task: build(),
        changed: changed.iter().map(|name| (*name).into()).collect(),
        changes: Vec::new(),
        previous_assignee: previous.map(|id| UserRef {
            id,
            username: "bob".into(),
        }),
    };
    let deleted = TaskDeletedEvent { task: build() };
    let paused = |reason: &str| TaskPausedEvent {
        task: build(),
        reason: reason.into(),
        worked_ms: 60_000,
        planned_by: UserRef {
            id: GRACE,
            username: "grace".into(),
        },
    };
    let ended = |reason| TaskRecurrenceEndedEvent {
        task: build(),
        reason,
        planned_by: UserRef {
            id: GRACE,
            username: "grace".into(),
        },
    };
    vec![
        (
            event(&Actor::System, &ended(SeriesEnd::RuleExhausted)),
            "“Build images” in Kubernetes 1.31 was the last of its series: its rule has no further \
             date",
            vec![ADA, GRACE],
        ),
        (
            event(&Actor::System, &ended(SeriesEnd::ReleaseCompleted)),
            "“Build images” in Kubernetes 1.31 was the last of its series: no open release takes \
             the next one",
            vec![ADA, GRACE],
        ),
        (
            event(&grace, &updated(&["title"], None)),
            "grace changed the title of “Build images” in Kubernetes 1.31",
            vec![ADA],
        ),
        (
            event(
                &grace,
                &updated(
                    &[
                        "assignee",
                        "orderIndex",
                        "dueAt",
                        "remindBeforeMinutes",
                        "colour",
                    ],
                    Some(BOB),
                ),
            ),
            "grace changed the owner, the place, the due time, the reminder and the colour of \
             “Build images” in Kubernetes 1.31",
            vec![ADA, BOB],
        ),
        (
            event(&grace, &deleted),
            "grace deleted “Build images” of ada from Kubernetes 1.31",
            vec![ADA],
        ),
        (
            event(&user(ADA, "ada"), &paused("I am ill.\nSorry.")),
            "ada handed back “Build images” in Kubernetes 1.31: I am ill. Sorry.",
            vec![ADA, GRACE],
        ),
        (
            event(&Actor::System, &stale),
            "“Build images” in Kubernetes 1.31 has been in process with ada for 49 hours",
            vec![ADA],
        ),
        (
            event(&Actor::System, &reminder),
            "Slipway reminded ada of “Build images” in Kubernetes 1.31",
            vec![ADA],
        ),
        (
            event(&grace, &added),
            "grace added “Build images” for ada to Kubernetes 1.31",
            vec![ADA],
        ),
        (
            event(&grace, &hotfix_added),
            "grace added the hotfix “Build images” for ada to Kubernetes 1.31",
            vec![ADA],
        ),
        (
            event(&grace, &assigned),
            "grace assigned “Build images” in Kubernetes 1.31 to ada",
            vec![ADA],
        ),
        (
            event(&user(ADA, "ada"), &ready),
            "It is the turn of bob: “Publish” in Kubernetes 1.31 can start",
            vec![BOB],
        ),
        (
            event(&user(ADA, "ada"), &started),
            "ada started “Build images” in Kubernetes 1.31",
            vec![ADA],
        ),
        (
            completed(None),
            "ada completed “Build images” in Kubernetes 1.31",
            vec![ADA],
        ),
        (
            completed(Some(task("Publish", BOB, "bob"))),
            "ada completed “Build images” in Kubernetes 1.31; next is “Publish” by bob",
            vec![ADA, BOB],
        ),
        (
            event(&grace, &hotfix),
            "grace needs the hotfix “Build images” from ada in Kubernetes 1.31",
            vec![ADA],
        ),
    ]
}

fn about_comments() -> Vec<(Event, &'static str, Vec<Uuid>)> {
    let user_ref = |id, username: &str| UserRef {
        id,
        username: username.into(),
    };
    let on = || CommentedTask {
        id: TASK,
        title: "Build images".into(),
        release_id: RELEASE,
        release_name: "Kubernetes 1.31".into(),
        assignee: user_ref(ADA, "ada"),
    };
    let posted = CommentPostedEvent {
        task: on(),
        comment_id: Uuid::from_u128(1),
        author: user_ref(GRACE, "grace"),
        excerpt: "How is it going, @bob?".into(),
        mentions: vec![user_ref(BOB, "bob")],
    };
    let replied = CommentRepliedEvent {
        task: on(),
        comment_id: Uuid::from_u128(2),
        parent_id: Uuid::from_u128(1),
        parent_author: user_ref(GRACE, "grace"),
        author: user_ref(BOB, "bob"),
        excerpt: "Fine.".into(),
        mentions: vec![user_ref(ADA, "ada")],
    };
    let edited = CommentEditedEvent {
        task: on(),
        comment_id: Uuid::from_u128(1),
        author: user_ref(GRACE, "grace"),
        previous_excerpt: "How is it going, @bob?".into(),
        excerpt: "How is it going?".into(),
    };
    let deleted = CommentDeletedEvent {
        task: on(),
        comment_id: Uuid::from_u128(1),
        author: user_ref(GRACE, "grace"),
    };
    vec![
        (
            event(&user(GRACE, "grace"), &posted),
            "grace commented on “Build images” in Kubernetes 1.31",
            vec![ADA, BOB],
        ),
        (
            event(&user(BOB, "bob"), &replied),
            "bob replied to grace on “Build images” in Kubernetes 1.31",
            vec![GRACE, ADA, ADA],
        ),
        (
            event(&user(GRACE, "grace"), &replied),
            "grace replied to their own comment on “Build images” in Kubernetes 1.31",
            vec![GRACE, ADA, ADA],
        ),
        (
            event(&user(GRACE, "grace"), &edited),
            "grace edited a comment on “Build images” in Kubernetes 1.31",
            vec![ADA, GRACE],
        ),
        (
            event(&user(GRACE, "grace"), &deleted),
            "grace deleted their comment on “Build images” in Kubernetes 1.31",
            vec![ADA, GRACE],
        ),
        (
            event(&user(BOB, "bob"), &deleted),
            "bob deleted a comment of grace on “Build images” in Kubernetes 1.31",
            vec![ADA, GRACE],
        ),
    ]
}

fn about_users() -> Vec<(Event, &'static str, Vec<Uuid>)> {
    let concerned = || vec![ADA];
    vec![
        (
            registered(&Actor::System, Role::Admin),
            "ada joined as an admin",
            concerned(),
        ),
        (
            registered(&user(ADA, "ada"), Role::Developer),
            "ada joined as a developer",
            concerned(),
        ),
        (
            registered(&user(GRACE, "grace"), Role::Developer),
            "grace registered ada as a developer",
            concerned(),
        ),
        (
            registered(&user(GRACE, ""), Role::Developer),
            "Somebody registered ada as a developer",
            concerned(),
        ),
    ]
}

#[test]
fn every_type_of_the_catalogue_has_its_sentence() {
    let samples = [
        about_users(),
        about_releases(),
        about_tasks(),
        about_comments(),
    ]
    .concat();
    let mut told_types = BTreeSet::new();
    for (event, sentence, concerns) in samples {
        let who = Who::of(&event.actor);
        let narration = tell(&event, &who).unwrap();
        assert_eq!(narration.summary, sentence);
        assert_eq!(narration.concerns, concerns, "{sentence}");
        told_types.insert(event.event_type);
    }
    let catalogue: BTreeSet<_> = EventType::ALL
        .iter()
        .filter(|known| is_shown(&known.topic()))
        .map(|known| known.name().to_owned())
        .collect();
    assert_eq!(told_types, catalogue);
}
