//! `ask`: the assistant, whose answer is printed as it comes.

use std::io;

use futures::StreamExt as _;
use serde::Deserialize;
use serde_json::{Value, json};
use sse_stream::SseStream;

use super::{
    client::{Client, ClientArgs, Refusal, innermost, signed_in},
    work::{key, print_lines},
};
use crate::{config::Layers, output, text::escape_lines};

/// What `ask` takes.
#[derive(clap::Args)]
pub struct AskArgs {
    /// The question
    #[arg(required = true, value_name = "QUESTION")]
    pub words: Vec<String>,
    /// Go on with the newest conversation instead of beginning one
    #[arg(long = "continue")]
    pub goes_on: bool,
    /// Print the answer as JSON, when it is complete
    #[arg(long)]
    pub json: bool,
    /// Which server, and who signs in.
    #[command(flatten)]
    pub client: ClientArgs,
}

#[derive(Deserialize)]
struct Session {
    id: String,
}

/// A piece of the answer.
#[derive(Deserialize)]
struct Token {
    text: String,
}

/// Asks, and prints the answer.
///
/// # Errors
/// If the server cannot be reached or refuses, or the answer is cut off.
pub async fn run(args: &AskArgs, layers: &Layers) -> anyhow::Result<()> {
    let ask = async |client: &Client, _| ask(args, client).await;
    signed_in(&args.client, layers, ask).await
}

async fn ask(args: &AskArgs, client: &Client) -> anyhow::Result<()> {
    let newest = match args.goes_on {
        true => client
            .items::<Session>("/chat/sessions", &[], 1)
            .await?
            .pop(),
        false => None,
    };
    let session = match newest {
        Some(session) => session,
        None => client.post("/chat/session", &key(), &json!({})).await?,
    };
    let path = format!("/chat/{}/message", session.id);
    let question = json!({"message": args.words.join(" ")});
    let answer = client.post_for_stream(&path, &key(), &question).await?;
    let mut events = SseStream::from_bytes_stream(answer.bytes_stream());
    let mut is_begun = false;
    while let Some(event) = events.next().await {
        let event = event.map_err(|error| cut_off(&innermost(&error)))?;
        let data = event.data.unwrap_or_default();
        match event.event.as_deref() {
            Some("token") if !args.json => {
                let Token { text } = serde_json::from_str(&data)?;
                is_begun = true;
                output::print(&shown(&text))?;
            }
            Some("done") if args.json => {
                return print_lines(&[serde_json::from_str::<Value>(&data)?]);
            }
            Some("done") => return output::print("\n"),
            Some("error") => {
                if is_begun {
                    output::print("\n")?;
                }
                return Err(Refusal::of_event(&data).into());
            }
            _ => {}
        }
    }
    Err(cut_off("the server has closed the connection").into())
}

fn cut_off(reason: &str) -> io::Error {
    io::Error::other(format!("the answer is cut off: {reason}"))
}

/// A piece of an answer on a terminal.
fn shown(text: &str) -> String {
    escape_lines(&text.replace("\r\n", "\n").replace('\t', "    "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_keeps_its_lines_and_cannot_act_on_the_terminal() {
        assert_eq!(shown("a\r\n\tb\x1b[2J"), "a\n    b\\u{1b}[2J");
    }
}
