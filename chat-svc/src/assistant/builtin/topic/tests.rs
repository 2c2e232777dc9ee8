use super::*;
use crate::prompt::{Work, samples};

fn topic_of(text: &str, work: &Work) -> Topic {
    topic(&Question::of(text, work))
}

#[test]
fn questions_are_understood_however_they_are_put() {
    let cases: &[(Topic, &[&str])] = &[
        (
            Topic::Next,
            &[
                "What is next for me?",
                "what's next",
                "What should I do now?",
                "What should I do today?",
                "What am I working on?",
                "Which task can I start?",
                "my tasks please",
                "What do I have to do?",
                "Anything left for me to do?",
                "What's on my plate?",
                "What is my current task",
                "What can I pick up next?",
                "what are my next 3 tasks",
                "waht is next for me",
                "whats next for me in spring?",
                "Could you tell me what's next, please?",
            ],
        ),
        (
            Topic::Blocked,
            &[
                "Why is it blocked?",
                "why can’t I start",
                "Why can't I start Publish the notes?",
                "Why can I not start my task?",
                "Who is blocking me?",
                "Is grace blocking me?",
                "What am I waiting for?",
                "Who am I waiting for?",
                "what's stopping me",
                "What is in my way?",
                "Which tasks does mine depend on?",
                "I'm stuck, why?",
                "Why is sign the packages blocked?",
            ],
        ),
        (
            Topic::BehindMe,
            &[
                "Who is waiting for me?",
                "Am I blocking anybody?",
                "who depends on me",
            ],
        ),
        (
            Topic::Progress,
            &[
                "How far is Spring?",
                "progress of spring",
                "What's the status of the release?",
                "How many tasks are left in Spring?",
                "Is Spring done?",
                "How is Spring going?",
                "Spring?",
                "Are we on track with 2.0",
                "Where does Spring stand?",
                "What percentage of Spring is completed?",
                "Why is Spring blocked?",
                "What's next for Spring?",
                "is spring done today?",
                "tell me about spring",
                "how are we doing",
                "which releases are open?",
                "list my releases",
                "give me an overview",
            ],
        ),
        (
            Topic::Other,
            &[
                "What is Grace working on?",
                "grace",
                "What is grace's next task?",
                "what is graces next task",
                "next task of @grace",
                "Is grace blocked?",
                "Why is Grace stuck?",
                "has grace finished?",
                "Can you tell me if grace is blocked?",
                "how many tasks does grace have left",
                "Is Grace done with Spring?",
                "what should grace do",
            ],
        ),
        (
            Topic::Mine,
            &[
                "How many tasks do I have?",
                "what have I completed",
                "what did I complete?",
                "which tasks did I finish?",
                "what has ada completed?",
                "How many have I finished?",
            ],
        ),
        (
            Topic::People,
            &[
                "Who works on what?",
                "Who's working on Spring?",
                "Whose task is it?",
                "Who is assigned to Spring?",
                "What is everybody doing?",
                "who is blocked?",
                "Is anybody stuck?",
                "who's next",
                "what are they doing",
                "which tasks are blocked?",
            ],
        ),
        (
            Topic::Task,
            &[
                "who owns Sign the packages",
                "Is “Sign the packages” done?",
                "when can publish the notes start?",
            ],
        ),
        (
            Topic::Changes,
            &[
                "What changed since yesterday?",
                "What has happened since yesterday",
                "What's new?",
                "Any news?",
                "What did I miss?",
                "Recent changes in Spring",
                "give me the latest updates",
                "what did we complete last week?",
                "what did grace do yesterday",
                "which tasks were finished in the last 3 days",
                "who completed something this week",
                "what did I complete on monday?",
            ],
        ),
        (
            Topic::UnclearTime,
            &[
                "what did we do last quarter?",
                "what did we ship in 2025",
                "what happens next year",
                "changes in june",
            ],
        ),
        (
            Topic::Due,
            &[
                "what is due this week?",
                "Am I late?",
                "When is Spring due",
                "deadlines of grace",
            ],
        ),
        (
            Topic::Forecast,
            &[
                "When will Spring be finished?",
                "how long until we are done",
                "ETA of spring?",
                "how long has grace been working",
            ],
        ),
        (
            Topic::Stranger,
            &[
                "What is bob's next task?",
                "Is bob blocked?",
                "why is bob stuck",
                "what did bob complete last week",
                "who is bob?",
                "tell me about Winter",
                "How far is Winter?",
                "Is the winter release done?",
                "how many tasks are left in winter",
                "How far is release 7?",
                "status of 1.30",
                "grese's next task",
                "when will winter be ready",
                "what is due in winter",
                "is bob busy?",
                "tasks assigned to bob",
                "and 1.30?",
            ],
        ),
        (
            Topic::Nameless,
            &["Is she blocked?", "what is he working on"],
        ),
        (
            Topic::Deed,
            &["Start my task", "please complete Publish the notes"],
        ),
        (
            Topic::Unknown,
            &[
                "Who are you?",
                "What can you do?",
                "help",
                "Why is the sky blue?",
                "Write me a poem about ships",
                "Translate hello into German",
                "What is the password of grace?",
            ],
        ),
    ];
    let work = samples::work();
    let mut wrong = Vec::new();
    for (expected, questions) in cases {
        for question in *questions {
            let found = topic_of(question, &work);
            if found != *expected {
                wrong.push((question, expected, found));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn releases_tasks_and_people_are_found_by_their_names() {
    let mut work = samples::work();
    work.releases[0].name = "Kubernetes 1.31".to_owned();
    let found = |text: &str| {
        let question = Question::of(text, &work);
        (question.releases.len(), question.stranger)
    };
    for known in [
        "how far is kubernetes 1.31?",
        "How far is 1.31?",
        "and kubernetes?",
    ] {
        assert_eq!(found(known), (1, None), "{known}");
    }
    assert_eq!(found("how far is it?"), (0, None));
    for (unknown, name) in [
        ("how far is kubernetes 1.30?", "kubernetes 1.30"),
        ("how far is Kubernetes v2", "kubernetes v2"),
        ("is version 4 done?", "4"),
    ] {
        assert_eq!(found(unknown), (0, Some(name.to_owned())), "{unknown}");
    }
    let mut twice = samples::work();
    twice.releases.push(twice.releases[0].clone());
    twice.releases[1].version = "3.0".to_owned();
    assert_eq!(Question::of("how far is spring?", &twice).releases.len(), 2);
    assert_eq!(
        Question::of("how far is Spring 7?", &samples::work())
            .stranger
            .as_deref(),
        Some("Spring 7")
    );
    assert_eq!(
        Question::of("how far is Spring 2?", &samples::work())
            .releases
            .len(),
        1
    );
    let question = Question::of("Who has “sign the packages”, Grace?", &work);
    assert_eq!(question.tasks[0].title, "Sign the packages");
    assert_eq!(question.others, ["grace"]);
    assert!(Question::of("gracefully", &work).others.is_empty());
}

#[test]
fn a_name_that_is_an_ordinary_word_is_meant_where_it_is_marked() {
    let mut work = samples::work();
    work.releases[0].tasks[1].assignee = "next".to_owned();
    work.releases[0].name = "What".to_owned();
    assert_eq!(topic_of("what is next?", &work), Topic::Next);
    assert_eq!(topic_of("is @next done?", &work), Topic::Other);
    assert_eq!(topic_of("next's tasks", &work), Topic::Other);
}
