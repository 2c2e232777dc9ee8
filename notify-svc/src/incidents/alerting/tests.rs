//! Alerting with several replicas and without a database.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use futures::future::join_all;
use jiff::Timestamp;
use slipway_proto::events::Role;
use slipway_runtime::{clock::SystemClock, testing::TIMEOUT};
use slipway_store::Documents;
use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use crate::{
    incidents::store::IncidentStore,
    notification::{
        Filter, Notification, State as Sent,
        gathering::{Rule, store::TallyStore},
        mail::{Mail, Mailer, Sending},
        preferences::store::PreferenceStore,
        queue::Queue,
        recipients::{Recipient, store::RecipientStore},
        store::{NotificationStore, Query},
        templates::{Library, store::TemplateStore},
    },
};

/// A mail server that accepts every mail, or is unavailable.
#[derive(Default)]
struct Postbox {
    mails: Mutex<Vec<Mail>>,
    away: AtomicBool,
}

#[async_trait]
impl Mailer for Postbox {
    async fn send(&self, mail: &Mail) -> Sending {
        if self.away.load(Ordering::SeqCst) {
            return Sending::Unreachable("away".into());
        }
        self.mails.lock().push(mail.clone());
        Sending::Accepted("250 taken".into())
    }

    async fn is_there(&self) -> Result<(), String> {
        match self.away.load(Ordering::SeqCst) {
            true => Err("away".into()),
            false => Ok(()),
        }
    }
}

struct Scene {
    dir: TempDir,
    mailer: Arc<Postbox>,
}

struct Replica {
    alerting: Alerting,
    /// The documents of the incidents only: their database can be made unavailable.
    documents: Documents,
    notifications: NotificationStore,
}

impl Scene {
    /// With two administrators and a developer.
    async fn new() -> Self {
        let scene = Self {
            dir: tempfile::tempdir().unwrap(),
            mailer: Arc::default(),
        };
        let recipient = |n: u128, role| Recipient {
            id: Uuid::from_u128(n),
            username: format!("user {n}"),
            email: format!("u{n}@example.com"),
            role,
            disabled: false,
        };
        let all = vec![
            recipient(1, Role::Admin),
            recipient(2, Role::Admin),
            recipient(3, Role::Developer),
        ];
        RecipientStore::new(scene.open()).put(all).await.unwrap();
        scene
    }

    fn open(&self) -> Documents {
        crate::store::open(&self.dir.path().join("notify.db")).unwrap()
    }

    fn replica(&self) -> Replica {
        let (documents, others) = (self.open(), self.open());
        let notifications = NotificationStore::new(others.clone());
        let queue = Queue {
            store: notifications.clone(),
            preferences: PreferenceStore::new(others.clone()),
            tallies: TallyStore::new(others.clone()),
            rule: Rule::default(),
            templates: Arc::new(
                Library::new(TemplateStore::new(others.clone()), "http://x.example").unwrap(),
            ),
            clock: Arc::new(SystemClock),
            due: Arc::default(),
        };
        Replica {
            alerting: Alerting::new(
                IncidentStore::new(documents.clone()),
                RecipientStore::new(others),
                queue,
                self.mailer.clone(),
                Vec::new(),
            ),
            documents,
            notifications,
        }
    }
}

impl Replica {
    async fn log(&self) -> Vec<Notification> {
        let query = Query::newest(Filter::default(), 100);
        self.notifications.list(&query).await.unwrap().items
    }

    async fn only_incident(&self) -> Incident {
        let mut page = self.alerting.list(None, None, 10).await.unwrap();
        assert_eq!(page.items.len(), 1);
        page.items.remove(0)
    }
}

fn report() -> Report {
    let event = SystemErrorEvent {
        service: "release".into(),
        kind: "unreachable".into(),
        fingerprint: "release/unreachable/store".into(),
        summary: "no store".into(),
        since: Timestamp::UNIX_EPOCH,
        count: 1,
        resolved: false,
        lasts: false,
        trace_id: None,
    };
    Report::new(Uuid::now_v7(), event).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_replicas_with_the_same_incident_mail_each_administrator_once() {
    let scene = Scene::new().await;
    let mut replicas = [scene.replica(), scene.replica()];
    for replica in &mut replicas {
        // A busy machine may take longer for forty reports than the time limit for the database.
        replica.alerting.stored_within = TIMEOUT;
    }
    let reports = (0..40).map(|n| replicas[n % 2].alerting.report(vec![report()]));
    for taken in join_all(reports).await {
        taken.unwrap();
    }
    for replica in &replicas {
        replica.alerting.sweep().await.unwrap();
    }
    let incident = replicas[0].only_incident().await;
    assert_eq!((incident.count, incident.mailings.len()), (40, 1));
    assert!(!incident.is_owing());
    let log = replicas[0].log().await;
    let mut recipients: Vec<_> = log.iter().filter_map(|n| n.to.user()).collect();
    recipients.sort_unstable();
    assert_eq!(recipients, [1, 2].map(Uuid::from_u128));
}

#[tokio::test]
async fn without_a_database_it_is_mailed_at_once_and_stored_later() {
    let scene = Scene::new().await;
    let replica = scene.replica();
    replica.alerting.sweep().await.unwrap();
    replica.documents.seem_away(true);
    let report = report();
    for _ in 0..3 {
        let refused = replica.alerting.report(vec![report.clone()]).await;
        assert!(refused.is_err(), "it is to be repeated");
    }
    let to: Vec<_> = scene
        .mailer
        .mails
        .lock()
        .iter()
        .map(|mail| mail.to.clone())
        .collect();
    assert_eq!(to.len(), 2, "once to each administrator: {to:?}");

    replica.documents.seem_away(false);
    replica.alerting.report(vec![report.clone()]).await.unwrap();
    let incident = replica.only_incident().await;
    assert_eq!((incident.count, incident.mailings.len()), (1, 1));
    assert!(!incident.is_owing(), "nobody is mailed twice");
    let log = replica.log().await;
    assert_eq!(log.len(), 2);
    assert!(
        log.iter()
            .all(|n| n.state == Sent::Sent && n.attempts.len() == 1)
    );
    let sent: Vec<_> = scene
        .mailer
        .mails
        .lock()
        .iter()
        .map(|mail| mail.id)
        .collect();
    assert!(
        log.iter().all(|n| sent.contains(&n.id)),
        "those that were sent"
    );
}

#[tokio::test]
async fn without_database_and_mail_server_the_next_report_tries_again() {
    let scene = Scene::new().await;
    let replica = scene.replica();
    replica.alerting.sweep().await.unwrap();
    replica.documents.seem_away(true);
    scene.mailer.away.store(true, Ordering::SeqCst);
    assert!(replica.alerting.report(vec![report()]).await.is_err());
    scene.mailer.away.store(false, Ordering::SeqCst);
    assert!(replica.alerting.report(vec![report()]).await.is_err());
    assert_eq!(scene.mailer.mails.lock().len(), 2);
}

#[tokio::test]
async fn reports_of_one_call_count_each_and_are_stored_together() {
    let scene = Scene::new().await;
    let replica = scene.replica();
    let of = |fingerprint: &str| Report {
        fingerprint: fingerprint.to_owned(),
        ..report()
    };
    let (first, again) = (of("a"), of("a"));
    let over = Report {
        resolved: true,
        count: 0,
        ..of("b")
    };
    let reports = vec![first.clone(), again, first, of("b"), over];
    for _ in 0..2 {
        replica.alerting.report(reports.clone()).await.unwrap();
    }
    let mut found = replica.alerting.list(None, None, 10).await.unwrap().items;
    found.sort_by(|a, b| a.fingerprint.cmp(&b.fingerprint));
    let as_expected = |one: &Incident| (one.count, one.revision, one.state, one.mailings.len());
    let found: Vec<_> = found.iter().map(as_expected).collect();
    // The second change says that the mails are made.
    assert_eq!(found, [(2, 2, State::Open, 1), (1, 2, State::Resolved, 2)]);
    assert_eq!(replica.log().await.len(), 6);
}
