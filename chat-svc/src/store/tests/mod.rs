//! What conversations do, on each database.
//!
//! Tests take what opens the stores; stores opened twice stand for two replicas.

mod asking;
mod lists;
mod quota;
mod requests;
mod sessions;

use jiff::{SignedDuration, Timestamp};
use slipway_bus::{Actor, Event, event::Origin};
use slipway_proto::events::ChatAnsweredEvent;
use uuid::Uuid;

use super::{Begun, Lease, NewQuestion, Settled, Stores};
use crate::chat::{
    Answer, FIRST_REVISION, MessageId, Question, QuestionText, Session, SessionId, Title, Tokens,
    UsedContext, UserId,
};

slipway_store::on_each! {
    asking:
        a_question_is_stored_before_it_is_answered
        an_answer_comes_back_as_it_was_stored_with_its_event
        a_session_answers_one_question_at_a_time
        questions_that_race_are_one
        a_lease_that_runs_out_leaves_the_question_unanswered
        a_sweep_settles_what_nobody_holds_any_more
        a_renewed_lease_does_not_run_out
        an_answer_without_the_lease_is_not_stored
        a_session_is_its_owners;
    lists:
        sessions_are_listed_newest_first
        the_history_joins_from_its_pages
        only_answered_turns_are_remembered;
    quota:
        a_quota_is_counted_over_a_sliding_time
        questions_that_race_do_not_exceed_the_quota;
    requests:
        a_repeated_question_finds_its_answer
        a_key_of_another_question_is_refused
        a_repeated_creation_finds_its_session;
    sessions:
        a_session_is_renamed_by_its_owner
        of_renames_at_one_revision_one_is_carried_out
        a_deleted_session_does_not_exist
        a_turn_that_was_copied_during_the_deletion_is_erased_by_the_sweep
        a_long_session_is_erased_whole
        a_deletion_takes_the_lease_and_leaves_the_events
        a_deletion_that_races_with_questions_wins
        a_request_that_made_a_session_makes_no_other;
}

fn at(seconds: i64) -> Timestamp {
    let start: Timestamp = "2026-03-01T10:00:00Z".parse().unwrap();
    start + SignedDuration::from_secs(seconds)
}

/// How long the leases of these tests last.
const LEASE: SignedDuration = SignedDuration::from_secs(8);

fn new_session(owner: UserId) -> Session {
    Session {
        id: SessionId::generate(),
        owner,
        title: Title::new("Planning").unwrap(),
        created_at: at(0),
        last_message_at: None,
        revision: FIRST_REVISION,
    }
}

async fn session(stores: &Stores) -> Session {
    let session = new_session(UserId::generate());
    stores.chat.create(session, None).await.unwrap()
}

fn asking(session: &Session, text: &str, seconds: i64) -> NewQuestion {
    NewQuestion {
        session: session.id,
        owner: session.owner,
        question: Question {
            id: MessageId::generate(),
            content: QuestionText::new(text).unwrap(),
            asked_at: at(seconds),
        },
        lease: Lease {
            holder: Uuid::new_v4(),
            until: at(seconds) + LEASE,
        },
        request: None,
    }
}

fn answer(text: &str, seconds: i64) -> Answer {
    Answer {
        id: MessageId::generate(),
        content: text.to_owned(),
        model: "llama3.2".to_owned(),
        answered_at: at(seconds),
        latency_ms: 1234,
        time_to_first_token_ms: 56,
        tokens: Tokens {
            prompt: Some(700),
            answer: None,
        },
        context: UsedContext {
            task_ids: vec![Uuid::new_v4(), Uuid::new_v4()],
            release_ids: vec![Uuid::new_v4()],
            messages: 5,
            dropped: 1,
        },
    }
}

fn answered(text: &str, seconds: i64) -> Settled {
    Settled::Answered(Box::new(answer(text, seconds)))
}

fn event(session: &Session, answer: &Answer) -> Event {
    let payload = ChatAnsweredEvent {
        session_id: session.id.0,
        message_id: answer.id.0,
        user_id: session.owner.0,
        model: answer.model.clone(),
        latency_ms: answer.latency_ms,
        time_to_first_token_ms: answer.time_to_first_token_ms,
        prompt_tokens: None,
        answer_tokens: None,
    };
    let actor = Actor::User {
        id: session.owner.0,
        username: "ada".into(),
    };
    let origin = Origin {
        service: "chat-svc",
        key: session.id.0,
        subject: session.id.0,
        actor: &actor,
        time: answer.answered_at,
    };
    Event::new(&payload, &origin)
}

/// Asks and answers; returns the number of the turn.
async fn exchange(stores: &Stores, session: &Session, text: &str, seconds: i64) -> u64 {
    let asking = asking(session, text, seconds);
    let holder = asking.lease.holder;
    let Begun::New(number) = stores.chat.begin(asking).await.unwrap() else {
        panic!("nothing was asked with a key");
    };
    let state = answered(&format!("{text}!"), seconds + 1);
    let settled = stores.chat.settle(session.id, holder, state, None).await;
    assert!(settled.unwrap());
    number
}
