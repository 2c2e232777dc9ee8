//! What is read of a question, and what is said not to be.

use super::super::*;
use crate::prompt::{ReleaseFacts, samples};

/// Ada's work in Spring with due dates, and releases with the names of ordinary words.
fn named() -> Work {
    let mut work = samples::work();
    let due = |text: &str| Some(text.parse().unwrap());
    work.releases[0].tasks[2].due_at = due("2026-03-03T12:00:00Z");
    work.releases[0].tasks[3].due_at = due("2026-03-06T12:00:00Z");
    work.releases[0].tasks[4].due_at = due("2026-03-01T12:00:00Z");
    work.current = Some(work.releases[0].tasks[2].clone());
    work.next[0].task = work.releases[0].tasks[4].clone();
    for (n, name) in ["Big", "Add", "Next", "Process", "March", "Big Bang"]
        .into_iter()
        .enumerate()
    {
        let id = uuid::Uuid::from_u128(500 + n as u128);
        work.releases.push(ReleaseFacts {
            id,
            name: name.to_owned(),
            tasks: vec![samples::task((id, name), 1, "Call everybody", "grace")],
            ..samples::long_release(0, 0)
        });
    }
    work
}

fn of_admin() -> Work {
    let mut work = named();
    "admin".clone_into(&mut work.caller.username);
    work.caller.role = Role::Admin;
    work.current = None;
    work.next.clear();
    work.completed.clear();
    work
}

/// Checks how the answer to each question begins.
#[track_caller]
fn begin(work: &Work, cases: &[(&str, &str)]) {
    let wrong = cases.iter().filter_map(|(question, expected)| {
        let text = answer(work, question);
        (!text.starts_with(expected)).then(|| format!("{question}: {text}"))
    });
    let wrong: Vec<_> = wrong.collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn times_that_are_used_are_not_said_to_be_unknown() {
    let on = |day: &str| format!("1 open task in the releases is due {day}:");
    let sixth = on("on 6 March 2026");
    for question in [
        "what is due on 2026-03-06?",
        "what is due on 6 March?",
        "what is due on March 6",
        "What is due on the 6th of March 2026?",
        "what is due on Friday, 6 March?",
        "what is due on 6 Mar",
        "what is due on 6 March 2026, 12:00 UTC?",
        "what is due on 2026-03-06T12:00:00Z",
    ] {
        begin(&of_admin(), &[(question, &sixth)]);
    }
    begin(
        &of_admin(),
        &[
            ("what is due in the next 3 days?", &on("in the next 3 days")),
            ("what is due within 2 weeks?", &on("in the next 2 weeks")),
            ("what is due within a week?", &on("in the next 1 week")),
            (
                "what is due the day after tomorrow",
                &on("the day after tomorrow"),
            ),
            (
                "what is due between 5 March and 7 March?",
                &on("from 5 March 2026 to 7 March 2026"),
            ),
            ("what was due last sunday", &on("on Sunday")),
            ("what is due after 5 March", &on("after 5 March 2026")),
            (
                "what was accomplished on 3 March?",
                "On 3 March 2026 (from 3 March 2026, 00:00 UTC to 4 March",
            ),
            (
                "what happened since 3 March 2026, 10:00 UTC?",
                "Since 3 March 2026 (from 3 March 2026, 00:00 UTC on)",
            ),
            ("Good morning, how far is Spring?", "Spring is open"),
            (
                "What is due on 4 March at 15:00?",
                "No open task in the releases is due on 4 March",
            ),
        ],
    );
    let text = answer(&of_admin(), "what is due on 6 March 2026, 12:00 UTC?");
    assert!(text.contains("I do not look at times of day"), "{text}");
}

#[test]
fn times_and_words_that_are_not_used_are_named() {
    begin(
        &of_admin(),
        &[
            (
                "what is due on 12/03",
                "I do not understand “12/03”.\n3 open tasks",
            ),
            ("what is due on the 3rd?", "I do not know “3rd”. I see"),
            ("what is due in May?", "I do not know “may”. I see"),
            (
                "what is due in April?",
                "I do not understand this time, and answer for all due dates.\n",
            ),
            (
                "what is due on Friday and on Monday",
                "I do not understand “monday”.\n1 open task in the releases is due on Friday:",
            ),
            (
                "what is due on 31 February",
                "I do not understand this time",
            ),
            (
                "what changed on 2026-12-03?",
                "I do not understand this time.",
            ),
            (
                "how far was Spring in June?",
                "I do not understand this time.",
            ),
            (
                "what is due in Winter in April",
                "I do not know “winter”. I see",
            ),
            (
                "how far is Spring flumm",
                "I do not understand “flumm”.\nSpring is open",
            ),
            (
                "flumm what is due glorp",
                "I do not understand “flumm” and “glorp”.\n",
            ),
        ],
    );
    begin(
        &named(),
        &[
            (
                "what is next for me flumm",
                "I do not understand “flumm”.\nYou are",
            ),
            ("what are my next 3 tasks", "You are working on"),
            (
                "which of my tasks can I start in April?",
                "I do not understand this time.",
            ),
        ],
    );
}

#[test]
fn a_release_whose_name_is_an_ordinary_word_is_found() {
    begin(
        &of_admin(),
        &[
            ("How far is Big?", "Big is open"),
            ("how far is big?", "Big is open"),
            ("Big", "Big is open"),
            ("Big status?", "Big is open"),
            ("Is Big done?", "Big is open"),
            ("who works on “Big”?", "Big: nobody is working on it"),
            ("who works on \"add\"?", "Add: nobody is working on it"),
            ("Who works on Add?", "Add: nobody is working on it"),
            ("who has tasks in add", "Add: nobody is working on it"),
            ("How far is Add?", "Add is open"),
            (
                "What is due in Big this week?",
                "No open task in Big is due this week.",
            ),
            ("what is overdue in Big?", "No open task in Big is overdue."),
            ("What is next for Next?", "Next is open"),
            ("how far is March?", "March is open"),
            ("How far is Big Bang?", "Big Bang is open"),
            ("How far is Process?", "Process is open"),
            ("How far is Bang?", "Big Bang is open"),
            // These are no names.
            ("what is next?", "7 of the releases are open"),
            ("What Is Next?", "7 of the releases are open"),
            (
                "which tasks are in process?",
                "1 task in the releases is in process:",
            ),
        ],
    );
    let mut work = of_admin();
    "mark".clone_into(&mut work.releases[1].tasks[0].assignee);
    begin(
        &work,
        &[
            ("what does “mark” do", "Mark is not working"),
            ("Is Mark done?", "Mark is not working"),
        ],
    );
}

#[test]
fn a_task_whose_title_is_an_ordinary_word_is_found_before_a_verb() {
    let mut work = named();
    work.releases.truncate(1);
    "ship".clone_into(&mut work.releases[0].tasks[3].title);
    begin(
        &work,
        &[
            (
                "when is ship due?",
                "“ship” in Spring is due on 6 March 2026",
            ),
            ("is ship done?", "“ship” in Spring belongs to grace"),
            ("has ship started", "“ship” in Spring belongs to grace"),
            ("when can ship start?", "“ship” in Spring belongs to grace"),
            ("who owns ship?", "“ship” in Spring belongs to grace"),
            ("why is ship blocked?", "“ship” in Spring cannot start"),
            ("did we ship Spring?", "Spring is open"),
        ],
    );
}

#[test]
fn the_completed_tasks_are_named_when_they_are_asked_for() {
    let mut work = named();
    work.releases.truncate(1);
    for question in ["what did I complete?", "what have I completed?"] {
        let text = answer(&work, question);
        let expected =
            "You have completed 1 of 3 tasks. Completed last: “Freeze the branch” in Spring.";
        assert!(text.ends_with(expected), "{question}: {text}");
    }
    let text = answer(&work, "what has grace finished?");
    assert!(
        text.ends_with("Completed last: “Build the images” in Spring."),
        "{text}"
    );
    assert!(!answer(&work, "what is grace doing?").contains("Completed last"));
}

#[test]
fn the_states_are_understood() {
    let test = "“Test the upgrade” in Spring (ada), since 4 March 2026, 10:00 UTC, overdue since 3 March 2026, 12:00 UTC";
    let all = format!("1 task in the releases is in process:\n- {test}");
    let stale =
        format!("{all}\nI do not know after how long a task is stale (`SLIPWAY_STALE_AFTER`).");
    for (question, expected) in [
        ("which tasks are in process?", all.as_str()),
        ("what is in progress", &all),
        ("which tasks are IN_PROCESS?", &all),
        ("what is stale?", &stale),
        (
            "which tasks of ada are stale?",
            "1 task of ada in the releases is in process:",
        ),
        (
            "is anything in progress in Big?",
            "No task in Big is in process.",
        ),
        ("who has no tasks?", ABOUT),
        ("who is without tasks?", ABOUT),
        (
            "which releases are reopened?",
            "None of the releases is reopened.",
        ),
        ("which tasks are blocked?", "7 of the releases are open"),
        (
            "which releases are completed?",
            "None of the releases is completed.",
        ),
    ] {
        begin(&of_admin(), &[(question, expected)]);
    }
    let mut work = of_admin();
    work.releases[1].tasks[0].hotfix = true;
    begin(
        &work,
        &[
            (
                "which releases are reopened?",
                "Big is reopened: its only task",
            ),
            ("was Big reopened?", "Big is reopened"),
        ],
    );
    let mut work = named();
    begin(
        &work,
        &[(
            "which of my tasks are in progress?",
            "1 task of yours is in process:",
        )],
    );
    work.releases[0].tasks[2].state = TaskState::Todo;
    begin(
        &work,
        &[(
            "which of my tasks are in progress?",
            "No task of yours is in process.",
        )],
    );
}

#[test]
fn the_next_task_of_anybody_is_told_with_its_date() {
    let date = ", overdue since 1 March 2026, 12:00 UTC.";
    for (work, question, lead) in [
        (named(), "what is next for me?", "next for you is"),
        (named(), "what is ada's next task?", "next for you is"),
        (of_admin(), "What is next for ada?", "Next for ada is"),
    ] {
        let text = answer(&work, question);
        let expected = format!("{lead} “Publish the notes” in Spring{date}");
        assert!(text.contains(&expected), "{question}: {text}");
    }
    let mut work = of_admin();
    work.releases.truncate(1);
    let text = answer(&work, "What is next for grace?");
    let expected = "“Sign the packages” in Spring, due on 6 March 2026, 12:00 UTC.";
    assert!(text.contains(expected), "{text}");
}
