//! The same with a real Keycloak: `backbones/keycloak` starts one.

use std::env;

use regex::Regex;
use reqwest::{
    Client, StatusCode,
    header::{ACCEPT, LOCATION, SET_COOKIE},
    redirect::Policy,
};
use slipway_tests::{Options, PlainBrowser, Process, plain::HTML};
use url::Url;

use super::{SESSION, account};

/// The password of everybody in the realm.
const PASSWORD: &str = "for-tests";

/// The issuer of the realm; `None`, with a message on standard error, if there is no Keycloak. It
/// is not required with the other servers, because its start takes a minute.
fn issuer() -> Option<String> {
    let issuer = env::var("SLIPWAY_TEST_KEYCLOAK").ok();
    if issuer.is_none() {
        eprintln!("SKIPPED: SLIPWAY_TEST_KEYCLOAK is not set");
    }
    issuer
}

/// The user signs in by Keycloak's form; returns where it sends the browser back to.
async fn sign_in(address: &str, username: &str) -> anyhow::Result<String> {
    let browser = Client::builder().redirect(Policy::none()).build()?;
    let page = browser.get(address).send().await?;
    // The fields of the form belong to these cookies.
    let set = page.headers().get_all(SET_COOKIE).iter();
    let cookies: Vec<_> = set
        .filter_map(|cookie| cookie.to_str().ok()?.split(';').next())
        .map(str::to_owned)
        .collect();
    let page = page.text().await?;
    let action = Regex::new(r#"<form id="kc-form-login"[^>]* action="([^"]+)""#)?;
    let action = action.captures(&page).expect("a form to sign in")[1].replace("&amp;", "&");
    let fields = form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("username", username), ("password", PASSWORD)])
        .finish();
    let answer = browser
        .post(action)
        .header("cookie", cookies.join("; "))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(fields)
        .send()
        .await?;
    assert_eq!(
        answer.status(),
        StatusCode::FOUND,
        "{}",
        answer.text().await?
    );
    Ok(answer.headers()[LOCATION].to_str()?.to_owned())
}

#[tokio::test]
async fn people_of_a_real_keycloak_sign_in_and_out() -> anyhow::Result<()> {
    let Some(issuer) = issuer() else {
        return Ok(());
    };
    let options = Options::default()
        .env("SLIPWAY_OIDC_ISSUER", &issuer)
        .env("SLIPWAY_OIDC_CLIENT_ID", "slipway")
        .env("SLIPWAY_OIDC_CLIENT_SECRET", PASSWORD)
        .env("SLIPWAY_OIDC_ROLE_CLAIM", "roles")
        .env("SLIPWAY_OIDC_NAME", "Keycloak");
    let server = Process::start_with(&options).await?;
    let admin = server.admin().await?;
    for (username, role) in [("ada", "ADMIN"), ("grace", "DEVELOPER"), ("ada", "ADMIN")] {
        let mut browser = PlainBrowser::new(&server.http);
        let begun = browser.open("/auth/oidc/start?next=/profile").await?;
        assert_eq!(begun.status, 303, "{}", begun.text);
        let back = Url::parse(&sign_in(begun.header("location"), username).await?)?;
        assert!(back.as_str().starts_with(&server.http), "{back}");
        let iss = back.query_pairs().find(|(name, _)| name == "iss");
        assert_eq!(iss.unwrap().1, issuer);
        let address = format!("{}?{}", back.path(), back.query().unwrap());
        let answer = browser.open(&address).await?;
        let found = (answer.status, answer.header("location"));
        assert_eq!(
            found,
            (303, "/profile"),
            "{}\n{}",
            answer.text,
            server.log()
        );
        assert!(browser.cookie(SESSION).is_some());
        let account = account(&admin, username).await?;
        assert_eq!(account["role"], role);
        assert_eq!(account["email"], format!("{username}@example.com"));
    }

    // The page to sign in has a link to sign out of Keycloak, which knows where it leads back to.
    let page = PlainBrowser::new(&server.http).open("/sign-in").await?;
    let link = Regex::new(r#"href="([^"]*/protocol/openid-connect/logout[^"]*)""#)?;
    let link = link.captures(&page.text).expect("a link")[1].replace("&amp;", "&");
    let answer = Client::new().get(link).header(ACCEPT, HTML).send().await?;
    let page = format!("{}/sign-in", server.http);
    assert_eq!(
        (answer.status(), answer.url().as_str()),
        (StatusCode::OK, &*page)
    );
    Ok(())
}
