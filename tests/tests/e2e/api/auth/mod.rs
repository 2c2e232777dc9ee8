//! `/auth/…`, and the tokens that all other routes require.

mod cookie;
mod forgery;
mod login;
mod password;
mod programs;
mod register;
mod sessions;
// Only Linux has all of 127.0.0.0/8 without configuration.
#[cfg(target_os = "linux")]
mod throttle;
mod tokens;

use serde_json::json;
use slipway_tests::Process;

use super::unauthorized;

/// The token must be refused on every kind of request.
async fn refuses(server: &Process, token: &str, code: &str) -> anyhow::Result<()> {
    let client = server.client().with_token(token);
    for answer in [
        client.get("/auth/me").await?,
        client.get("/activity/stream").await?,
        client.post("/releases", &json!({"name": "a"})).await?,
    ] {
        unauthorized(answer, code);
    }
    Ok(())
}
