//! Which secrets a session accepts, and when it ends.

use proptest::prelude::*;

use super::{
    End, EndReason, Lifetimes, MARGIN, Place, REFRESH_GRACE, SecretRefusal, Session, SessionKind,
    secret::Secret,
};
use crate::identity::UserId;
use jiff::{SignedDuration, Timestamp};

const TTL: SignedDuration = SignedDuration::from_hours(24);
const LAST: Lifetimes = Lifetimes {
    session: TTL,
    token: SignedDuration::from_mins(15),
};
const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn after(seconds: i64) -> Timestamp {
    NOW + SignedDuration::from_secs(seconds)
}

fn end(why: EndReason, at: Timestamp) -> End {
    let until = at;
    End { at, why, until }
}

fn begin(kind: SessionKind) -> (Session, Secret) {
    let secret = Secret::generate();
    let user = UserId::generate();
    let session = Session::begin(kind, user, &secret, Place::default(), NOW, LAST);
    (session, secret)
}

fn refresh(
    session: &Session,
    secret: &Secret,
    at: i64,
) -> Result<(Session, Secret), SecretRefusal> {
    let next = secret.next();
    let after = session.refresh(secret, &next, Place::default(), after(at), LAST)?;
    Ok((after, next))
}

#[test]
fn the_text_of_a_secret_is_read_back() {
    const KINDS: [SessionKind; 3] = [SessionKind::Api, SessionKind::Browser, SessionKind::Program];
    for kind in KINDS {
        let secret = Secret::generate();
        let text = secret.text(kind);
        assert!(text.starts_with(&Secret::public_part(kind, secret.session)));
        for other in KINDS {
            let read = Secret::parse(other, &text);
            assert!(read == (other == kind).then(|| secret.clone()));
        }
    }
}

#[test]
fn malformed_secrets_are_refused() {
    let text = Secret::generate().text(SessionKind::Api);
    let id = uuid::Uuid::now_v7();
    for malformed in [
        String::new(),
        "slr_".to_owned(),
        text[..text.len() - 1].to_owned(),
        format!("{text}A"),
        format!(" {text}"),
        text.replacen("slr_", "SLR_", 1),
        text.replacen(&text[4..36], &id.to_string(), 1),
        text.replacen(&text[4..36], "", 1),
    ] {
        assert!(
            Secret::parse(SessionKind::Api, &malformed).is_none(),
            "{malformed}"
        );
    }
}

#[test]
fn a_refresh_replaces_the_secret_and_moves_the_expiry() {
    let (session, first) = begin(SessionKind::Api);
    let (after_first, second) = refresh(&session, &first, 60).unwrap();
    assert_eq!(after_first.expires_at, after(60) + TTL);
    assert_eq!((after_first.generation, after_first.revision), (1, 2));
    assert!(refresh(&after_first, &second, 61).is_ok());
}

#[test]
fn the_secret_before_the_last_is_superseded_and_then_reused() {
    let (session, first) = begin(SessionKind::Api);
    let (session, _) = refresh(&session, &first, 60).unwrap();
    let grace = REFRESH_GRACE.as_secs();
    for (at, refusal) in [
        (60, SecretRefusal::Superseded),
        (59 + grace, SecretRefusal::Superseded),
        (60 + grace, SecretRefusal::Reused),
    ] {
        assert_eq!(
            refresh(&session, &first, at).err().unwrap(),
            refusal,
            "{at}"
        );
    }
}

#[test]
fn a_guess_is_unknown_whatever_the_state_of_the_session() {
    let (session, secret) = begin(SessionKind::Api);
    let mut guess = Secret::generate();
    guess.session = secret.session;
    let ended = session.end(end(EndReason::Logout, NOW)).unwrap();
    for session in [&session, &ended] {
        let refused = refresh(session, &guess, 1).err().unwrap();
        assert_eq!(refused, SecretRefusal::Unknown);
    }
    let refused = refresh(&session, &guess, TTL.as_secs() + 1).err().unwrap();
    assert_eq!(refused, SecretRefusal::Unknown);
}

#[test]
fn a_secret_counts_only_for_its_kind_of_client() {
    let (api, secret) = begin(SessionKind::Api);
    for kind in [SessionKind::Browser, SessionKind::Program] {
        let exchanged = api.exchange(kind, &secret, Place::default(), NOW, LAST);
        assert_eq!(exchanged.unwrap_err(), SecretRefusal::Unknown);
    }
    let (browser, secret) = begin(SessionKind::Browser);
    let refused = refresh(&browser, &secret, 1).err().unwrap();
    assert_eq!(refused, SecretRefusal::Unknown);
}

#[test]
fn an_ended_or_expired_session_accepts_nothing() {
    let (session, secret) = begin(SessionKind::Api);
    let ended = session.end(end(EndReason::Revoked, after(5))).unwrap();
    assert_eq!(
        refresh(&ended, &secret, 6).err().unwrap(),
        SecretRefusal::Ended
    );
    assert_eq!(ended.end(end(EndReason::Logout, after(7))), None);
    assert!(session.is_live(after(5)) && !ended.is_live(after(5)));
    let late = TTL.as_secs();
    assert_eq!(
        refresh(&session, &secret, late).err().unwrap(),
        SecretRefusal::Expired
    );
    assert!(refresh(&session, &secret, late - 1).is_ok());
    assert!(!session.is_live(after(late)));
}

#[test]
fn a_browser_keeps_its_secret_and_is_seen_once_a_minute() {
    let (session, secret) = begin(SessionKind::Browser);
    let exchange = |session: &Session, secret: &Secret, at| {
        let place = Place::new(Some("Firefox"), None);
        session.exchange(SessionKind::Browser, secret, place, after(at), LAST)
    };
    assert_eq!(exchange(&session, &secret, 59).unwrap(), None);
    let seen = exchange(&session, &secret, 60).unwrap().unwrap();
    assert_eq!(
        (seen.last_seen_at, &*seen.place.user_agent),
        (after(60), "Firefox")
    );
    assert_eq!(seen.expires_at, session.expires_at);
    assert_eq!(exchange(&seen, &secret, 61).unwrap(), None);
    let altered = exchange(&seen, &secret.next(), 62);
    assert_eq!(altered.unwrap_err(), SecretRefusal::Unknown);
}

#[test]
fn what_a_client_calls_itself_is_one_short_line() {
    let place = Place::new(Some(&format!("a\nb\u{202e}{}", "x".repeat(500))), None);
    assert!(place.user_agent.starts_with("a bx"), "{}", place.user_agent);
    assert!(place.user_agent.chars().count() <= 201);
}

proptest! {
    /// However a session is refreshed, of all its secrets only the last one is accepted, and every
    /// older one is told from a guess.
    #[test]
    fn only_the_last_secret_is_accepted(pauses in prop::collection::vec(1..3_600_i64, 1..8)) {
        let (mut session, secret) = begin(SessionKind::Api);
        let (mut secrets, mut at) = (vec![secret], 0);
        for pause in pauses {
            at += pause;
            let (after, next) = refresh(&session, secrets.last().unwrap(), at).unwrap();
            session = after;
            secrets.push(next);
        }
        let (last, old) = secrets.split_last().unwrap();
        prop_assert!(refresh(&session, last, at).is_ok());
        for (age, secret) in old.iter().rev().enumerate() {
            let now = refresh(&session, secret, at).err().unwrap();
            let expected = if age == 0 { SecretRefusal::Superseded } else { SecretRefusal::Reused };
            prop_assert_eq!(now, expected);
            let later = refresh(&session, secret, at + REFRESH_GRACE.as_secs()).err().unwrap();
            prop_assert_eq!(later, SecretRefusal::Reused);
        }
    }
}

#[test]
fn an_end_is_known_until_the_last_token_has_expired() {
    let (session, secret) = begin(SessionKind::Api);
    // Afterwards tokens last for a shorter time.
    let last = Lifetimes {
        token: SignedDuration::from_secs(60),
        ..LAST
    };
    let next = secret.next();
    let place = Place::default;
    let session = session.refresh(&secret, &next, place(), after(30), last);
    let session = session.unwrap();
    let ended = session.end(end(EndReason::Logout, after(40))).unwrap();
    assert_eq!(ended.ended.unwrap().until, NOW + LAST.token + MARGIN);
    // And of later tokens it is known longer.
    let session = session.refresh(&next, &next.next(), place(), after(3000), LAST);
    let ended = session.unwrap().end(end(EndReason::Logout, after(3001)));
    let until = ended.unwrap().ended.unwrap().until;
    assert_eq!(until, after(3000) + LAST.token + MARGIN);
}

#[test]
fn a_browser_that_gets_tokens_of_a_longer_lifetime_is_noted_at_once() {
    let (session, secret) = begin(SessionKind::Browser);
    let (kind, place) = (SessionKind::Browser, Place::default());
    let exchange = |at, last| session.exchange(kind, &secret, place.clone(), after(at), last);
    assert_eq!(exchange(5, LAST).unwrap(), None);
    let longer = Lifetimes { token: TTL, ..LAST };
    let noted = exchange(5, longer).unwrap().unwrap();
    assert_eq!(noted.tokens_until, after(5) + TTL);
}
