//! Consumer groups: their members, and which member has which partition.

use std::collections::{BTreeSet, HashMap};

use super::log::Partition;

/// Identifies a member of any group for the lifetime of the process.
pub(super) type MemberId = u64;

/// All groups of the process.
#[derive(Debug, Default)]
pub(super) struct Groups {
    next_member: MemberId,
    groups: HashMap<String, Group>,
}

#[derive(Debug, Default)]
struct Group {
    /// In the order in which they joined.
    members: Vec<(MemberId, Vec<Partition>)>,
    /// Increases with each change of membership.
    generation: u64,
}

impl Groups {
    /// Adds a member that subscribes to `partitions`.
    pub(super) fn join(&mut self, group: &str, partitions: Vec<Partition>) -> MemberId {
        self.next_member += 1;
        let group = self.groups.entry(group.to_owned()).or_default();
        group.members.push((self.next_member, partitions));
        group.generation += 1;
        self.next_member
    }

    pub(super) fn leave(&mut self, group: &str, member: MemberId) {
        if let Some(group) = self.groups.get_mut(group) {
            group.members.retain(|(id, _)| *id != member);
            group.generation += 1;
        }
    }

    /// Each group that has members, with each topic that they subscribe to.
    pub(super) fn consumed(&self) -> BTreeSet<(String, String)> {
        let groups = self.groups.iter();
        let topics = groups.flat_map(|(name, group)| {
            let partitions = group.members.iter().flat_map(|(_, wanted)| wanted);
            partitions.map(|partition| (name.clone(), partition.topic.clone()))
        });
        topics.collect()
    }

    /// The generation of the group's current assignment of partitions.
    pub(super) fn generation(&self, group: &str) -> u64 {
        self.groups.get(group).map_or(0, |group| group.generation)
    }

    /// The partitions assigned to this member. Each partition goes to one of the members that want
    /// it.
    pub(super) fn assigned(&self, group: &str, member: MemberId) -> Vec<Partition> {
        let Some(group) = self.groups.get(group) else {
            return Vec::new();
        };
        let Some((_, wanted)) = group.members.iter().find(|(id, _)| *id == member) else {
            return Vec::new();
        };
        let mine = |partition: &&Partition| {
            let takers: Vec<_> = group
                .members
                .iter()
                .filter(|(_, wanted)| wanted.contains(partition))
                .collect();
            takers
                .get(partition.number as usize % takers.len().max(1))
                .is_some_and(|(id, _)| *id == member)
        };
        wanted.iter().filter(mine).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partitions(topic: &str, count: u32) -> Vec<Partition> {
        (0..count)
            .map(|number| Partition {
                topic: topic.into(),
                number,
            })
            .collect()
    }

    #[test]
    fn each_partition_is_assigned_to_exactly_one_member() {
        let mut groups = Groups::default();
        let members: Vec<_> = (0..3)
            .map(|_| groups.join("g", partitions("t", 7)))
            .collect();
        let mut all: Vec<_> = members
            .iter()
            .flat_map(|m| groups.assigned("g", *m))
            .collect();
        all.sort();
        assert_eq!(all, partitions("t", 7));
        groups.leave("g", members[1]);
        assert!(groups.assigned("g", members[1]).is_empty());
        let left: usize = members.iter().map(|m| groups.assigned("g", *m).len()).sum();
        assert_eq!(left, 7);
    }

    #[test]
    fn each_group_assigns_all_partitions() {
        let mut groups = Groups::default();
        let a = groups.join("a", partitions("t", 2));
        let b = groups.join("b", partitions("t", 2));
        assert_eq!(groups.assigned("a", a).len(), 2);
        assert_eq!(groups.assigned("b", b).len(), 2);
    }
}
