//! Which partitions are this member's, what of them waits to be handled, and how far it
//! is. Pure: the library's calls are the member's business.
//!
//! An offset is committed only while its partition is this member's and only for what
//! was handed out since it became so: in between another member may have gone on.

use std::collections::{BTreeMap, VecDeque};

use slipway_bus::Delivery;

/// One partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Partition {
    pub(super) topic: String,
    pub(super) number: u32,
}

impl Partition {
    fn of(delivery: &Delivery) -> Self {
        Self {
            topic: delivery.record.topic.clone(),
            number: delivery.partition,
        }
    }
}

/// For each partition the offset to go on at.
pub(super) type Offsets = BTreeMap<Partition, u64>;

#[derive(Debug, Default)]
pub(super) struct Assignment {
    owned: BTreeMap<Partition, Progress>,
    buffer: VecDeque<Delivery>,
    /// The payloads in the buffer.
    bytes: usize,
}

/// What waits to be handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Waiting {
    pub(super) records: usize,
    /// Of their payloads.
    pub(super) bytes: usize,
}

/// Offsets to go on at, since the partition became this member's; 0 is nothing yet.
#[derive(Debug, Default)]
struct Progress {
    handed: u64,
    done: u64,
    committed: u64,
}

impl Assignment {
    /// The partitions have become this member's.
    pub(super) fn assign(&mut self, partitions: Vec<Partition>) {
        let new = partitions
            .into_iter()
            .map(|partition| (partition, Progress::default()));
        self.owned.extend(new);
    }

    /// The partitions are going to be another member's: what waits of them is dropped.
    /// Returns what is done and not committed yet.
    pub(super) fn revoke(&mut self, partitions: &[Partition]) -> Offsets {
        let mut done = self.uncommitted();
        done.retain(|partition, _| partitions.contains(partition));
        self.owned
            .retain(|partition, _| !partitions.contains(partition));
        let owned = &self.owned;
        self.buffer
            .retain(|delivery| owned.contains_key(&Partition::of(delivery)));
        self.bytes = payloads(&self.buffer);
        done
    }

    /// A record has arrived.
    pub(super) fn push(&mut self, delivery: Delivery) {
        if self.owned.contains_key(&Partition::of(&delivery)) {
            self.bytes += delivery.record.value.len();
            self.buffer.push_back(delivery);
        }
    }

    /// How much waits.
    pub(super) fn waiting(&self) -> Waiting {
        Waiting {
            records: self.buffer.len(),
            bytes: self.bytes,
        }
    }

    /// Hands out what waits, at most `max`.
    pub(super) fn take(&mut self, max: usize) -> Vec<Delivery> {
        let count = max.min(self.buffer.len());
        let batch: Vec<_> = self.buffer.drain(..count).collect();
        self.bytes -= payloads(&batch);
        for delivery in &batch {
            if let Some(progress) = self.owned.get_mut(&Partition::of(delivery)) {
                progress.handed = delivery.offset + 1;
            }
        }
        batch
    }

    /// Everything up to and including these is done.
    pub(super) fn finish(&mut self, done: &[Delivery]) {
        for delivery in done {
            if let Some(progress) = self.owned.get_mut(&Partition::of(delivery))
                && delivery.offset < progress.handed
            {
                progress.done = progress.done.max(delivery.offset + 1);
            }
        }
    }

    /// What is done and not committed yet.
    pub(super) fn uncommitted(&self) -> Offsets {
        self.owned
            .iter()
            .filter(|(_, progress)| progress.done > progress.committed)
            .map(|(partition, progress)| (partition.clone(), progress.done))
            .collect()
    }

    /// The offsets have been committed.
    pub(super) fn committed(&mut self, offsets: &Offsets) {
        for (partition, offset) in offsets {
            if let Some(progress) = self.owned.get_mut(partition) {
                progress.committed = progress.committed.max(*offset);
            }
        }
    }
}

fn payloads<'a>(deliveries: impl IntoIterator<Item = &'a Delivery>) -> usize {
    let sizes = deliveries
        .into_iter()
        .map(|delivery| delivery.record.value.len());
    sizes.sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use slipway_bus::testing::stage::record;

    fn partition(number: u32) -> Partition {
        let topic = "t".into();
        Partition { topic, number }
    }

    fn delivery(partition: u32, offset: u64) -> Delivery {
        Delivery {
            record: record("t", "k", "v"),
            partition,
            offset,
        }
    }

    fn assigned(count: u32) -> Assignment {
        let mut assignment = Assignment::default();
        assignment.assign((0..count).map(partition).collect());
        for offset in 0..3 {
            for number in 0..count {
                assignment.push(delivery(number, offset));
            }
        }
        assignment
    }

    #[test]
    fn what_is_done_is_to_be_committed_until_it_is_and_never_goes_back() {
        let mut assignment = assigned(1);
        let all = assignment.take(9);
        assignment.finish(&all[..2]);
        let offsets = assignment.uncommitted();
        assert_eq!(offsets, [(partition(0), 2)].into());
        assignment.committed(&offsets);
        assignment.finish(&all[..1]);
        assert!(assignment.uncommitted().is_empty());
    }

    #[test]
    fn what_waits_of_a_revoked_partition_is_dropped_and_of_others_stays() {
        let mut assignment = assigned(2);
        let batch = assignment.take(2);
        assignment.finish(&batch);
        let done = assignment.revoke(&[partition(0)]);
        assert_eq!(done, [(partition(0), 1)].into());
        let waiting = assignment.waiting();
        assert_eq!((waiting.records, waiting.bytes), (2, 2));
        assert!(assignment.take(9).iter().all(|d| d.partition == 1));
        assignment.push(delivery(0, 7));
        let waiting = assignment.waiting();
        assert_eq!(
            (waiting.records, waiting.bytes),
            (0, 0),
            "a late record is dropped too"
        );
    }

    #[test]
    fn a_partition_that_comes_back_begins_anew() {
        let mut assignment = assigned(1);
        let batch = assignment.take(2);
        assignment.revoke(&[partition(0)]);
        assignment.assign(vec![partition(0)]);
        assignment.finish(&batch);
        assert!(
            assignment.uncommitted().is_empty(),
            "another member may be further"
        );
    }
}
