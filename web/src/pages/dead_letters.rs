//! Dead letters, for administrators: events that a consumer group could not handle, and their replays.

use maud::{Markup, html};
use slipway_proto::notify::v1::{
    DeadLetter, DeadLetterFilter, DeadLetterState, DeadLetterSummary, GetDeadLetterRequest,
    ListDeadLettersRequest, ReplayDeadLettersResponse,
};
use slipway_rpc::error::Fault;

use super::{Page, asked};
use crate::{
    diff::{indented, lines},
    fields::Fields,
    parts::{Input, area, button, choice, input, moment, more, up, user},
    times::{sent, when},
    visit::Visit,
};

/// Replays those that match.
const REPLAY: &str = "/ui/dead-letters/replay";

/// Bytes of a payload that is no text which a page shows.
const SHOWN_BYTES: usize = 512;

/// The states: the value of the parameter, and its name.
const STATES: [(&str, &str); 3] = [
    ("", "Any"),
    ("WAITING", "Waiting"),
    ("REPLAYED", "Replayed"),
];

/// The causes: the value of the parameter, and its name.
const CAUSES: [(&str, &str); 5] = [
    ("", "Any"),
    ("undecodable", "Undecodable"),
    ("poison", "Poison"),
    ("panic", "Panic"),
    ("exhausted", "Retries exhausted"),
];

/// The fields that select dead letters.
const CONDITIONS: [&str; 6] = ["group", "type", "cause", "reason", "from", "to"];

/// What the fields of a form or a query select.
pub(crate) fn filter(fields: &Fields) -> Result<DeadLetterFilter, Fault> {
    let state = match fields.get("state") {
        "WAITING" => DeadLetterState::Waiting,
        "REPLAYED" => DeadLetterState::Replayed,
        _ => DeadLetterState::Unspecified,
    };
    Ok(DeadLetterFilter {
        group: fields.get("group").trim().to_owned(),
        event_type: fields.get("type").trim().to_owned(),
        cause: fields.get("cause").trim().to_owned(),
        reason: fields.get("reason").to_owned(),
        from: sent(fields, "from", "from")?,
        to: sent(fields, "to", "to")?,
        state: state.into(),
    })
}

/// Whether the fields of a form select all.
pub(crate) fn is_all(fields: &Fields) -> bool {
    CONDITIONS.iter().all(|name| fields.filled(name).is_none())
}

pub(super) async fn list(visit: &Visit) -> Result<Page, Fault> {
    let request = visit.request(ListDeadLettersRequest {
        filter: Some(filter(&visit.query)?),
        page_size: 50,
        page_token: visit.query.get("cursor").to_owned(),
    });
    let letters = visit.services().dead_letters.clone();
    let (answer, fault) = asked({ letters }.list_dead_letters(request).await)?;
    let page = Page::new(
        "Dead letters",
        html! {
            h1 { "Dead letters" }
            p.hint { "Events that a part of Slipway could not handle. Each waits until it is replayed to that part." }
            (filters(visit))
            @if !answer.dead_letters.is_empty() { (in_bulk(visit)) }
            div #letters data-live="" {
                @if answer.dead_letters.is_empty() { p.empty { "There are none here." } }
                ul.list { @for one in &answer.dead_letters { li.card { (row(visit, one)) } } }
                (more(visit, &answer.next_page_token, "Older ones"))
            }
        },
    )?;
    Ok(page.refused(fault))
}

fn filters(visit: &Visit) -> Markup {
    let query = &visit.query;
    let text = |label, name| {
        input(&Input {
            label,
            name,
            kind: "search",
            value: query.get(name),
            required: false,
            ..Input::default()
        })
    };
    html! {
        form.filters method="get" action="/admin/dead-letters" {
            (choice("State", "state", STATES, query.get("state")))
            (choice("Cause", "cause", CAUSES, query.get("cause")))
            (text("Consumer group", "group"))
            (text("Type of the event", "type"))
            (text("Text in the reason", "reason"))
            (moment("From", "from", query.get("from")))
            (moment("Until", "to", query.get("to")))
            (button("Show", ""))
        }
    }
}

/// The form that replays what the filter selects: first as a dry run.
fn in_bulk(visit: &Visit) -> Markup {
    let which = match is_all(&visit.query) {
        true => "all that wait",
        false => "those of this filter that wait",
    };
    html! {
        (visit.form(REPLAY, "act", &html! {
            (conditions(&visit.query))
            input type="hidden" name="dry" value="true";
            (button(&format!("Count {which}, to replay them"), ""))
        }))
    }
}

fn conditions(fields: &Fields) -> Markup {
    html! {
        @for name in CONDITIONS { input type="hidden" name=(name) value=(fields.get(name)); }
    }
}

/// What a replay of many did, or would do: shown above the list.
pub(crate) fn replayed(back: &str, fields: &Fields, answer: &ReplayDeadLettersResponse) -> Markup {
    let is_dry = fields.get("dry") == "true";
    let count = answer.ids.len();
    let gone = answer.group_gone.len();
    html! {
        section.card.now role="status" {
            h2.title {
                (count) @if count == 1 { " dead letter " } @else { " dead letters " }
                @if is_dry { "would be replayed" } @else { @if count == 1 { "was replayed" } @else { "were replayed" } }
            }
            @if gone > 0 { p { (gone) " of the others belong to a group that does not exist any more." } }
            @if answer.more { p { "More match: one replay takes this many at most. Replay again for the rest." } }
            @if is_dry && count > 0 {
                form.act method="post" action=(REPLAY) {
                    input type="hidden" name="back" value=(back);
                    (conditions(fields))
                    (button("Replay them", "main"))
                }
            }
        }
    }
}

fn row(visit: &Visit, one: &DeadLetterSummary) -> Markup {
    let kind = match one.event_type.as_str() {
        "" => "An event of no type",
        kind => kind,
    };
    html! {
        h2.title { a href={ "/admin/dead-letters/" (one.id) } { bdi { (kind) } } }
        (facts(visit, one))
        p.why dir="auto" { (one.reason) }
    }
}

fn facts(visit: &Visit, one: &DeadLetterSummary) -> Markup {
    html! {
        p.facts {
            @if one.state() == DeadLetterState::Replayed { span.state.done { "Replayed" } }
            @else { span.state.hotfix { "Waiting" } }
            " " span { "group " code { (one.group) } }
            " " span { (one.cause) }
            " " span { (one.attempts) @if one.attempts == 1 { " attempt" } @else { " attempts" } }
            " " span { "first failed " (when(one.first_failure.as_ref(), visit.now)) }
            " " span { "given up " (when(one.received_at.as_ref(), visit.now)) }
        }
    }
}

pub(super) async fn one(visit: &Visit, id: &str) -> Result<Page, Fault> {
    let request = visit.request(GetDeadLetterRequest { id: id.to_owned() });
    let letters = visit.services().dead_letters.clone();
    let answer = { letters }.get_dead_letter(request).await?.into_inner();
    let letter = answer.dead_letter.unwrap_or_default();
    let summary = letter.summary.clone().unwrap_or_default();
    let payload = std::str::from_utf8(&letter.payload).ok().map(indented);
    let waits = summary.state() != DeadLetterState::Replayed;
    Page::new(
        "Dead letter",
        html! {
            (up("/admin/dead-letters", "Dead letters"))
            h1 { "Dead letter" @if !summary.event_type.is_empty() { " of " bdi { (summary.event_type) } } }
            (facts(visit, &summary))
            p dir="auto" { (summary.reason) }
            @if !summary.replay_of.is_empty() {
                p { "It is a failed replay of " a href={ "/admin/dead-letters/" (summary.replay_of) } { "another dead letter" } "." }
            }
            @if !letter.returned_as.is_empty() {
                p { "Its replay failed too: " a href={ "/admin/dead-letters/" (letter.returned_as) } { "as this dead letter" } "." }
            }
            h2 { "Payload" }
            @match &payload {
                Some(text) => pre dir="auto" { (text) },
                None => { p.hint { "It is no text. Its first bytes:" } pre { (hexadecimal(&letter.payload)) } },
            }
            @for act in &letter.acts {
                section.card {
                    p { "Replayed by " (user(act.by.as_ref())) " " (when(act.at.as_ref(), visit.now)) "." }
                    @if let Some(edited) = &act.edited_payload {
                        p.hint { "With these changes of the payload:" }
                        (lines(payload.as_deref().unwrap_or_default(), &indented(edited)))
                    }
                }
            }
            @if waits { (replay(visit, id, payload.as_deref())) }
            (record(&letter, &summary))
            h2 { "Failures" }
            ol { @for failure in &letter.history {
                li dir="auto" { (when(failure.at.as_ref(), visit.now)) ": " (failure.error) }
            } }
        },
    )
}

fn replay(visit: &Visit, id: &str, payload: Option<&str>) -> Markup {
    let (plain, edited) = (
        format!("/ui/dead-letters/{id}/replay"),
        format!("/ui/dead-letters/{id}/edit"),
    );
    html! {
        (visit.form(&plain, "act", &html! { (visit.once(&plain)) (button("Replay it as it is", "main")) }))
        details.card open[visit.is_again(&edited)] {
            summary { "Edit the payload and replay it" }
            (visit.form(&edited, "stack", &html! {
                (visit.once(&edited))
                (area("Payload, as JSON", "payload", visit.typed(&edited, "payload", payload.unwrap_or_default()), 12, true))
                (button("Replay with this payload", "main"))
            }))
        }
    }
}

/// What the record had beside its payload.
fn record(letter: &DeadLetter, summary: &DeadLetterSummary) -> Markup {
    let (partition, offset) = (letter.partition.to_string(), letter.offset.to_string());
    let facts = [
        ("Topic", &summary.topic),
        ("Partition", &partition),
        ("Offset", &offset),
        ("Key", &summary.key),
        ("Event", &summary.event_id),
        ("Subject", &summary.subject),
    ];
    let headers = letter
        .headers
        .iter()
        .map(|header| (&*header.name, &header.value));
    html! {
        h2 { "Record" }
        div.table tabindex="0" {
            table {
                tbody {
                    @for (name, value) in facts.into_iter().chain(headers) {
                        tr { th scope="row" { (name) } td { bdi { (value) } } }
                    }
                }
            }
        }
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    let shown = bytes.iter().take(SHOWN_BYTES);
    let pairs: Vec<_> = shown.map(|byte| format!("{byte:02x}")).collect();
    pairs.join(" ")
}
