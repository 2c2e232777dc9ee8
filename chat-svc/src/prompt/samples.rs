//! Sample work and conversations for tests.

use jiff::{SignedDuration, Timestamp};
use slipway_rpc::access::Role;
use uuid::Uuid;

use super::{Blocker, Caller, NextTask, ReleaseFacts, TaskFacts, TaskState, Work};
use crate::chat::{
    Answer, MessageId, Question, QuestionText, Tokens, Turn, TurnState, UsedContext,
};

/// A Wednesday.
pub(crate) fn now() -> Timestamp {
    "2026-03-04T12:00:00Z".parse().unwrap()
}

fn hours_ago(hours: i64) -> Timestamp {
    now() - SignedDuration::from_hours(hours)
}

pub(crate) fn task(release: (Uuid, &str), order: i64, title: &str, owner: &str) -> TaskFacts {
    TaskFacts {
        id: Uuid::from_u128(release.0.as_u128() * 1_000 + order.unsigned_abs() as u128),
        release_id: release.0,
        release: release.1.to_owned(),
        title: title.to_owned(),
        assignee: owner.to_owned(),
        order_index: order,
        state: TaskState::Todo,
        hotfix: false,
        created_at: hours_ago(240),
        started_at: None,
        completed_at: None,
        due_at: None,
    }
}

pub(crate) fn completed(mut task: TaskFacts, hours: i64) -> TaskFacts {
    task.state = TaskState::Completed;
    task.started_at = Some(hours_ago(hours + 5));
    task.completed_at = Some(hours_ago(hours));
    task
}

pub(crate) fn started(mut task: TaskFacts, hours: i64) -> TaskFacts {
    task.state = TaskState::InProcess;
    task.started_at = Some(hours_ago(hours));
    task
}

/// Ada's work: she works on the third task of Spring; her fifth task waits for Grace.
pub(crate) fn work() -> Work {
    let spring = (Uuid::from_u128(77), "Spring");
    let tasks = vec![
        completed(task(spring, 1, "Freeze the branch", "ada"), 100),
        completed(task(spring, 2, "Build the images", "grace"), 20),
        started(task(spring, 3, "Test the upgrade", "ada"), 2),
        task(spring, 4, "Sign the packages", "grace"),
        task(spring, 5, "Publish the notes", "ada"),
    ];
    Work {
        caller: Caller {
            id: Uuid::from_u128(5),
            username: "ada".to_owned(),
            role: Role::Developer,
        },
        now: now(),
        current: Some(tasks[2].clone()),
        next: vec![NextTask {
            task: tasks[4].clone(),
            blocked_by: Some(Blocker::Predecessor(tasks[3].clone())),
        }],
        completed: vec![tasks[0].clone()],
        more_tasks: false,
        releases: vec![ReleaseFacts {
            id: spring.0,
            name: spring.1.to_owned(),
            version: "2.0".to_owned(),
            completed_at: None,
            created_at: hours_ago(240),
            tasks,
        }],
        more_releases: false,
    }
}

/// A release with this many tasks, of which the first `done` are completed.
pub(crate) fn long_release(tasks: usize, done: usize) -> ReleaseFacts {
    let id = (Uuid::from_u128(78), "Longhaul");
    let tasks = (0..tasks).map(|n| {
        let task = task(id, n as i64, &format!("step {n}"), "ada");
        if n < done { completed(task, 50) } else { task }
    });
    ReleaseFacts {
        id: id.0,
        name: id.1.to_owned(),
        version: String::new(),
        completed_at: None,
        created_at: hours_ago(500),
        tasks: tasks.collect(),
    }
}

/// Answered turns 1, 2, 3, ….
pub(crate) fn turns(count: u64) -> Vec<Turn> {
    let turn = |number| Turn {
        number,
        question: Question {
            id: MessageId::generate(),
            content: QuestionText::new(&format!("question {number}")).unwrap(),
            asked_at: now(),
        },
        state: TurnState::Answered(Answer {
            id: MessageId::generate(),
            content: format!("answer {number}"),
            model: "m".to_owned(),
            answered_at: now(),
            latency_ms: 1,
            time_to_first_token_ms: 1,
            tokens: Tokens::default(),
            context: UsedContext::default(),
        }),
    };
    (1..=count).map(turn).collect()
}
