//! Answers that sign nobody in, and leave no account behind.

use reqwest::Method;
use serde_json::json;
use slipway_tests::{Client, PlainBrowser};

use super::{
    SESSION, SIGN_IN, accounts, ada, at_the_provider, callback,
    fake::{Fake, LIES},
    refused, sign_in, start,
};

const UNVERIFIED: &str = "could not be verified, so nobody was signed in";
const EXPIRED: &str = "This sign-in has expired or was finished before";

#[tokio::test]
async fn no_lie_of_a_provider_signs_anybody_in() -> anyhow::Result<()> {
    let provider = Fake::start().await?;
    let server = start(&provider).await?;
    let admin = server.admin().await?;
    provider.knows(json!({"sub": "1"}));
    provider.knows_elsewhere(json!({"preferred_username": "ada", "email": "ada@example.com"}));
    let before = accounts(&admin).await?;
    for lie in LIES {
        provider.lies(Some(lie));
        let (browser, answer) = sign_in(&server, &provider).await?;
        let is_too_long = lie == super::fake::Lie::Endless;
        match is_too_long {
            true => refused(&answer, 503, "cannot be reached"),
            false => refused(&answer, 403, UNVERIFIED),
        }
        assert!(browser.cookie(SESSION).is_none(), "{lie:?}");
        assert_eq!(accounts(&admin).await?, before, "{lie:?}");
    }
    // The same user, without a lie.
    provider.lies(None);
    let (browser, answer) = sign_in(&server, &provider).await?;
    assert_eq!(answer.status, 303, "{}", answer.text);
    assert!(browser.cookie(SESSION).is_some());
    let log = server.log();
    assert!(
        log.contains("nonce") && !log.contains("eyJ") && !log.contains("code-"),
        "{log}"
    );
    Ok(())
}

#[tokio::test]
async fn an_answer_counts_once_and_in_the_browser_that_asked() -> anyhow::Result<()> {
    let provider = Fake::start().await?;
    let server = start(&provider).await?;
    let admin = server.admin().await?;
    let before = accounts(&admin).await?;
    provider.knows(ada());

    // Another browser, without and with a sign-in of its own.
    let (mut victim, answer_of_ada) = at_the_provider(&server, &provider).await?;
    let mut stranger = PlainBrowser::new(&server.http);
    let answer = stranger.open(&callback(&answer_of_ada)).await?;
    refused(&answer, 400, EXPIRED);
    let (mut mallory, answer_of_mallory) = at_the_provider(&server, &provider).await?;
    let answer = mallory.open(&callback(&answer_of_ada)).await?;
    refused(&answer, 400, EXPIRED);

    // The code of another sign-in: the provider refuses it, because the verifier is another.
    let (mut browser, mut mixed) = at_the_provider(&server, &provider).await?;
    mixed.insert("code".to_owned(), answer_of_mallory["code"].clone());
    refused(&browser.open(&callback(&mixed)).await?, 403, UNVERIFIED);

    // Without a state, with another one, and with one twice.
    for state in ["", "another"] {
        let (mut browser, mut back) = at_the_provider(&server, &provider).await?;
        back.insert("state".to_owned(), state.to_owned());
        refused(&browser.open(&callback(&back)).await?, 400, EXPIRED);
    }
    let (mut browser, back) = at_the_provider(&server, &provider).await?;
    let twice = format!("{}&code=another", callback(&back));
    refused(&browser.open(&twice).await?, 400, "has a parameter twice");
    assert_eq!(accounts(&admin).await?, before);

    // A request for the head alone does not use it up; the answer itself does.
    let head = Client::new(&server.http).request(Method::HEAD, &callback(&answer_of_ada));
    assert_eq!(head.send().await?.status(), 404);
    let secret = victim.cookie(SIGN_IN).unwrap().to_owned();
    assert_eq!(victim.open(&callback(&answer_of_ada)).await?.status, 303);
    let again = Client::new(&server.http)
        .request(Method::GET, &callback(&answer_of_ada))
        .header("cookie", format!("{SIGN_IN}={secret}"));
    let again = again.send().await?;
    assert_eq!(again.status(), 400);
    assert!(!again.headers().contains_key("location"));
    Ok(())
}

#[tokio::test]
async fn the_answer_of_another_provider_and_an_error_sign_nobody_in() -> anyhow::Result<()> {
    let provider = Fake::start().await?;
    let other = Fake::start().await?;
    let server = start(&provider).await?;
    let admin = server.admin().await?;
    let before = accounts(&admin).await?;
    provider.knows(ada());
    // The provider says that it always names itself (RFC 9207).
    for issuer in [&other.issuer, &format!("{}/", provider.issuer), ""] {
        let (mut browser, mut back) = at_the_provider(&server, &provider).await?;
        back.insert("iss".to_owned(), issuer.to_owned());
        refused(&browser.open(&callback(&back)).await?, 403, UNVERIFIED);
        // The sign-in is over.
        back.insert("iss".to_owned(), provider.issuer.clone());
        refused(&browser.open(&callback(&back)).await?, 400, EXPIRED);
    }
    let (mut browser, mut back) = at_the_provider(&server, &provider).await?;
    back.insert("error".to_owned(), "access_denied\" <script>".to_owned());
    let answer = browser.open(&callback(&back)).await?;
    refused(&answer, 403, "The Guild did not sign you in");
    assert!(!answer.text.contains("script>"));
    assert_eq!(accounts(&admin).await?, before);
    Ok(())
}

#[tokio::test]
async fn keys_are_asked_for_again_when_the_provider_has_another_one() -> anyhow::Result<()> {
    let provider = Fake::start().await?;
    let server = start(&provider).await?;
    provider.knows(ada());
    for _ in 0..2 {
        let (_, answer) = sign_in(&server, &provider).await?;
        assert_eq!(answer.status, 303, "{}", answer.text);
        provider.rotates();
    }
    Ok(())
}

#[tokio::test]
async fn a_sign_in_leads_to_no_other_site() -> anyhow::Result<()> {
    let provider = Fake::start().await?;
    let server = start(&provider).await?;
    provider.knows(ada());
    for next in [
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "/auth/oidc/start",
    ] {
        let mut browser = PlainBrowser::new(&server.http);
        let next: String = form_urlencoded::byte_serialize(next.as_bytes()).collect();
        let begun = browser
            .open(&format!("/auth/oidc/start?next={next}"))
            .await?;
        let back = provider.sign_in(begun.header("location"));
        let answer = browser.open(&callback(&back)).await?;
        assert_eq!(
            (answer.status, answer.header("location")),
            (303, "/"),
            "{next}"
        );
    }
    Ok(())
}
