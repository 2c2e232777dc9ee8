//! Whether the model can answer, as the health of the service reports it.

use chat_svc::assistant::{Builtin, Ollama, OllamaConfig};
use slipway_runtime::life::Check as _;

use crate::{
    harness::{WINDOW, short_timeouts},
    ollama::{FakeOllama, Reaction, describes},
};

const MISSING: Reaction = Reaction::Refuses(404, r#"{"error":"model 'llama3.2' not found"}"#);

/// The problem that the health check reports.
async fn problem(ollama: &FakeOllama) -> Option<String> {
    let assistant = Ollama::new(short_timeouts(ollama)).unwrap();
    let problem = assistant.check().await.err();
    problem.map(|problem| problem.to_string())
}

#[tokio::test]
async fn a_server_with_the_model_is_healthy() {
    let ollama = FakeOllama::start().await;
    assert_eq!(problem(&ollama).await, None);
    ollama.describing(describes(&["completion", "thinking"]));
    assert_eq!(problem(&ollama).await, None);
}

#[tokio::test]
async fn a_server_without_descriptions_is_asked_for_its_list() {
    let ollama = FakeOllama::start().await;
    for reaction in [
        Reaction::Refuses(404, "404 page not found"),
        Reaction::Says(vec![b"{\"license\": null}".to_vec()]),
    ] {
        ollama.describing(reaction);
        for models in [vec!["other", "llama3.2"], vec!["Llama3.2:latest"]] {
            ollama.listing(Some(models));
            assert_eq!(problem(&ollama).await, None);
        }
    }
}

#[tokio::test]
async fn a_missing_model_is_reported_with_the_available_ones() {
    let ollama = FakeOllama::start().await;
    ollama.describing(MISSING);
    for (models, there) in [
        (vec![], "no models"),
        (vec!["llama3.2:1b", "x\u{202e}y"], "llama3.2:1b, xy"),
        (
            vec!["a", "b", "c", "d", "e", "f", "g"],
            "a, b, c, d, e, 2 more",
        ),
    ] {
        ollama.listing(Some(models));
        let expected = format!("it does not have llama3.2; it has {there}");
        assert_eq!(problem(&ollama).await, Some(expected));
    }
    ollama.listing(None);
    let expected = "it refuses: model 'llama3.2' not found";
    assert_eq!(problem(&ollama).await.as_deref(), Some(expected));
}

#[tokio::test]
async fn an_unreachable_or_silent_server_is_a_problem() {
    let ollama = FakeOllama::start().await;
    ollama.describing(Reaction::IsSilent);
    let silent = problem(&ollama).await.unwrap();
    assert_eq!(silent, "it was silent for too long");

    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let assistant = Ollama::new(OllamaConfig::new(url, "llama3.2", WINDOW)).unwrap();
    let away = assistant.check().await.unwrap_err();
    assert!(
        away.to_string().starts_with("it cannot be reached: "),
        "{away}"
    );
}

#[tokio::test]
async fn an_endless_description_is_not_read_to_the_end() {
    let ollama = FakeOllama::start().await;
    ollama.describing(Reaction::NeverEnds(vec![b' '; 64 * 1024]));
    ollama.listing(None);
    let config = OllamaConfig::new(&ollama.url, "llama3.2", WINDOW);
    let problem = Ollama::new(config).unwrap().check().await.unwrap_err();
    let problem = problem.to_string();
    assert!(
        problem.starts_with("it refuses: the answer makes no sense"),
        "{problem}"
    );
}

#[tokio::test]
async fn the_built_in_assistant_is_always_healthy() {
    assert_eq!(Builtin.check().await, Ok(()));
}
