//! Background work of the statistics: a consumer logs the assistant's answers, and a job folds the
//! logs into the buckets.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use slipway_bus::{
    Event,
    consumer::{Consumer, Failure, Group, Handler, Host, Order, all_or_poison},
};
use slipway_proto::events::{CHAT, EventData};
use slipway_runtime::life::Background;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::{answers::Answer, store::StatisticsStore};

/// What another replica has logged is folded at the latest after this time.
const AT_LEAST_EVERY: Duration = Duration::from_secs(5);

/// The time between two folds: what arrives in between is folded together.
const AT_MOST_EVERY: Duration = Duration::from_millis(250);

/// The consumer group.
pub(crate) fn group() -> Group {
    Group {
        name: "statistics",
        topics: vec![CHAT.name.to_owned()],
        order: Order::PerKey,
    }
}

/// Logs the answers that the bus delivers.
pub(crate) struct Answers {
    store: StatisticsStore,
    logged: Arc<Notify>,
}

#[async_trait]
impl Handler for Answers {
    async fn handle(&self, events: &[Event]) -> Result<(), Failure> {
        let answers = all_or_poison(events.iter().map(|event| (event, answer(event))))?;
        self.store
            .append(answers.into_iter().flatten().collect())
            .await?;
        self.logged.notify_one();
        Ok(())
    }
}

/// The answer of an event; `None` for other events.
fn answer(event: &Event) -> Result<Option<Answer>, String> {
    let data = EventData::read(&event.event_type, event.major(), &event.data);
    let violates = |error| format!("its payload violates {}: {error}", event.dataschema);
    Ok(match data.map_err(violates)? {
        EventData::ChatAnswered(answered) => Some(Answer {
            event: event.id,
            time: event.time,
            latency_ms: answered.latency_ms.min(i64::MAX.unsigned_abs()),
        }),
        _ => None,
    })
}

/// Starts the consumer and the job. `log_end` changes when the activity feed has new entries.
pub(crate) fn spawn(store: &StatisticsStore, log_end: watch::Receiver<u64>, host: &Host) {
    let logged = Arc::new(Notify::new());
    let answers = Answers {
        store: store.clone(),
        logged: Arc::clone(&logged),
    };
    Consumer {
        group: group(),
        handler: Arc::new(answers),
    }
    .spawn(host);
    fold(store.clone(), log_end, logged, &host.background);
}

fn fold(
    store: StatisticsStore,
    log_end: watch::Receiver<u64>,
    logged: Arc<Notify>,
    background: &Background,
) {
    background.spawn("fold-statistics", move |stop| {
        let (store, log_end, logged) = (store.clone(), log_end.clone(), Arc::clone(&logged));
        async move { fold_until(&store, log_end, &logged, &stop).await }
    });
}

async fn fold_until(
    store: &StatisticsStore,
    mut log_end: watch::Receiver<u64>,
    logged: &Notify,
    stop: &CancellationToken,
) {
    loop {
        if let Err(error) = store.fold().await {
            tracing::warn!(%error, "statistics cannot be updated");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(AT_MOST_EVERY) => {}
        }
        tokio::select! {
            () = stop.cancelled() => return,
            _ = log_end.changed() => {}
            () = logged.notified() => {}
            () = tokio::time::sleep(AT_LEAST_EVERY) => {}
        }
    }
}
