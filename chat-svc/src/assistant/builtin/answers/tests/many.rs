//! Questions about nothing, one task, and more than are read.

use jiff::SignedDuration;
use uuid::Uuid;

use super::super::*;
use crate::prompt::{ReleaseFacts, samples};

/// Ada's work in Spring, and 510 tasks to start in 102 other releases, of which 99 were read. The
/// first task of each is Bob's or Grace's, the others are Ada's. Every tenth release has a due
/// date.
fn many() -> Work {
    let mut work = samples::work();
    let blocked_by = work.next[0].blocked_by.clone();
    for n in 1..=102 {
        let name = format!("Train {n}");
        let release = (Uuid::from_u128(1_000 + n), name.as_str());
        let owner = if n % 2 == 0 { "grace" } else { "bob" };
        let mut tasks = vec![samples::task(release, 0, "Approve the budget", owner)];
        for place in 1..=5 {
            let title = format!("Order {}", (n - 1) * 5 + place);
            let mut task = samples::task(release, place as i64, &title, "ada");
            if n % 10 == 3 && place == 2 {
                let day = SignedDuration::from_hours(24 * (n as i64 - 20));
                task.due_at = Some(work.now + day);
            }
            work.next.push(NextTask {
                task: task.clone(),
                blocked_by: blocked_by.clone(),
            });
            tasks.push(task);
        }
        if n < 100 {
            work.releases.push(ReleaseFacts {
                id: release.0,
                name: name.clone(),
                tasks,
                ..samples::long_release(0, 0)
            });
        }
    }
    work.more_releases = true;
    work
}

/// The same, asked by an administrator.
fn of_admin() -> Work {
    let mut work = many();
    "admin".clone_into(&mut work.caller.username);
    work.caller.role = Role::Admin;
    without_tasks(&mut work);
    work
}

fn without_tasks(work: &mut Work) {
    work.current = None;
    work.next.clear();
    work.completed.clear();
}

/// Checks that each answer begins with the first text and contains the others.
#[track_caller]
fn answers(work: &Work, cases: &[(&str, &[&str])]) {
    for (question, expected) in cases {
        let text = answer(work, question);
        assert!(text.starts_with(expected[0]), "{question}: {text}");
        for part in &expected[1..] {
            assert!(text.contains(part), "{question}: {text}");
        }
    }
}

const MORE: &str = "\nI read only 100 of your releases; there are more.";
const MORE_OF_ALL: &str = "\nI read only 100 of the releases; there are more.";

#[test]
fn a_part_of_many_tasks_is_never_presented_as_all() {
    answers(
        &many(),
        &[
            (
                "what is next for me?",
                &[
                    "You are working on",
                    "After it you have 510 more tasks to start.",
                ],
            ),
            (
                "list all my tasks",
                &[
                    "You are working on",
                    "to start:\n- “Order 1” in Train 1",
                    "\n… and 500 more.",
                ],
            ),
            (
                "how many tasks do I have",
                &["You are", "completed 1 of 513 tasks."],
            ),
            (
                "why can't I start",
                &["“Publish", "510 more tasks of yours are blocked too."],
            ),
            (
                "which of my tasks are not blocked",
                &["None of your tasks can start now."],
            ),
            (
                "status of order 507",
                &["“Order 507” in Train 102 is yours; you have not started it."],
            ),
            (
                "who has the budget in train 3?",
                &["“Approve the budget” in Train 3 belongs to bob"],
            ),
            (
                "budget",
                &[
                    "I find 99 such tasks; the first 10 are:\n“Approve the budget” in Train 1",
                    MORE,
                ],
            ),
            (
                "what about the notes",
                &["“Publish the notes” in Spring is yours"],
            ),
            (
                "how far is train 7",
                &["Train 7 is open: 0 of 6 tasks are completed (0 %)."],
            ),
            (
                "how far is train 101",
                &[
                    "I do not know “train 101”. I see only the releases you have a task in",
                    MORE,
                ],
            ),
            (
                "train",
                &[
                    "Train 1 is open",
                    "\n89 more releases have this name.",
                    MORE,
                ],
            ),
            (
                "how many releases are open?",
                &[
                    "100 of your releases are open, with 2 of 599 tasks completed; the first 10:",
                    MORE,
                ],
            ),
            (
                "who works on what",
                &["100 of your releases", "Spring: you are working on", MORE],
            ),
            (
                "grace",
                &["Grace is not", "Grace has completed 1 of 51 tasks.", MORE],
            ),
            ("what changed since yesterday", &["Since yesterday", MORE]),
            (
                "who is waiting for me",
                &["In Spring, grace waits for you", MORE],
            ),
        ],
    );
}

#[test]
fn due_dates_are_found_among_all_tasks() {
    let (second, third) = (
        "“Order 12” in Train 3 (you)",
        "“Order 62” in Train 13 (you)",
    );
    answers(
        &many(),
        &[
            (
                "what is overdue?",
                &["2 open tasks of yours are overdue:", second, third],
            ),
            (
                "Which releases are late",
                &["2 open tasks in your releases are overdue:", MORE],
            ),
            (
                "what is due this week",
                &[
                    "1 open task of yours is due this week:",
                    "7 March 2026, 12:00 UTC: “Order 112”",
                ],
            ),
            (
                "do I have anything due today",
                &["No open task of yours is due today."],
            ),
            (
                "due next month",
                &["3 open tasks of yours are due next month:"],
            ),
            (
                "what is due by friday",
                &["2 open tasks of yours are due by Friday, of which 2 are"],
            ),
            (
                "what is due after april",
                &["I do not understand this time"],
            ),
            (
                "tasks of bob due this week",
                &["No open task of bob in your releases is due", MORE],
            ),
            (
                "when is order 112 due?",
                &["“Order 112” in Train 23 is due on 7 March 2026, 12:00 UTC."],
            ),
            (
                "is the notes task late",
                &["“Publish the notes” in Spring has no due date."],
            ),
            (
                "what is due tomorow",
                &[
                    "I do not understand “tomorow”.\n10 open tasks of yours have a due date",
                    "\n502 open tasks of yours have no due date.",
                ],
            ),
        ],
    );
    answers(
        &of_admin(),
        &[
            (
                "what is overdue",
                &["2 open tasks in the releases are overdue:", MORE_OF_ALL],
            ),
            (
                "what is next?",
                &["100 of the releases are open", MORE_OF_ALL],
            ),
            (
                "what is blocked",
                &["100 of the releases are open", MORE_OF_ALL],
            ),
        ],
    );
    // The caller's own tasks are complete: no limit was reached.
    let text = answer(&many(), "what is due today");
    assert_eq!(text, "No open task of yours is due today.");
    let mut work = many();
    work.more_tasks = true;
    let text = answer(&work, "what is next for me");
    assert!(
        text.ends_with("\nI read only 513 of your tasks; you have more."),
        "{text}"
    );
}

#[test]
fn questions_about_others_are_not_answered_for_the_caller() {
    let unknown = "I see only the releases you have a task in";
    answers(
        &many(),
        &[
            (
                "what does admin work on",
                &["I do not know “admin”.", unknown, MORE],
            ),
            ("what is next for Bo", &["I do not know “bo”.", unknown]),
            (
                "what is next for nobody",
                &["I do not know “nobody”.", unknown],
            ),
            (
                "what is next for the managers",
                &["I do not know “managers”.", unknown],
            ),
            (
                "what is next for zoe in spring",
                &["I do not know “zoe”.\nSpring is open"],
            ),
            (
                "next bob",
                &["Bob is not working on a task in your releases"],
            ),
            (
                "bobs next task please",
                &["Bob is not working on a task in your releases"],
            ),
            (
                "what's next for bob in spring",
                &["Bob has no task in Spring."],
            ),
            (
                "is bob working on order 17?",
                &["“Order 17” in Train 4 is yours"],
            ),
            (
                "zoe next",
                &["I do not understand “zoe”, and answer for you.\nYou are working"],
            ),
            (
                "what are grace and I working on?",
                &[
                    "Grace is not working",
                    "\nYou are working on “Test the upgrade”",
                ],
            ),
            (
                "what did grace start yesterday",
                &["Yesterday", "grace started “Build the images”"],
            ),
            ("has grace not finished?", &["Grace is not working"]),
        ],
    );
    answers(
        &of_admin(),
        &[
            (
                "what does admin work on",
                &["You have no task: only developers are assigned tasks."],
            ),
            (
                "what is next for Bo",
                &["I do not know “bo”. I see these releases: Spring"],
            ),
            (
                "what does ada do?",
                &[
                    "Ada is working on “Test the upgrade” in Spring",
                    MORE_OF_ALL,
                ],
            ),
            (
                "what did I do today",
                &["Nothing was done by you", "I see who starts and completes"],
            ),
        ],
    );
}

#[test]
fn two_questions_get_two_answers() {
    answers(
        &many(),
        &[
            (
                "How far is Spring, and what is due this week?",
                &[
                    "Spring is open",
                    "\n\n1 open task of yours is due this week:",
                ],
            ),
            (
                "What is overdue? What is bob doing?",
                &["2 open tasks", "\n\nBob is not working"],
            ),
            (
                "Is my task blocked and who has it?",
                &["“Publish the notes” in Spring cannot start"],
            ),
            (
                "Why is “Order 1” blocked and why?",
                &["“Order 1” in Train 1 cannot start"],
            ),
        ],
    );
}

#[test]
fn what_is_not_known_is_refused() {
    for question in [
        "who finished the most tasks?",
        "who commented on the notes?",
        "who is idle",
        "who created Spring?",
        "what did I not finish yesterday",
        "what is the average duration of a task",
    ] {
        for work in [many(), of_admin()] {
            assert_eq!(answer(&work, question), ABOUT, "{question}");
        }
    }
}

#[test]
fn somebody_without_tasks_is_told_so() {
    let mut work = samples::work();
    without_tasks(&mut work);
    work.releases.clear();
    let nothing = "You have no task in any release, and I do not see other releases.";
    answers(
        &work,
        &[
            (
                "what is next",
                &["You have no task to start at the moment."],
            ),
            ("how many tasks do I have", &["You have no task."]),
            ("what is overdue", &["No open task of yours is overdue."]),
            ("who works on what", &[nothing]),
            ("what changed today", &[nothing]),
            ("who is waiting for me", &[nothing]),
            ("which releases are open?", &[nothing]),
            ("how far is Winter", &["I do not know “winter”.", nothing]),
        ],
    );
    work.caller.role = Role::Admin;
    answers(
        &work,
        &[
            ("what is next", &["There is no release yet."]),
            ("what changed today", &["There is no release yet."]),
            (
                "what is next for grace",
                &["I do not know “grace”. There is no release yet."],
            ),
        ],
    );
}

#[test]
fn one_task_is_told_in_the_singular() {
    let mut work = samples::work();
    work.current = None;
    work.completed.clear();
    for task in &mut work.releases[0].tasks[..4] {
        "grace".clone_into(&mut task.assignee);
    }
    answers(
        &work,
        &[
            (
                "how many tasks do I have?",
                &["You are not", "You have completed 0 of 1 task."],
            ),
            (
                "grace?",
                &["Grace is working on", "Grace has completed 2 of 4 tasks."],
            ),
            (
                "what have I completed",
                &["You are not", "You have completed 0 of 1 task."],
            ),
            (
                "which releases are completed?",
                &["None of your releases is completed."],
            ),
        ],
    );
}
