//! The body of the request to the model.

use serde_json::{Value, json};

use crate::{
    harness::{Chat, WINDOW, answer_info},
    ollama::{FakeOllama, says},
};

#[tokio::test]
async fn the_request_has_model_options_work_and_the_last_five_messages() {
    let ollama = FakeOllama::start().await;
    let chat = Chat::with(&ollama).await;
    let ada = chat.user("ada").await;
    let titles = ["Plan it", "Build it", "Test it", "Ship it"];
    chat.releases.give(ada.id, "ada", "Spring", &titles);
    for n in 1..=4 {
        ollama.then(says(&format!("answer {n}")));
        ada.ask(&format!("question {n}")).await.unwrap();
    }
    ollama.then(says("answer 5"));
    let answer = ada.ask("question 5").await.unwrap();

    let request = ollama.requests().pop().unwrap();
    assert_eq!(request["model"], "llama3.2");
    assert_eq!(request["stream"], true);
    assert_eq!(request["keep_alive"], "1800s");
    let options = json!({"num_ctx": WINDOW, "num_predict": 1024, "temperature": 0.2});
    assert_eq!(request["options"], options);
    let mut members: Vec<&String> = request.as_object().unwrap().keys().collect();
    members.sort();
    let expected = ["keep_alive", "messages", "model", "options", "stream"];
    assert_eq!(members, expected);
    let messages = request["messages"].as_array().unwrap();
    assert_eq!(messages[0]["role"], "system");
    let texts: Vec<&Value> = messages[1..].iter().collect();
    let message = |role: &str, content: &str| json!({"role": role, "content": content, "tool_calls": [], "thinking": null});
    let expected = [
        message("assistant", "answer 2"),
        message("user", "question 3"),
        message("assistant", "answer 3"),
        message("user", "question 4"),
        message("assistant", "answer 4"),
        message("user", "question 5"),
    ];
    assert_eq!(texts, expected.iter().collect::<Vec<_>>());

    let system = messages[0]["content"].as_str().unwrap();
    for part in [
        r#""user":"ada""#,
        r#""role":"DEVELOPER""#,
        r#""currentTask":{"title":"Build it""#,
        r#""code":"DEVELOPER_BUSY""#,
        r#""code":"TASK_OUT_OF_ORDER""#,
        r#""release":"Spring""#,
        r#""completedTasks":1"#,
    ] {
        assert!(system.contains(part), "{part}: {system}");
    }

    let info = answer_info(&answer);
    assert_eq!(answer.content, "answer 5");
    assert_eq!(info.model, "llama3.2");
    assert_eq!(
        (info.prompt_tokens, info.answer_tokens),
        (Some(321), Some(12))
    );
    let context = info.context.unwrap();
    assert_eq!((context.messages, context.dropped), (5, 0));
    assert_eq!((context.task_ids.len(), context.release_ids.len()), (4, 1));
}

#[tokio::test]
async fn the_work_is_read_in_a_bounded_number_of_calls() {
    let ollama = FakeOllama::start().await;
    let chat = Chat::with(&ollama).await;
    let ada = chat.user("ada").await;
    let titles: Vec<String> = (0..300).map(|n| format!("step {n}")).collect();
    let titles: Vec<&str> = titles.iter().map(String::as_str).collect();
    chat.releases.give(ada.id, "ada", "Long", &titles);
    ada.ask("what is next?").await.unwrap();
    let calls = chat.releases.calls();
    assert_eq!(calls, 5, "three lists, one of two pages, and a release");
}

#[tokio::test]
async fn the_built_in_assistant_reads_hundreds_of_tasks_and_says_where_it_stops() {
    let chat = Chat::builtin().await;
    let ada = chat.user("ada").await;
    let titles = ["Plan it", "Build it", "Test it", "Ship it", "Announce it"];
    for n in 1..=171 {
        let name = format!("Train {n}");
        chat.releases.give(ada.id, "ada", &name, &titles);
    }
    let answer = ada.ask("How many tasks do I have?").await.unwrap();
    let all = "You have completed 171 of 855 tasks.";
    assert!(answer.content.ends_with(all), "{}", answer.content);
    // One release more than is read: the one that is named is read all the same.
    let answer = ada.ask("How far is Train 2?").await.unwrap();
    let far = "Train 2 is open: 1 of 5 tasks is completed (20 %).";
    assert!(answer.content.starts_with(far), "{}", answer.content);
    let answer = ada.ask("Who works on what?").await.unwrap();
    let limit = "I read only 100 of your releases; there are more.";
    assert!(answer.content.ends_with(limit), "{}", answer.content);
    for (question, expected) in [
        ("what is next for nobody?", "I do not know “nobody”."),
        ("what does admin work on?", "I do not know “admin”."),
    ] {
        let answer = ada.ask(question).await.unwrap();
        assert!(answer.content.starts_with(expected), "{}", answer.content);
    }
    // A release of its own for more tasks than the bound.
    let grace = chat.user("grace").await;
    let titles: Vec<String> = (0..1_300).map(|n| format!("step {n}")).collect();
    let titles: Vec<&str> = titles.iter().map(String::as_str).collect();
    chat.releases.give(grace.id, "grace", "Long", &titles);
    let answer = grace.ask("What is next for me?").await.unwrap();
    let limit = "I read only 1002 of your tasks; you have more.";
    assert!(answer.content.ends_with(limit), "{}", answer.content);
}

#[tokio::test]
async fn an_unanswered_question_is_not_shown_to_the_model_later() {
    let ollama = FakeOllama::start().await;
    let chat = Chat::with(&ollama).await;
    let ada = chat.user("ada").await;
    ada.ask("first").await.unwrap();
    ollama.then(crate::ollama::Reaction::Refuses(500, "{}"));
    ada.ask("second").await.unwrap_err();
    ada.ask("third").await.unwrap();
    let request = ollama.requests().pop().unwrap();
    let messages = request["messages"].as_array().unwrap();
    let texts: Vec<&str> = messages[1..]
        .iter()
        .map(|m| m["content"].as_str().unwrap())
        .collect();
    assert_eq!(texts, ["first", "ok", "third"]);
}
