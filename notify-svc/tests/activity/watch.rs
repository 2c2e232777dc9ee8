//! `ActivityService.Watch`.

use jiff::Timestamp;
use slipway_proto::notify::v1::{
    ActivityEntry, ActivityGap, ActivityServiceWatchRequest, ActivityServiceWatchResponse,
};
use tonic::{Code, Streaming};

use crate::harness::{Client, Replica, Scene, entry_ids, events, ids};

/// A reader that requires consecutive numbers.
struct Reader {
    stream: Streaming<ActivityServiceWatchResponse>,
    last: u64,
}

impl Reader {
    async fn after(mut client: Client, after: u64) -> Self {
        let request = ActivityServiceWatchRequest { after };
        Self {
            stream: client.watch(request).await.unwrap().into_inner(),
            last: after,
        }
    }

    async fn message(&mut self) -> ActivityServiceWatchResponse {
        let message = self.stream.message().await.unwrap();
        message.expect("the stream goes on")
    }

    async fn gap(&mut self, from: u64, to: u64, goes_on_behind: u64) {
        let message = self.message().await;
        assert_eq!(message.gap, Some(ActivityGap { from, to }));
        assert!(message.entries.is_empty());
        self.last = goes_on_behind;
    }

    /// Reads at least `count` entries.
    async fn entries(&mut self, count: usize) -> Vec<ActivityEntry> {
        let mut all = Vec::new();
        while all.len() < count {
            let message = self.message().await;
            assert_eq!(message.gap, None);
            assert!(!message.entries.is_empty());
            self.follow(&message.entries);
            all.extend(message.entries);
        }
        all
    }

    fn follow(&mut self, entries: &[ActivityEntry]) {
        for entry in entries {
            self.last += 1;
            assert_eq!(entry.sequence, self.last);
        }
    }
}

#[tokio::test]
async fn missed_and_new_entries_follow_without_a_gap() {
    let scene = Scene::new().await;
    let replica = scene.replica();
    let events = events(300);
    let (missed, live) = events.split_at(150);
    scene.publish(missed).await;
    let publish = async {
        for event in live {
            scene.publish(std::slice::from_ref(event)).await;
        }
    };
    let read = async {
        let mut reader = Reader::after(replica.client(), 0).await;
        reader.entries(300).await
    };
    let (entries, ()) = tokio::join!(read, publish);
    assert_eq!(entry_ids(&entries), ids(&events));
}

#[tokio::test]
async fn a_reader_resumes_after_its_last_entry() {
    let scene = Scene::new().await;
    let events = events(5);
    scene.append(&events).await;
    let replica = scene.replica();
    let mut reader = Reader::after(replica.client(), 3).await;
    assert_eq!(entry_ids(&reader.entries(2).await), ids(&events[3..]));
}

#[tokio::test]
async fn pruned_entries_are_a_gap() {
    let scene = Scene::new().await;
    scene.append(&events(5)).await;
    let store = scene.stores().activity;
    assert_eq!(store.prune(Timestamp::MAX, 3).await.unwrap(), 3);
    let replica = scene.replica();
    for after in [0, 1, 2] {
        let mut reader = Reader::after(replica.client(), after).await;
        reader.gap(after + 1, 3, 3).await;
        assert_eq!(reader.entries(2).await.len(), 2);
    }
    let mut reader = Reader::after(replica.client(), 3).await;
    assert_eq!(reader.entries(2).await.len(), 2);
}

#[tokio::test]
async fn a_reader_overtaken_by_pruning_gets_a_gap() {
    let scene = Scene::new().await;
    scene.append(&events(1000)).await;
    let replica = scene.replica();
    let mut reader = Reader::after(replica.client(), 0).await;
    reader.entries(1).await;
    let store = scene.stores().activity;
    assert_eq!(store.prune(Timestamp::MAX, 990).await.unwrap(), 990);
    // Some messages were already on their way.
    let gap = loop {
        let message = reader.message().await;
        reader.follow(&message.entries);
        if let Some(gap) = message.gap {
            break gap;
        }
    };
    let from = reader.last + 1;
    assert!(from < 900, "{from}");
    assert_eq!(gap, ActivityGap { from, to: 990 });
    reader.last = 990;
    assert_eq!(reader.entries(10).await.len(), 10);
}

#[tokio::test]
async fn a_position_beyond_the_log_is_a_gap_and_the_stream_continues() {
    let scene = Scene::new().await;
    let replica = scene.replica();
    let mut of_empty_log = Reader::after(replica.client(), 9).await;
    of_empty_log.gap(1, 9, 0).await;

    let events = events(3);
    scene.publish(&events[..2]).await;
    assert_eq!(of_empty_log.entries(2).await.len(), 2);

    for after in [10, u64::MAX] {
        let mut reader = Reader::after(replica.client(), after).await;
        reader.gap(3, after, 2).await;
    }
    let mut reader = Reader::after(replica.client(), 10).await;
    reader.gap(3, 10, 2).await;
    scene.publish(&events[2..]).await;
    assert_eq!(entry_ids(&reader.entries(1).await), ids(&events[2..]));
}

#[tokio::test]
async fn draining_ends_the_stream_with_ok() {
    let scene = Scene::new().await;
    scene.append(&events(1)).await;
    let replica = scene.replica();
    let mut waiting = Reader::after(replica.client(), 0).await;
    waiting.entries(1).await;
    let mut reading = Reader::after(replica.client(), 0).await;
    let (end, ()) = tokio::join!(waiting.stream.message(), async { replica.drain.cancel() });
    assert_eq!(end.unwrap(), None);
    assert_eq!(reading.stream.message().await.unwrap(), None);
}

#[tokio::test]
async fn a_slow_reader_delays_only_itself() {
    let scene = Scene::new().await;
    let replica = scene.replica();
    let mut slow = Reader::after(replica.client(), 0).await;
    let events = events(2000);
    scene.publish(&events[..1]).await;
    let first = slow.entries(1).await;

    scene.publish(&events[1..]).await;
    let mut quick = Reader::after(replica.client(), 0).await;
    assert_eq!(entry_ids(&quick.entries(2000).await), ids(&events));

    let rest = slow.entries(2000 - first.len()).await;
    assert_eq!(entry_ids(&[first, rest].concat()), ids(&events));
}

#[tokio::test]
async fn entries_of_another_replica_arrive() {
    let scene = Scene::new().await;
    let idle = scene.idle_replica().await;
    let mut reader = Reader::after(idle.client(), 0).await;
    let _busy = scene.replica();
    for event in events(3) {
        scene.publish(std::slice::from_ref(&event)).await;
        let entries = reader.entries(1).await;
        assert_eq!(entry_ids(&entries), [event.id.to_string()]);
    }
}

#[tokio::test]
async fn without_its_database_the_stream_fails_as_unavailable() {
    let scene = Scene::new().await;
    let stores = scene.stores();
    stores.documents.seem_away(true);
    let replica = Replica::start(stores, scene.bus.clone());
    let mut reader = Reader::after(replica.client(), 0).await;
    let status = reader.stream.message().await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
}
