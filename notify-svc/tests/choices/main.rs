//! Preferences and templates in running replicas. The tests move the clock and collect the mails.
#![allow(clippy::unwrap_used, reason = "tests")]

mod harness;

use notify_svc::notification::recipients::{Access, RecipientChange};
use slipway_proto::{
    events::Role,
    notify::v1::{
        AnnounceEventRequest, NotificationState as State, Preferences, QuietHours, QuietMode,
        TemplateSource, UpdatePreferencesRequest, UpdateTemplateRequest,
    },
};

use harness::{ADA, Scene};

/// Quiet hours from 22:00 to 07:00 in Berlin.
fn night(muted: &[&str]) -> UpdatePreferencesRequest {
    UpdatePreferencesRequest {
        preferences: Some(Preferences {
            email: true,
            muted: muted.iter().map(|kind| (*kind).to_owned()).collect(),
            quiet_hours: Some(QuietHours {
                enabled: true,
                start: "22:00".to_owned(),
                end: "07:00".to_owned(),
                time_zone: String::new(),
                mode: QuietMode::Defer.into(),
            }),
            time_zone: "Europe/Berlin".to_owned(),
            wanted: Vec::new(),
        }),
        revision: None,
    }
}

/// In the night when Berlin's clocks go forward: 23:30, and the end of the quiet hours.
const NIGHT: &str = "2026-03-28T22:30:00Z";
const MORNING: &str = "2026-03-29T05:00:00Z";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deferred_notification_is_sent_after_quiet_hours() {
    let scene = Scene::at(NIGHT).await;
    let replica = scene.replica();
    replica.choose(night(&[])).await;
    scene.assign().await;
    let waiting = replica.until(State::Queued).await;
    assert_eq!(harness::time(waiting.due_at.unwrap()), MORNING);
    assert!(scene.mails().is_empty());
    scene.move_to(MORNING);
    let sent = replica.until(State::Sent).await;
    assert_eq!(scene.mails(), [sent.id]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn preferences_apply_again_when_a_delayed_notification_is_due() {
    let scene = Scene::at(NIGHT).await;
    let replica = scene.replica();
    replica.choose(night(&[])).await;
    scene.assign().await;
    replica.until(State::Queued).await;
    replica.choose(night(&["task.assigned"])).await;
    scene.move_to(MORNING);
    let suppressed = replica.until(State::Suppressed).await;
    assert!(
        suppressed.reason.starts_with("TYPE_OFF: "),
        "{}",
        suppressed.reason
    );
    assert!(scene.mails().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notification_due_in_new_quiet_hours_waits_for_their_end() {
    let scene = Scene::at(NIGHT).await;
    let replica = scene.replica();
    replica.choose(night(&[])).await;
    scene.assign().await;
    replica.until(State::Queued).await;
    let mut later = night(&[]);
    let preferences = later.preferences.as_mut().unwrap();
    preferences.quiet_hours.as_mut().unwrap().end = "09:00".to_owned();
    replica.choose(later).await;
    scene.move_to(MORNING);
    let is_later = |due: &str| due == "2026-03-29T07:00:00Z";
    replica
        .wait(|n| is_later(&harness::time(n.due_at.unwrap_or_default())))
        .await;
    assert!(scene.mails().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_template_saved_at_one_replica_is_used_by_all() {
    let scene = Scene::at(NIGHT).await;
    let (one, other) = (scene.replica(), scene.replica());
    let mut templates = one.templates();
    let saved = templates.update_template(UpdateTemplateRequest {
        r#type: "order-placed".to_owned(),
        source: Some(TemplateSource {
            subject: "Order {{ id }}".to_owned(),
            text: "{{ id }}".to_owned(),
            html: "{{ id }}".to_owned(),
        }),
        sample_json: r#"{"id": 1}"#.to_owned(),
        expected_version: None,
        must_exist: false,
    });
    saved.await.unwrap();
    // At once: a process looks up a type that it does not know.
    let mut events = other.events();
    let announced = events.announce_event(AnnounceEventRequest {
        r#type: "order-placed".to_owned(),
        recipients: vec![ADA.to_string()],
        data_json: r#"{"id": 7}"#.to_owned(),
    });
    announced.await.unwrap();
    let sent = other.until(State::Sent).await;
    assert_eq!(sent.subject, "Order 7");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disabled_account_gets_no_mails_also_not_those_that_wait() {
    let scene = Scene::at(NIGHT).await;
    let replica = scene.replica();
    replica.choose(night(&[])).await;
    scene.assign().await;
    replica.until(State::Queued).await;
    let disabled = Access {
        id: ADA,
        username: "ada".to_owned(),
        role: Role::Developer,
        disabled: true,
        revision: 2,
    };
    let recipients = scene.stores().recipients;
    let disabled = RecipientChange::Access(disabled);
    recipients.apply(disabled).await.unwrap();
    scene.move_to(MORNING);
    let suppressed = replica.until(State::Suppressed).await;
    assert!(
        suppressed.reason.starts_with("ACCOUNT_DISABLED: "),
        "{}",
        suppressed.reason
    );
    assert!(scene.mails().is_empty());
}
