//! The partitions assigned to this member, its buffered records, and its progress. Pure: the member
//! makes the calls to the library.
//!
//! An offset is committed only while its partition is assigned to this member, and only for records
//! delivered since the assignment: before that, another member may have continued.

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

/// For each partition the offset at which to continue.
pub(super) type Offsets = BTreeMap<Partition, u64>;

#[derive(Debug, Default)]
pub(super) struct Assignment {
    owned: BTreeMap<Partition, Progress>,
    buffer: VecDeque<Delivery>,
    /// The bytes of payloads in the buffer.
    bytes: usize,
}

/// The records that are buffered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Waiting {
    pub(super) records: usize,
    /// Bytes of their payloads.
    pub(super) bytes: usize,
}

/// Offsets at which to continue, since the partition was assigned; 0 means nothing yet.
#[derive(Debug, Default)]
struct Progress {
    handed: u64,
    done: u64,
    committed: u64,
}

impl Assignment {
    /// Adds newly assigned partitions.
    pub(super) fn assign(&mut self, partitions: Vec<Partition>) {
        let new = partitions
            .into_iter()
            .map(|partition| (partition, Progress::default()));
        self.owned.extend(new);
    }

    /// Removes partitions that are being revoked, and drops their buffered records. Returns the
    /// offsets that are done and not committed yet.
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

    /// Whether this partition is assigned to this member.
    pub(super) fn owns(&self, topic: &str, number: u32) -> bool {
        let mut owned = self.owned.keys();
        owned.any(|partition| partition.number == number && partition.topic == topic)
    }

    /// Adds a received record.
    pub(super) fn push(&mut self, delivery: Delivery) {
        if self.owned.contains_key(&Partition::of(&delivery)) {
            self.bytes += delivery.record.value.len();
            self.buffer.push_back(delivery);
        }
    }

    /// The amount of buffered records.
    pub(super) fn waiting(&self) -> Waiting {
        Waiting {
            records: self.buffer.len(),
            bytes: self.bytes,
        }
    }

    /// Takes at most `max` buffered records for delivery.
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

    /// Notes that everything up to and including these records is done.
    pub(super) fn finish(&mut self, done: &[Delivery]) {
        for delivery in done {
            if let Some(progress) = self.owned.get_mut(&Partition::of(delivery))
                && delivery.offset < progress.handed
            {
                progress.done = progress.done.max(delivery.offset + 1);
            }
        }
    }

    /// The offsets that are done and not committed yet.
    pub(super) fn uncommitted(&self) -> Offsets {
        self.owned
            .iter()
            .filter(|(_, progress)| progress.done > progress.committed)
            .map(|(partition, progress)| (partition.clone(), progress.done))
            .collect()
    }

    /// Notes that the offsets have been committed.
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
    fn done_offsets_stay_uncommitted_until_the_commit_and_never_go_back() {
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
    fn only_records_of_revoked_partitions_are_dropped() {
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
    fn a_partition_that_is_assigned_again_starts_without_progress() {
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
