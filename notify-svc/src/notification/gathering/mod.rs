//! Decides which notifications are mailed at once and which are gathered into a digest. Pure.
//!
//! | the notification | is mailed |
//! | --- | --- |
//! | a hotfix, a mail about access to an account | at once; it is not counted |
//! | created in quiet hours, deferred to their end | at their end, with the others of these quiet hours |
//! | one of several tasks that came with a release | with the others, once all of them are queued |
//! | the first assignment in a release within the window | at once |
//! | the first in a release within the window to say that it is the recipient's turn | at once |
//! | caused by a user who has caused [`SENDER_MAILS`] mails to this recipient within [`SENDER_WINDOW`] | with everything else that user causes, at most one mail a window |
//! | about a thing about which this recipient got [`AT_ONCE`] mails within the window | with the others about it, when the window of the last of these mails ends |
//! | any other | at once |
//!
//! The window is [`WINDOW`] long unless configured otherwise. No notification waits longer than a
//! window, except for quiet hours.
//!
//! Mails are counted in a [`Tally`] for each recipient and thing, and one for each recipient and
//! sender. Each mail is counted under an id, so an event that is delivered again is not counted
//! twice and gets the same decision.

pub mod store;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use slipway_proto::events::{
    HotfixTaskAddedEvent, Payload as _, ReleaseReadyEvent, SystemErrorEvent, TaskAssignedEvent,
    TaskReadyEvent,
};
use uuid::Uuid;

use super::{Draft, Notification, State, To, audience};

/// How many mails about one thing a recipient gets at once within a window.
pub const AT_ONCE: usize = 3;

/// Default window: how long a mail counts for the thing it is about.
pub const WINDOW: SignedDuration = SignedDuration::from_mins(10);

/// Longest window that can be configured: tallies are kept at least that long.
pub const LONGEST_WINDOW: SignedDuration = SignedDuration::from_hours(1);

/// How many mails one sender can cause to one recipient at once within [`SENDER_WINDOW`].
pub const SENDER_MAILS: usize = 20;

/// How long a mail counts for its sender.
pub const SENDER_WINDOW: SignedDuration = SignedDuration::from_hours(1);

/// How long an unchanged tally is kept: after that, none of its mails count.
pub const KEPT: SignedDuration = SignedDuration::from_hours(2);

/// The properties that decide whether a notification is gathered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Occasion {
    /// The thing it is about.
    about: String,
    /// The user who caused it, if one did.
    sender: Option<Uuid>,
    rank: Rank,
    /// The id under which its mail is counted: the same for all notifications in one mail.
    mail: Uuid,
}

/// How urgent a notification is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Rank {
    /// Never gathered.
    Urgent,
    /// Somebody waits for its recipient: the first one about its thing is not gathered.
    First,
    /// One of several tasks that came with their release.
    Plan {
        /// The group of their common mail.
        group: String,
    },
    /// Gathered when there are many.
    Other,
}

impl Occasion {
    /// The occasion of a notification about the event `event_id`.
    #[must_use]
    pub fn of(draft: &Draft, event_id: Uuid) -> Self {
        let (kind, data) = (draft.kind.as_str(), &draft.data);
        let release = || text(data, "/releaseId");
        let mut mail = event_id;
        let (about, rank) = match kind {
            HotfixTaskAddedEvent::TYPE => (format!("release:{}", release()), Rank::Urgent),
            TaskAssignedEvent::TYPE if plan_tasks(data) > 1 => {
                mail = release().parse().unwrap_or(event_id);
                let group = format!("plan:{}", release());
                (format!("release:{}", release()), Rank::Plan { group })
            }
            TaskAssignedEvent::TYPE => (format!("release:{}", release()), Rank::First),
            TaskReadyEvent::TYPE => {
                let release = text(data, "/task/releaseId");
                (format!("turn:{release}"), Rank::First)
            }
            ReleaseReadyEvent::TYPE => (format!("ready:{}", release()), Rank::Other),
            _ if audience::is_of_comment(kind) => (
                format!("discussion:{}", text(data, "/task/id")),
                Rank::Other,
            ),
            _ if audience::is_of_access(kind) => (kind.to_owned(), Rank::Urgent),
            SystemErrorEvent::TYPE => ("system".to_owned(), Rank::Other),
            _ => {
                let task = match text(data, "/taskId") {
                    "" => text(data, "/task/id"),
                    task => task,
                };
                let sender = draft.sender.unwrap_or_default();
                (format!("{kind}:{task}:{sender}"), Rank::Other)
            }
        };
        Self {
            about,
            sender: draft.sender,
            rank,
            mail,
        }
    }

    /// The keys of the tallies that decide about it for this recipient.
    pub fn keys(&self, to: &To) -> impl Iterator<Item = String> + use<> {
        let about = format!("{to} {}", self.about);
        let sender = self.sender.map(|sender| format!("{to} sender:{sender}"));
        std::iter::once(about).chain(sender)
    }
}

fn text<'a>(data: &'a Value, pointer: &str) -> &'a str {
    data.pointer(pointer).and_then(Value::as_str).unwrap_or("")
}

/// How many tasks the owner of this assignment got in the same plan.
pub(crate) fn plan_tasks(data: &Value) -> u64 {
    data["planTasks"].as_u64().unwrap_or(0)
}

/// A mail that was sent at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// The id under which it is counted.
    pub id: Uuid,
    /// When it was counted.
    pub at: Timestamp,
}

/// The latest mails to one recipient about one thing, or from one sender.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tally {
    /// Identifies the recipient with the thing or sender.
    pub key: String,
    /// Number of stored changes; 0 if it is not stored yet.
    pub revision: u64,
    /// The latest mails that were sent at once, oldest first.
    pub mails: Vec<Counted>,
    /// Until when further ones are gathered, or were.
    pub gathers_until: Option<Timestamp>,
    /// When it was last changed.
    pub changed_at: Timestamp,
}

impl Tally {
    /// An empty tally.
    #[must_use]
    pub fn new(key: String) -> Self {
        Self {
            key,
            revision: 0,
            mails: Vec::new(),
            gathers_until: None,
            changed_at: Timestamp::UNIX_EPOCH,
        }
    }

    fn has(&self, mail: Uuid) -> bool {
        self.mails.iter().any(|counted| counted.id == mail)
    }

    /// The mails that count at `now`, oldest first.
    fn counting(&self, window: SignedDuration, now: Timestamp) -> Vec<Timestamp> {
        let times = self.mails.iter().map(|counted| counted.at);
        times
            .filter(|at| now.duration_since(*at) < window)
            .collect()
    }

    fn count(&mut self, mail: Uuid, now: Timestamp) {
        if self.has(mail) {
            return;
        }
        self.mails.push(Counted { id: mail, at: now });
        let surplus = self.mails.len().saturating_sub(SENDER_MAILS);
        self.mails.drain(..surplus);
        self.changed_at = now;
    }

    /// Until when another notification is gathered; `None` if it is not. It is gathered if others
    /// already are, or if `limit` mails count.
    fn gather(
        &mut self,
        limit: usize,
        counts_for: SignedDuration,
        window: SignedDuration,
        now: Timestamp,
    ) -> Option<Timestamp> {
        // Another process's clock may be ahead: limit the wait to one window.
        let latest = now.saturating_add(window).unwrap_or(Timestamp::MAX);
        if let Some(until) = self.gathers_until.filter(|until| *until > now) {
            return Some(until.min(latest));
        }
        let counting = self.counting(counts_for, now);
        if counting.len() < limit {
            return None;
        }
        let ends = counting.last()?.saturating_add(window).ok();
        let until = ends.filter(|ends| *ends > now).unwrap_or(latest);
        self.gathers_until = Some(until.min(latest));
        self.changed_at = now;
        self.gathers_until
    }
}

/// The tallies that decide about a set of notifications.
#[derive(Debug, Clone, Default)]
pub struct Tallies {
    stored: BTreeMap<String, Tally>,
    now: BTreeMap<String, Tally>,
}

impl Tallies {
    /// Tallies as they are stored; missing ones are empty.
    #[must_use]
    pub fn of(stored: Vec<Tally>) -> Self {
        let stored: BTreeMap<_, _> = stored
            .into_iter()
            .map(|tally| (tally.key.clone(), tally))
            .collect();
        Self {
            now: stored.clone(),
            stored,
        }
    }

    fn get(&mut self, key: &str) -> &mut Tally {
        let new = || Tally::new(key.to_owned());
        self.now.entry(key.to_owned()).or_insert_with(new)
    }

    /// The changed tallies, each before and after the change.
    #[must_use]
    pub fn changed(self) -> Vec<(Tally, Tally)> {
        let Self { mut stored, now } = self;
        let pairs = now.into_values().map(|tally| {
            let before = stored.remove(&tally.key);
            (
                before.unwrap_or_else(|| Tally::new(tally.key.clone())),
                tally,
            )
        });
        let changed = pairs.filter(|(before, after)| before != after);
        let next = changed.map(|(before, after)| {
            let revision = before.revision + 1;
            (before, Tally { revision, ..after })
        });
        next.collect()
    }
}

/// The group of the notifications that wait for the end of their recipient's quiet hours.
pub const QUIET: &str = "quiet";

/// The notification, to be sent at `until`, when the quiet hours end, with the others of these quiet
/// hours.
#[must_use]
pub fn after_quiet_hours(notification: Notification, until: Timestamp) -> Notification {
    let why = "QUIET_HOURS: made in quiet hours; it is sent when they end";
    notification.gathered(QUIET, why, until)
}

/// The rule that decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// How long a mail counts for the thing it is about.
    pub window: SignedDuration,
}

impl Default for Rule {
    fn default() -> Self {
        Self { window: WINDOW }
    }
}

impl Rule {
    /// The notification to queue at `now`: due at once, or gathered. A suppressed one is returned
    /// unchanged.
    #[must_use]
    pub fn place(
        &self,
        occasion: &Occasion,
        notification: Notification,
        tallies: &mut Tallies,
        now: Timestamp,
    ) -> Notification {
        if notification.state != State::Queued || occasion.rank == Rank::Urgent {
            return notification;
        }
        if notification.has_waited() {
            let until = notification.due_at;
            return after_quiet_hours(notification, until);
        }
        let mut keys = occasion.keys(&notification.to);
        let (about, sender) = (keys.next().unwrap_or_default(), keys.next());
        if let Some((group, why, until)) =
            self.gathers(occasion, &about, sender.as_deref(), tallies, now)
        {
            return notification.gathered(&group, &why, until);
        }
        for key in std::iter::once(about).chain(sender) {
            tallies.get(&key).count(occasion.mail, now);
        }
        match &occasion.rank {
            Rank::Plan { group } => {
                let why = "GATHERED: the tasks that come with a release are sent in one mail";
                let at_once = notification.due_at;
                notification.gathered(group, why, at_once)
            }
            _ => notification,
        }
    }

    /// The group, the reason and the end of gathering; `None` if it is not gathered.
    fn gathers(
        &self,
        occasion: &Occasion,
        about: &str,
        sender: Option<&str>,
        tallies: &mut Tallies,
        now: Timestamp,
    ) -> Option<(String, String, Timestamp)> {
        let thing = tallies.get(about);
        let is_first = thing.counting(self.window, now).is_empty();
        match occasion.rank {
            _ if thing.has(occasion.mail) => return None,
            Rank::First if is_first => return None,
            Rank::Plan { .. } | Rank::Urgent => return None,
            Rank::First | Rank::Other => {}
        }
        if let Some(key) = sender {
            let tally = tallies.get(key);
            if let Some(until) = tally.gather(SENDER_MAILS, SENDER_WINDOW, self.window, now) {
                let why = format!(
                    "GATHERED: the same sender has caused {SENDER_MAILS} mails within an hour; \
                     further ones are combined in one mail"
                );
                let group = format!("sender:{}", occasion.sender.unwrap_or_default());
                return Some((group, why, until));
            }
        }
        let thing = tallies.get(about);
        let until = thing.gather(AT_ONCE, self.window, self.window, now)?;
        let why = format!(
            "GATHERED: {AT_ONCE} mails about this were sent shortly before; further \
             ones are combined in one mail"
        );
        Some((occasion.about.clone(), why, until))
    }
}

#[cfg(test)]
mod tests;
