//! The dispatcher: takes notifications from the queue and sends them.
//!
//! It claims what is due, as many as it can send at once, and nobody else has what it
//! has claimed until the claim ends ([`LEASE`]), so any number of replicas work on one
//! queue. Notifications that are gathered are claimed together and sent as one mail. Each
//! mail has its slot from the claim until its outcome is stored: after a crash at most [as many mails](Dispatcher::connections) were sent whose outcome is
//! not known, and those are sent again, with the same `Message-ID`.
//!
//! While the mail server is away, it is asked now and then whether it is back, and the
//! notifications stay in the queue as they are: an outage uses up nobody's retries, and
//! everything that is due goes when it is over ([`server`]).

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
use send::{Sender, Whom};
use server::{Contact, Server};

use super::{
    Notification, NotificationId, To, digest,
    mail::SharedMailer,
    preferences::{Decision, store::PreferenceStore},
    recipients::{Recipient, store::RecipientStore},
    store::{Claim, NotificationStore},
    templates::Library,
};
use crate::{metrics as m, store::StoreError};

/// Mails that one process sends at the same time, unless it is told otherwise.
pub const CONNECTIONS: usize = 16;

/// And at most: mail servers refuse a client with hundreds of connections.
pub const MAX_CONNECTIONS: u32 = 500;

/// How long the sending of one mail may take.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// How long a claim lasts: longer than everything that is done with a notification, so
/// that it ends only if the process did.
const LEASE: SignedDuration = SignedDuration::from_secs(45);

/// How often a dispatcher looks by itself: for what is due again, for what other
/// replicas have put into the queue, and for claims that have ended.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// When a mail is looked at again that is to tell of several notifications, of which some
/// are not queued yet.
const SETTLES_AFTER: SignedDuration = SignedDuration::from_secs(1);

/// How long such a mail waits for them. They come from one write, so what takes longer has
/// failed.
const WAITS_FOR_OTHERS: SignedDuration = SignedDuration::from_secs(30);

/// Mails given up in one write at most.
const GIVEN_UP: usize = 100;

/// Notifications taken back in one write at most.
const TAKEN_BACK: usize = 500;

/// Sends what is in the queue.
pub(crate) struct Dispatcher {
    pub(crate) notifications: NotificationStore,
    pub(crate) recipients: RecipientStore,
    pub(crate) mailer: SharedMailer,
    pub(crate) preferences: PreferenceStore,
    pub(crate) templates: Arc<Library>,
    pub(crate) limits: Option<Arc<DomainLimits>>,
    /// Mails that it sends at the same time, each over a connection of its own.
    pub(crate) connections: usize,
    pub(crate) clock: SharedClock,
    /// Woken when something is due.
    pub(crate) due: Arc<Notify>,
    /// Told when there are events to publish.
    pub(crate) outbox: Wake,
    /// Whether no other process can have claims in this database: then those found at
    /// the start were left by a process that has ended.
    pub(crate) sole_owner: bool,
}

impl Dispatcher {
    /// Sends in the background until told to stop; then what is being sent is finished.
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
        // Of the first look: what the process before this one has left.
        let mut orphans = self.sole_owner;
        while !stop.is_cancelled() {
            if Instant::now() >= next_look {
                next_look = Instant::now() + LOOK_EVERY;
                orphans &= !self.look_around(orphans).await;
                self.give_up(&server, &sender, &mut sending).await;
            }
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
            let is_due = server.probe_at().is_some_and(|at| at <= Instant::now());
            if is_due && probes.is_empty() {
                let mailer = Arc::clone(&self.mailer);
                probes.spawn(async move { mailer.is_there().await });
            }
        }
        while sending.join_next().await.is_some() {}
    }

    /// Takes back what nobody is sending any more, and counts what waits. With `orphans`
    /// every claim there is counts as ended. Whether that was done.
    async fn look_around(&self, orphans: bool) -> bool {
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

    /// Gives up what has been due for too long while the mail server is away.
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
                    sender.give_up(claim.id, given_up, due_by, &why).await;
                    Contact::NotSought
                });
            }
            Err(error) => tracing::warn!(%error, "notification queue cannot be read"),
        }
    }

    /// Claims what is due, at most `limit` mails, and begins to send it.
    async fn claim(&self, limit: usize, sender: &Arc<Sender>, sending: &mut JoinSet<Contact>) {
        let claim = claim_at(self.clock.now());
        match self.claim_and_resolve(&claim, limit).await {
            Ok(claimed) => {
                for mail in claimed {
                    let sender = Arc::clone(sender);
                    sending.spawn(async move { sender.see_to(claim.id, mail).await });
                }
            }
            Err(error) => tracing::warn!(%error, "notification queue cannot be read"),
        }
    }

    /// The mails that were claimed, with who each is for and what of it is wanted now: one
    /// question each for all of them.
    async fn claim_and_resolve(
        &self,
        claim: &Claim,
        limit: usize,
    ) -> Result<Vec<ClaimedMail>, StoreError> {
        self.templates.known().await?;
        let claimed = self.notifications.claim(claim, limit).await?;
        let users = users(claimed.iter());
        let known = match users.is_empty() {
            true => Vec::new(),
            false => self.recipients.by_ids(&users).await?,
        };
        // What is new was decided on when it was made, a moment ago.
        let waited = self::users(claimed.iter().filter(|n| n.has_waited_by(claim.now)));
        let chosen = match waited.is_empty() {
            true => HashMap::new(),
            false => self.preferences.of_all(&waited).await?,
        };
        let decide = |notification: &Notification| {
            let user = notification.to.user();
            match user.and_then(|user| chosen.get(&user)) {
                Some(preferences) if notification.has_waited_by(claim.now) => {
                    preferences.decide(&notification.kind, claim.now)
                }
                _ => Decision::Deliver,
            }
        };
        let resolve = |(id, told): (NotificationId, Vec<Notification>)| {
            let whom = told.first().map_or(Whom::Unknown, |n| whom(&n.to, &known));
            if is_early(&told, claim.now) {
                let withheld = told.into_iter().map(|n| (n, Decision::Deliver)).collect();
                return ClaimedMail {
                    id,
                    whom,
                    wanted: Vec::new(),
                    withheld,
                };
            }
            let decided = told.into_iter().map(|n| (decide(&n), n));
            let (wanted, withheld): (Vec<_>, Vec<_>) =
                decided.partition(|(decision, _)| *decision == Decision::Deliver);
            ClaimedMail {
                id,
                whom,
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

/// A claim made now.
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
    whom: Whom,
    /// What it tells of; nothing, if nothing is wanted now.
    wanted: Vec<Notification>,
    /// What is not wanted, or not yet; or is wanted and waits for others.
    withheld: Vec<(Notification, Decision)>,
}

/// Those that go in one mail, by their age, with the mail's id.
fn by_mail(claimed: Vec<Notification>) -> Vec<(NotificationId, Vec<Notification>)> {
    let mut mails: BTreeMap<_, Vec<Notification>> = BTreeMap::new();
    for notification in claimed {
        mails
            .entry(notification.mail_id())
            .or_default()
            .push(notification);
    }
    let mut mails: Vec<_> = mails.into_iter().collect();
    for (_, told) in &mut mails {
        told.sort_by_key(|notification| notification.id);
    }
    mails
}

/// Whether others that belong into the mail may still come.
fn is_early(told: &[Notification], now: Timestamp) -> bool {
    let first = told.iter().map(|n| n.created_at).min();
    let waits = first.is_some_and(|first| now.duration_since(first) < WAITS_FOR_OTHERS);
    waits && digest::is_incomplete(told)
}

/// The accounts that these are for, each once.
fn users<'a>(notifications: impl Iterator<Item = &'a Notification>) -> Vec<Uuid> {
    let mut users: Vec<_> = notifications.filter_map(|n| n.to.user()).collect();
    users.sort_unstable();
    users.dedup();
    users
}

fn whom(to: &To, known: &[Recipient]) -> Whom {
    match to {
        To::Address(address) => Whom::at(address, address),
        To::User(id) => match known.iter().find(|recipient| recipient.id == *id) {
            Some(recipient) => Whom::at(&recipient.username, &recipient.email),
            None => Whom::Unknown,
        },
    }
}
