//! The dispatcher: takes notifications from the queue and sends them.
//!
//! It claims due notifications, as many as it can send concurrently. A claim is a lease
//! ([`LEASE`]): until it ends, no other replica gets the same notifications, so any number of
//! replicas can share one queue. Gathered notifications are claimed together and sent as one mail.
//! A mail occupies a slot from the claim until its outcome is stored. So after a crash, the outcome
//! is unknown for at most [as many mails](Dispatcher::connections) as there are slots; these are
//! sent again with the same `Message-ID`.
//!
//! While the mail server is unavailable, the dispatcher probes it and leaves the notifications in
//! the queue unchanged: an outage uses up no retries, and everything that is due is sent when it is
//! over ([`server`]).

mod limits;
mod send;
mod server;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use slipway_runtime::{clock::SharedClock, life::Background};
use slipway_store::outbox::Wake;
use tokio::{sync::Notify, task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub use limits::DomainLimits;
use send::{MailRecipient, Sender};
pub(crate) use server::MailServer;
use server::{Contact, Server};

use super::{
    Notification, NotificationId, To, digest,
    links::LinkSecrets,
    mail::SharedMailer,
    preferences::{Decision, Preferences, Suppression, store::PreferenceStore},
    recipients::{Recipient, store::RecipientStore},
    store::{Claim, Claimed, NotificationStore},
    templates::{Library, Reader},
};
use crate::{metrics as m, store::StoreError};

/// Default number of mails that one process sends concurrently.
pub const CONNECTIONS: usize = 16;

/// Maximum number: mail servers refuse a client with hundreds of connections.
pub const MAX_CONNECTIONS: u32 = 500;

/// Time limit for sending one mail.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// How long a claim lasts: longer than all work on a notification, so that it ends early only if
/// the process has ended.
const LEASE: SignedDuration = SignedDuration::from_secs(45);

/// How often the dispatcher polls: for retries that are due, notifications queued by other
/// replicas, and claims that have ended.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// When a digest is looked at again if some of its notifications are not queued yet.
const SETTLES_AFTER: SignedDuration = SignedDuration::from_secs(1);

/// How long a digest waits for them. They are created in one write, so if they take longer, the
/// write has failed.
const WAITS_FOR_OTHERS: SignedDuration = SignedDuration::from_secs(30);

/// Maximum number of mails given up in one write.
const GIVEN_UP: usize = 100;

/// Maximum number of notifications returned to the queue in one write.
const TAKEN_BACK: usize = 500;

/// Sends what is in the queue.
pub(crate) struct Dispatcher {
    pub(crate) notifications: NotificationStore,
    pub(crate) recipients: RecipientStore,
    pub(crate) mailer: SharedMailer,
    pub(crate) preferences: PreferenceStore,
    pub(crate) templates: Arc<Library>,
    /// Has the secrets of links.
    pub(crate) links: Arc<dyn LinkSecrets>,
    pub(crate) limits: Option<Arc<DomainLimits>>,
    /// Maximum number of mails sent concurrently, each over its own connection.
    pub(crate) connections: usize,
    pub(crate) clock: SharedClock,
    /// Notified when something is due.
    pub(crate) due: Arc<Notify>,
    /// Woken when there are events to publish.
    pub(crate) outbox: Wake,
    /// Where the state of the mail server is noted.
    pub(crate) server: MailServer,
    /// Whether no other process can have claims in this database. Then claims found at the start
    /// were left by a process that has ended.
    pub(crate) sole_owner: bool,
}

impl Dispatcher {
    /// Sends in the background until notifications to stop; then it finishes the mails being sent.
    pub(crate) fn spawn(self, background: &Background) {
        let dispatcher = Arc::new(self);
        background.spawn("dispatch", move |stop| {
            let dispatcher = Arc::clone(&dispatcher);
            async move { dispatcher.run(&stop).await }
        });
    }

    async fn run(&self, stop: &CancellationToken) {
        let sender = Arc::new(Sender::of(self));
        let (mut sending, mut probes) = (JoinSet::new(), JoinSet::new());
        let mut server = Server::default();
        let mut next_look = Instant::now();
        // True until the first poll: claims of the previous process are then released.
        let mut orphans = self.sole_owner;
        while !stop.is_cancelled() {
            if Instant::now() >= next_look {
                next_look = Instant::now() + LOOK_EVERY;
                orphans &= !self.requeue_ended(orphans).await;
                self.give_up(&server, &sender, &mut sending).await;
            }
            self.server.note(&server);
            let free = server.free(self.connections, sending.len());
            if free > 0 && !orphans {
                self.claim(free, &sender, &mut sending).await;
            }
            metrics::gauge!(m::SENDING).set(sending.len() as f64);
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(sent) = sending.join_next() => {
                    server.learn(sent.unwrap_or_default(), self.clock.now());
                }
                Some(Ok(answer)) = probes.join_next() => {
                    server.answered(answer, self.clock.now());
                }
                () = self.due.notified() => {}
                () = tokio::time::sleep_until(next_look) => {}
            }
            while let Some(sent) = sending.try_join_next() {
                server.learn(sent.unwrap_or_default(), self.clock.now());
            }
            let probe_at = server.probe_at(sending.len());
            let is_due = probe_at.is_some_and(|at| at <= Instant::now());
            if is_due && probes.is_empty() {
                let mailer = Arc::clone(&self.mailer);
                probes.spawn(async move { mailer.is_there().await });
            }
        }
        while sending.join_next().await.is_some() {}
    }

    /// Returns notifications of ended claims to the queue and updates the backlog metrics. With
    /// `orphans`, every claim counts as ended. Returns `false` if the queue cannot be read.
    async fn requeue_ended(&self, orphans: bool) -> bool {
        let now = self.clock.now();
        let ended_by = if orphans { Timestamp::MAX } else { now };
        match self.take_back(ended_by, now).await {
            Ok(0) => {}
            Ok(count) => tracing::warn!(
                count,
                "requeued notifications claimed by a process that ended"
            ),
            Err(error) => {
                tracing::warn!(%error, "notification queue cannot be read");
                return false;
            }
        }
        if let Ok(backlog) = self.notifications.backlog(now).await {
            let waited = backlog
                .oldest_due
                .map_or(0.0, |due| now.duration_since(due).as_secs_f64());
            metrics::gauge!(m::WAITING).set(backlog.waiting as f64);
            metrics::gauge!(m::OLDEST_WAITING_SECONDS).set(waited.max(0.0));
        }
        true
    }

    async fn take_back(&self, ended_by: Timestamp, now: Timestamp) -> Result<usize, StoreError> {
        let mut count = 0;
        loop {
            let taken = self
                .notifications
                .take_back(ended_by, now, TAKEN_BACK)
                .await?;
            count += taken;
            if taken < TAKEN_BACK {
                return Ok(count);
            }
        }
    }

    /// Gives up notifications that were due for too long while the mail server is unavailable.
    async fn give_up(&self, server: &Server, sender: &Arc<Sender>, sending: &mut JoinSet<Contact>) {
        let now = self.clock.now();
        let Some((due_by, why)) = server.gives_up(now) else {
            return;
        };
        let claim = claim_at(now);
        let claimed = Claim {
            now: due_by,
            ..claim
        };
        match self.notifications.claim(&claimed, GIVEN_UP).await {
            Ok(given_up) if given_up.is_empty() => {}
            Ok(given_up) => {
                let (sender, why) = (Arc::clone(sender), why.to_owned());
                sending.spawn(async move {
                    sender.give_up(given_up, due_by, &why).await;
                    Contact::NotTried
                });
            }
            Err(error) => tracing::warn!(%error, "notification queue cannot be read"),
        }
    }

    /// Claims due notifications for at most `limit` mails and starts to send them.
    async fn claim(&self, limit: usize, sender: &Arc<Sender>, sending: &mut JoinSet<Contact>) {
        let claim = claim_at(self.clock.now());
        match self.claim_and_resolve(&claim, limit).await {
            Ok(claimed) => {
                for mail in claimed {
                    let sender = Arc::clone(sender);
                    sending.spawn(async move { sender.process(mail).await });
                }
            }
            Err(error) => tracing::warn!(%error, "notification queue cannot be read"),
        }
    }

    /// Claims mails and resolves the recipient, their time zone and the wanted notifications of each,
    /// with one query each for all of them.
    async fn claim_and_resolve(
        &self,
        claim: &Claim,
        limit: usize,
    ) -> Result<Vec<ClaimedMail>, StoreError> {
        self.templates.known().await?;
        let claimed = self.notifications.claim(claim, limit).await?;
        let users = users(claimed.iter().map(AsRef::as_ref));
        let known = match users.is_empty() {
            true => Vec::new(),
            false => self.recipients.by_ids(&users).await?,
        };
        let chosen = match users.is_empty() {
            true => HashMap::new(),
            false => self.preferences.of_all(&users).await?,
        };
        let decide = |notification: &Notification| {
            // Also about a new one: the preferences may have changed since it was created.
            let user = notification.to.user();
            let is_disabled = |known: &Recipient| known.disabled && Some(known.id) == user;
            if known.iter().any(is_disabled) {
                return Decision::Suppress(Suppression::AccountDisabled);
            }
            let preferences = user.and_then(|user| chosen.get(&user));
            preferences.map_or(Decision::Deliver, |preferences| {
                preferences.decide(&notification.kind, claim.now)
            })
        };
        let resolve = |(id, notifications): (NotificationId, Vec<Claimed>)| {
            let recipient = notifications.first().map_or(MailRecipient::Unknown, |n| {
                resolve_recipient(&n.to, &known, &chosen)
            });
            if is_early(&notifications, claim.now) {
                let withheld = notifications
                    .into_iter()
                    .map(|n| (n, Decision::Deliver))
                    .collect();
                return ClaimedMail {
                    id,
                    recipient,
                    wanted: Vec::new(),
                    withheld,
                };
            }
            let decided = notifications.into_iter().map(|n| (decide(&n), n));
            let (wanted, withheld): (Vec<_>, Vec<_>) =
                decided.partition(|(decision, _)| *decision == Decision::Deliver);
            ClaimedMail {
                id,
                recipient,
                wanted: wanted.into_iter().map(|(_, n)| n).collect(),
                withheld: withheld
                    .into_iter()
                    .map(|(decision, n)| (n, decision))
                    .collect(),
            }
        };
        Ok(by_mail(claimed).into_iter().map(resolve).collect())
    }
}

/// A claim that starts now.
fn claim_at(now: Timestamp) -> Claim {
    Claim {
        id: Uuid::now_v7(),
        now,
        until: now.saturating_add(LEASE).unwrap_or(Timestamp::MAX),
    }
}

/// A claimed mail.
struct ClaimedMail {
    id: NotificationId,
    recipient: MailRecipient,
    /// The notifications to send; empty if none are wanted now.
    wanted: Vec<Claimed>,
    /// Notifications that are suppressed, deferred, or wait for others of their digest.
    withheld: Vec<(Claimed, Decision)>,
}

/// Groups notifications by mail, each in the order of their age, with the mail's id.
fn by_mail(claimed: Vec<Claimed>) -> Vec<(NotificationId, Vec<Claimed>)> {
    let mut mails: BTreeMap<_, Vec<Claimed>> = BTreeMap::new();
    for notification in claimed {
        mails
            .entry(notification.mail_id())
            .or_default()
            .push(notification);
    }
    let mut mails: Vec<_> = mails.into_iter().collect();
    for (_, notifications) in &mut mails {
        notifications.sort_by_key(|notification| notification.id);
    }
    mails
}

/// Whether other notifications of the same mail may still be queued.
fn is_early(notifications: &[Claimed], now: Timestamp) -> bool {
    let first = notifications.iter().map(|n| n.created_at).min();
    let waits = first.is_some_and(|first| now.duration_since(first) < WAITS_FOR_OTHERS);
    waits && digest::is_incomplete(notifications)
}

/// The users these notifications are for, each once.
fn users<'a>(notifications: impl Iterator<Item = &'a Notification>) -> Vec<Uuid> {
    let mut users: Vec<_> = notifications.filter_map(|n| n.to.user()).collect();
    users.sort_unstable();
    users.dedup();
    users
}

fn resolve_recipient(
    to: &To,
    known: &[Recipient],
    chosen: &HashMap<Uuid, Preferences>,
) -> MailRecipient {
    match to {
        To::Address(address) => MailRecipient::at(address.as_str().into(), address),
        To::User(id) => match known.iter().find(|recipient| recipient.id == *id) {
            Some(recipient) => {
                let zone = chosen.get(id).map(|chosen| chosen.time_zone.clone());
                let reader = Reader {
                    name: recipient.username.clone(),
                    zone: zone.unwrap_or_default(),
                };
                MailRecipient::at(reader, &recipient.email)
            }
            None => MailRecipient::Unknown,
        },
    }
}
