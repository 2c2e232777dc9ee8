//! Replays dead letters: checks each one, marks it as replayed and puts the event into the outbox,
//! from which the publisher sends it, together with an event about the replay.

use std::collections::BTreeSet;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use slipway_bus::{
    MAX_EVENT, Record,
    consumer::{collect::KnownTopics, dead, retry_topic},
};
use slipway_proto::events::{EventType, UserRef};
use slipway_rpc::error::{Fault, Kind};
use slipway_runtime::clock::SharedClock;
use slipway_store::outbox::Wake;

use super::{
    Act, DeadLetterId, Filed, Filter, State, Summary, checked, jobs::OURS, replayed,
    store::DeadLetterStore,
};
use crate::{activity, metrics as m};

/// Maximum number of dead letters that one call replays.
const AT_ONCE: u32 = 1000;

/// How many are replayed concurrently: they share commits on databases that can do that.
const CONCURRENCY: usize = 16;

/// Replays dead letters.
pub(crate) struct Replays {
    store: DeadLetterStore,
    topics: KnownTopics,
    wake: Wake,
    clock: SharedClock,
}

/// A request of an administrator to replay.
pub(crate) struct Replay {
    /// The administrator.
    pub(crate) by: UserRef,
    /// The payload that replaces the stored one.
    pub(crate) edited: Option<String>,
    /// The hash of the request's idempotency key.
    pub(crate) request: Option<String>,
}

impl Replay {
    fn act(&self, at: Timestamp) -> Act {
        Act {
            at,
            by: self.by.clone(),
            edited: self.edited.clone(),
            request: self.request.clone(),
        }
    }
}

/// The result of replaying many dead letters.
pub(crate) struct ReplaySummary {
    /// Those that were replayed, or would be in a dry run.
    pub(crate) ids: Vec<DeadLetterId>,
    /// Whether more match the filter.
    pub(crate) more: bool,
    /// Those whose consumer group no longer exists.
    pub(crate) group_gone: Vec<DeadLetterId>,
}

impl Replays {
    pub(crate) fn new(
        store: DeadLetterStore,
        topics: KnownTopics,
        wake: Wake,
        clock: SharedClock,
    ) -> Self {
        Self {
            store,
            topics,
            wake,
            clock,
        }
    }

    /// The store of dead letters.
    pub(crate) fn store(&self) -> &DeadLetterStore {
        &self.store
    }

    /// Refuses a filter for a group or a type of event that does not exist and has no dead letters:
    /// the name is misspelt. Every group is accepted while the topics are not known yet.
    pub(crate) async fn check_names(&self, filter: &Filter) -> Result<(), Fault> {
        if let Some(group) = &filter.group
            && let Some(groups) = self.groups()
            && !groups.contains(group)
        {
            let names: Vec<_> = groups.into_iter().collect();
            let message = format!("must be a consumer group: {}", names.join(", "));
            let of_group = Filter {
                group: Some(group.clone()),
                ..Filter::default()
            };
            self.has_any(&of_group, "filter.group", message).await?;
        }
        if let Some(event_type) = &filter.event_type
            && !EventType::ALL
                .iter()
                .any(|known| known.name() == event_type)
        {
            let message = "must be a type of events, such as task.started".to_owned();
            let of_type = Filter {
                event_type: Some(event_type.clone()),
                ..Filter::default()
            };
            self.has_any(&of_type, "filter.event_type", message).await?;
        }
        Ok(())
    }

    async fn has_any(&self, filter: &Filter, field: &str, message: String) -> Result<(), Fault> {
        match self.store.list(filter, None, 1).await?.items.is_empty() {
            true => Err(Fault::invalid_field(field, message)),
            false => Ok(()),
        }
    }

    /// The groups that can have dead letters, if they are known: at the first start the topics are
    /// created a moment later.
    fn groups(&self) -> Option<BTreeSet<String>> {
        let topics = self.topics.borrow();
        let topics = topics.as_ref()?.iter();
        let ours = topics.filter(|topic| topic.starts_with(OURS));
        let groups = ours.filter_map(|topic| dead::group_of(topic));
        let groups: BTreeSet<_> = groups.map(str::to_owned).collect();
        // Another service may have created its topics before this one.
        let has_ours = groups.contains(activity::jobs::group().name);
        has_ours.then_some(groups)
    }

    /// One dead letter.
    pub(crate) async fn get(&self, id: DeadLetterId) -> Result<Filed, Fault> {
        let found = self.store.get(id).await?;
        found.ok_or_else(|| {
            let text = "There is no dead letter with this id.";
            Fault::new(Kind::NotFound, "DEAD_LETTER_NOT_FOUND", text)
        })
    }

    /// Replays one and returns its new state. Repeating the request that replayed it returns the
    /// same answer.
    pub(crate) async fn one(&self, id: DeadLetterId, replay: Replay) -> Result<Filed, Fault> {
        let found = self.get(id).await?;
        let act = replay.act(self.clock.now());
        let done = match found.state {
            State::Replayed => false,
            State::Waiting => {
                self.check(&found, &act)?;
                self.replay(&found, act.clone()).await?
            }
        };
        let now = self.get(id).await?;
        let repeats =
            |done: &Act| act.request.is_some() && done.request == act.request && done.by == act.by;
        match now.acts.last() {
            _ if done => Ok(now),
            Some(before) if repeats(before) && before.edited == act.edited => Ok(now),
            Some(before) if repeats(before) => Err(key_reused()),
            _ => Err(already_replayed()),
        }
    }

    /// Refuses a replay that cannot succeed.
    fn check(&self, found: &Filed, act: &Act) -> Result<(), Fault> {
        let record = &found.letter.record;
        if let Some(payload) = &act.edited {
            checked(record.header("ce_type"), payload.as_bytes())
                .map_err(|misfit| Fault::invalid_field("edited_payload", misfit.to_string()))?;
            if record_of(found, act).size() > MAX_EVENT {
                let text = format!("is too large: with its headers at most {MAX_EVENT} bytes");
                return Err(Fault::invalid_field("edited_payload", text));
            }
        }
        if self.can_return(&found.letter.group, &record.topic)? {
            Ok(())
        } else {
            Err(group_gone(&found.letter.group))
        }
    }

    /// Replays up to [`AT_ONCE`] waiting dead letters that match `filter`; a dry run only returns
    /// which.
    pub(crate) async fn many(
        &self,
        filter: Filter,
        replay: Replay,
        dry_run: bool,
    ) -> Result<ReplaySummary, Fault> {
        let waiting = Filter {
            state: Some(State::Waiting),
            ..filter
        };
        let (found, more) = self.first(&waiting).await?;
        let mut many = ReplaySummary {
            ids: Vec::new(),
            more,
            group_gone: Vec::new(),
        };
        for letter in found {
            if self.can_return(&letter.group, &letter.topic)? {
                many.ids.push(letter.id);
            } else {
                many.group_gone.push(letter.id);
            }
        }
        if !dry_run {
            many.ids = self.replay_all(many.ids, &replay).await?;
        }
        Ok(many)
    }

    /// The first [`AT_ONCE`] that match `filter`, and whether there may be more. Reads several
    /// pages: a page may have fewer than the limit.
    async fn first(&self, filter: &Filter) -> Result<(Vec<Summary>, bool), Fault> {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let left = AT_ONCE - u32::try_from(found.len()).unwrap_or(AT_ONCE);
            let page = self.store.list(filter, after, left).await?;
            found.extend(page.items);
            after = page.next;
            if after.is_none() || found.len() >= AT_ONCE as usize {
                return Ok((found, after.is_some()));
            }
        }
    }

    /// Replays `ids`. Returns those that nobody else has replayed in the meantime.
    async fn replay_all(
        &self,
        ids: Vec<DeadLetterId>,
        replay: &Replay,
    ) -> Result<Vec<DeadLetterId>, Fault> {
        stream::iter(ids)
            .map(|id| async move {
                let found = self.get(id).await?;
                let act = replay.act(self.clock.now());
                let replayed = self.replay(&found, act).await?;
                Ok(replayed.then_some(id))
            })
            .buffered(CONCURRENCY)
            .try_filter_map(|id| std::future::ready(Ok(id)))
            .try_collect()
            .await
    }

    /// Replays one; `false` if it was replayed before.
    async fn replay(&self, found: &Filed, act: Act) -> Result<bool, Fault> {
        let told = replayed::event(found, &act).to_record();
        let records = [told, record_of(found, &act)];
        let replayed = self.store.replay(found.id, act, records).await?;
        if replayed {
            self.wake.wake(found.id.0);
            metrics::counter!(m::DEAD_LETTERS_REPLAYED).increment(1);
        }
        Ok(replayed)
    }

    /// Whether the group's retry topic exists. A record for a missing topic could not be published.
    fn can_return(&self, group: &str, topic: &str) -> Result<bool, Fault> {
        let entrance = retry_topic(topic, group, 1);
        match &*self.topics.borrow() {
            Some(topics) => Ok(topics.contains(&entrance)),
            None => Err(Fault::unavailable(
                "The bus",
                "its topics are not known yet",
            )),
        }
    }
}

/// The record to publish.
fn record_of(found: &Filed, act: &Act) -> Record {
    let payload = act.edited.clone().map(Bytes::from);
    found.letter.replay(found.id.0, payload)
}

fn already_replayed() -> Fault {
    let text = "This dead letter has been replayed. If it fails again, it comes back as another.";
    Fault::new(Kind::Conflict, "ALREADY_REPLAYED", text)
}

fn key_reused() -> Fault {
    let text = "This idempotency key was used to replay it with another payload.";
    Fault::new(Kind::Conflict, "IDEMPOTENCY_KEY_REUSED", text)
}

fn group_gone(group: &str) -> Fault {
    let text = format!("No group {group:?} consumes this topic any more.");
    Fault::new(Kind::Conflict, "GROUP_GONE", text)
}
