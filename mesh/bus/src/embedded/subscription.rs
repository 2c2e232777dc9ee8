//! One member of a consumer group.

use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;

use super::{
    EmbeddedBus,
    groups::MemberId,
    log::{self, Partition},
};
use crate::{BusError, Delivery, Subscription};

pub(super) struct Member {
    bus: EmbeddedBus,
    group: String,
    id: MemberId,
    /// The generation of the assignment that `positions` belongs to.
    generation: u64,
    /// The next offset to deliver of each partition assigned to this member.
    positions: HashMap<Partition, u64>,
    /// Rotates which partition is read first, so that none starves.
    turn: usize,
}

impl Member {
    pub(super) fn join(bus: EmbeddedBus, group: &str, partitions: Vec<Partition>) -> Self {
        let id = bus.0.groups.lock().join(group, partitions);
        Self {
            bus,
            group: group.to_owned(),
            id,
            generation: 0,
            positions: HashMap::new(),
            turn: 0,
        }
    }

    /// Applies a new assignment: starts each new partition at the group's committed offset and
    /// drops the partitions that were revoked.
    async fn rebalance(&mut self) -> Result<(), BusError> {
        let (generation, assigned) = {
            let groups = self.bus.0.groups.lock();
            let generation = groups.generation(&self.group);
            if generation == self.generation {
                return Ok(());
            }
            (generation, groups.assigned(&self.group, self.id))
        };
        let group = self.group.clone();
        let added: Vec<_> = assigned
            .iter()
            .filter(|partition| !self.positions.contains_key(partition))
            .cloned()
            .collect();
        let committed: Vec<(Partition, u64)> = self
            .bus
            .0
            .db
            .read(move |c| {
                added
                    .into_iter()
                    .map(|partition| {
                        let offset = log::committed(c, &group, &partition)?;
                        Ok::<_, BusError>((partition, offset))
                    })
                    .collect()
            })
            .await?;
        self.positions
            .retain(|partition, _| assigned.contains(partition));
        self.positions.extend(committed);
        self.generation = generation;
        Ok(())
    }

    /// The partitions with records not yet delivered to this member, rotated by `turn`.
    fn behind(&mut self) -> Vec<(Partition, u64)> {
        let mut behind: Vec<_> = {
            let heads = self.bus.0.heads.lock();
            self.positions
                .iter()
                .filter(|(partition, next)| heads.get(partition).is_some_and(|head| head > next))
                .map(|(partition, next)| (partition.clone(), *next))
                .collect()
        };
        behind.sort();
        if !behind.is_empty() {
            self.turn += 1;
            let first = self.turn % behind.len();
            behind.rotate_left(first);
        }
        behind
    }

    async fn fetch(
        &self,
        behind: Vec<(Partition, u64)>,
        max: usize,
    ) -> Result<Vec<Delivery>, BusError> {
        let read = self.bus.0.db.read(move |c| {
            let mut deliveries = Vec::new();
            for (partition, next) in behind {
                let room = max - deliveries.len();
                if room == 0 {
                    break;
                }
                let records = log::read(c, &partition, next, room)?;
                deliveries.extend(records.into_iter().map(|(offset, record)| Delivery {
                    record,
                    partition: partition.number,
                    offset,
                }));
            }
            Ok::<_, BusError>(deliveries)
        });
        read.await
    }
}

/// The next offset of each partition after these deliveries.
fn ends(deliveries: &[Delivery]) -> BTreeMap<Partition, u64> {
    let mut ends = BTreeMap::new();
    for delivery in deliveries {
        let partition = Partition {
            topic: delivery.record.topic.clone(),
            number: delivery.partition,
        };
        let end: &mut u64 = ends.entry(partition).or_default();
        *end = (*end).max(delivery.offset + 1);
    }
    ends
}

#[async_trait]
impl Subscription for Member {
    async fn next(&mut self, max: usize) -> Result<Vec<Delivery>, BusError> {
        let mut changes = self.bus.0.changes.subscribe();
        loop {
            changes.mark_unchanged();
            self.rebalance().await?;
            let behind = self.behind();
            if !behind.is_empty() {
                let deliveries = self.fetch(behind, max.max(1)).await?;
                if !deliveries.is_empty() {
                    self.positions.extend(ends(&deliveries));
                    return Ok(deliveries);
                }
            }
            // This cannot fail: the sender lives in the bus, and this member holds the bus.
            let _ = changes.changed().await;
        }
    }

    async fn commit(&mut self, done: &[Delivery]) -> Result<(), BusError> {
        let mut offsets = ends(done);
        {
            let groups = self.bus.0.groups.lock();
            let mine = groups.assigned(&self.group, self.id);
            offsets.retain(|partition, _| mine.contains(partition));
        }
        if offsets.is_empty() {
            return Ok(());
        }
        let group = self.group.clone();
        let commit = self
            .bus
            .0
            .db
            .write(move |c| log::commit(c, &group, &offsets));
        Ok(commit.await?)
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.bus.0.groups.lock().leave(&self.group, self.id);
        self.bus.changed();
    }
}
