//! Cases of the gathering rule, and its invariants.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::notification::Subject;

const ADA: To = To::User(Uuid::from_u128(0xada));
const GRACE: Uuid = Uuid::from_u128(0x6ace);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_000_000 + seconds).unwrap()
}

fn mention(task: u64, sender: Uuid) -> Draft {
    Draft {
        kind: "comment.posted".to_owned(),
        to: ADA,
        data: json!({"task": {"id": task.to_string()}, "because": "mention"}),
        sender: Some(sender),
    }
}

fn assignment(release: u128, plan_tasks: Option<u64>) -> Draft {
    Draft {
        kind: "task.assigned".to_owned(),
        to: ADA,
        data: json!({"releaseId": Uuid::from_u128(release), "planTasks": plan_tasks}),
        sender: Some(GRACE),
    }
}

/// It is ada's turn in this release.
fn turn(release: u128) -> Draft {
    Draft {
        kind: "task.ready".to_owned(),
        to: ADA,
        data: json!({"task": {"releaseId": Uuid::from_u128(release)}}),
        sender: Some(GRACE),
    }
}

fn of_kind(kind: &str) -> Draft {
    Draft {
        kind: kind.to_owned(),
        to: ADA,
        data: json!({"releaseId": Uuid::nil(), "taskId": "7"}),
        sender: None,
    }
}

/// Decides on notifications one after the other, each with the tallies as the previous one left
/// them.
#[derive(Default)]
struct Placing {
    rule: Rule,
    stored: BTreeMap<String, Tally>,
    events: u128,
}

impl Placing {
    fn place(&mut self, draft: Draft, now: Timestamp) -> Notification {
        self.events += 1;
        self.place_again(draft, self.events, now)
    }

    fn place_again(&mut self, draft: Draft, event: u128, now: Timestamp) -> Notification {
        let event = Uuid::from_u128(event);
        let occasion = Occasion::of(&draft, event);
        let made = Notification::new(draft, event, Subject::new("x"), now);
        self.put(&occasion, made, now)
    }

    fn put(&mut self, occasion: &Occasion, made: Notification, now: Timestamp) -> Notification {
        let found = occasion
            .keys(&made.to)
            .filter_map(|key| self.stored.get(&key).cloned());
        let mut tallies = Tallies::of(found.collect());
        let placed = self.rule.place(occasion, made, &mut tallies, now);
        for (_, tally) in tallies.changed() {
            let before = self.stored.insert(tally.key.clone(), tally.clone());
            assert_eq!(
                tally.revision,
                before.map_or(1, |before| before.revision + 1)
            );
        }
        placed
    }
}

fn group(placed: &Notification) -> Option<&str> {
    placed.group.as_deref()
}

#[test]
fn after_the_third_mail_about_a_thing_the_others_are_gathered() {
    let mut placing = Placing::default();
    for second in [0, 60, 120] {
        let placed = placing.place(mention(1, GRACE), at(second));
        assert_eq!((group(&placed), placed.due_at), (None, at(second)));
    }
    // Also when the first of the three has left the window.
    for second in [121, 599, 601, 719] {
        let placed = placing.place(mention(1, GRACE), at(second));
        assert_eq!(group(&placed), Some("discussion:1"));
        assert_eq!(placed.due_at, at(120 + 600));
        assert!(placed.reason.unwrap().starts_with("GATHERED: "));
    }
    let other = placing.place(mention(2, GRACE), at(130));
    assert_eq!(group(&other), None, "about something else");
    let next = placing.place(mention(1, GRACE), at(720));
    assert_eq!(group(&next), None, "the window is over");
}

#[test]
fn a_hotfix_is_never_gathered_and_not_counted() {
    let mut placing = Placing::default();
    for _ in 0..50 {
        assert_eq!(
            group(&placing.place(of_kind("task.hotfix_added"), at(0))),
            None
        );
    }
    assert!(placing.stored.is_empty());
}

#[test]
fn the_first_assignment_in_a_release_is_never_gathered() {
    let mut placing = Placing::default();
    for release in 1..=50 {
        let first = placing.place(assignment(release, Some(1)), at(0));
        assert_eq!(group(&first), None, "release {release}");
    }
    let second = placing.place(assignment(1, None), at(1));
    let sender = format!("sender:{GRACE}");
    assert_eq!(group(&second), Some(&*sender), "it was not the first");
}

#[test]
fn other_mails_do_not_delay_the_notification_of_a_turn() {
    let mut placing = Placing::default();
    for task in 1..=30 {
        placing.place(mention(task, GRACE), at(0));
    }
    for release in 1..=50 {
        let first = placing.place(turn(release), at(1));
        assert_eq!(group(&first), None, "release {release}");
    }
}

#[test]
fn turns_in_one_release_are_gathered_after_the_third() {
    let mut placing = Placing::default();
    let placed: Vec<_> = (0..5).map(|n| placing.place(turn(1), at(n))).collect();
    let turns = format!("turn:{}", Uuid::from_u128(1));
    let turns = Some(turns.as_str());
    let groups: Vec<_> = placed.iter().map(group).collect();
    assert_eq!(groups, [None, None, None, turns, turns]);
    assert_eq!(placed[4].due_at, at(2 + 600));
    let next = placing.place(turn(1), at(2 + 600));
    assert_eq!(group(&next), None, "the window is over");
}

#[test]
fn assignments_in_one_release_are_gathered_after_the_third() {
    let mut placing = Placing::default();
    let groups: Vec<_> = (0..5)
        .map(|n| placing.place(assignment(1, None), at(n)).group)
        .collect();
    let release = format!("release:{}", Uuid::from_u128(1));
    let release = Some(release.as_str());
    let groups: Vec<_> = groups.iter().map(Option::as_deref).collect();
    assert_eq!(groups, [None, None, None, release, release]);
}

#[test]
fn tasks_that_came_with_a_release_are_one_mail_and_count_as_one() {
    let mut placing = Placing::default();
    let plan = format!("plan:{}", Uuid::from_u128(1));
    for _ in 0..37 {
        let placed = placing.place(assignment(1, Some(37)), at(0));
        assert_eq!((group(&placed), placed.due_at), (Some(&*plan), at(0)));
    }
    for _ in 0..2 {
        assert_eq!(group(&placing.place(assignment(1, None), at(1))), None);
    }
    assert!(group(&placing.place(assignment(1, None), at(2))).is_some());
    let alone = placing.place(assignment(2, Some(1)), at(3));
    assert_eq!(group(&alone), None, "one task is a mail like any other");
}

#[test]
fn a_sender_is_gathered_after_twenty_mails_within_an_hour() {
    let mut placing = Placing::default();
    for task in 1..=20 {
        assert_eq!(group(&placing.place(mention(task, GRACE), at(0))), None);
    }
    let sender = format!("sender:{GRACE}");
    for (task, second, due) in [(21, 1, 600), (22, 599, 600), (1, 599, 600), (23, 700, 1300)] {
        let placed = placing.place(mention(task, GRACE), at(second));
        assert_eq!((group(&placed), placed.due_at), (Some(&*sender), at(due)));
    }
    let other = placing.place(mention(24, Uuid::from_u128(7)), at(1));
    assert_eq!(group(&other), None, "of somebody else");
    assert_eq!(group(&placing.place(mention(25, GRACE), at(3600))), None);
}

#[test]
fn each_kind_is_counted_for_its_own_thing() {
    let about = |draft: &Draft| Occasion::of(draft, Uuid::nil()).about;
    let reply = Draft {
        kind: "comment.replied".to_owned(),
        ..mention(1, GRACE)
    };
    let commented = Draft {
        kind: "task.commented".to_owned(),
        ..mention(1, GRACE)
    };
    for comment in [reply, commented] {
        assert_eq!(about(&comment), about(&mention(1, GRACE)), "one discussion");
    }
    let others = [
        turn(1),
        of_kind("release.ready"),
        mention(1, GRACE),
        of_kind("system.error"),
        of_kind("task.reminder_due"),
        of_kind("task.stale_detected"),
        of_kind("task.assigned"),
        of_kind("order-placed"),
    ];
    let things: BTreeSet<_> = others.iter().map(about).collect();
    assert_eq!(things.len(), others.len(), "{things:?}");
    let announced = |sender| Draft {
        sender: Some(sender),
        ..of_kind("order-placed")
    };
    assert_ne!(about(&announced(GRACE)), about(&announced(Uuid::nil())));
}

#[test]
fn notifications_of_quiet_hours_are_one_mail() {
    let mut placing = Placing::default();
    for draft in [mention(1, GRACE), assignment(1, Some(37)), of_kind("x")] {
        let occasion = Occasion::of(&draft, Uuid::nil());
        let made = Notification::new(draft, Uuid::nil(), Subject::new("x"), at(0));
        let placed = placing.put(&occasion, made.clone().deferred(at(9_000)), at(0));
        assert_eq!((group(&placed), placed.due_at), (Some("quiet"), at(9_000)));
        let unwanted = placing.put(&occasion, made.clone().suppressed("off"), at(0));
        assert_eq!(unwanted, made.suppressed("off"));
    }
    assert!(placing.stored.is_empty(), "none is counted");
}

#[test]
fn a_redelivered_event_gets_the_same_decision_and_is_counted_once() {
    let mut placing = Placing::default();
    for _ in 0..5 {
        for event in 1..=3 {
            assert_eq!(
                group(&placing.place_again(mention(1, GRACE), event, at(9))),
                None
            );
        }
    }
    let fourth = placing.place_again(mention(1, GRACE), 4, at(9));
    assert_eq!(
        placing.place_again(mention(1, GRACE), 4, at(9)).group,
        fourth.group
    );
    assert!(fourth.group.is_some());
}

/// A notification of any kind from any sender, after a pause of this many seconds.
fn some() -> impl Strategy<Value = (Draft, i64)> {
    let draft = prop_oneof![
        8 => (0..4u64, 0..2u128).prop_map(|(task, n)| mention(task, Uuid::from_u128(n))),
        1 => (0..3u128).prop_map(|release| assignment(release, None)),
        1 => (0..3u128).prop_map(turn),
        1 => Just(of_kind("system.error")),
        1 => Just(of_kind("task.hotfix_added")),
    ];
    // Another replica's clock may be behind.
    (draft, prop_oneof![4 => 0..5i64, 1 => -3..900i64])
}

proptest! {
    #[test]
    fn mails_are_few_and_waits_are_bounded(
        flood in prop::collection::vec(some(), 1..400),
    ) {
        let mut placing = Placing::default();
        let (mut second, mut singles) = (10_000, Vec::new());
        for (draft, pause) in flood {
            second += pause;
            let placed = placing.place(draft.clone(), at(second));
            let waits = placed.due_at.duration_since(at(second));
            prop_assert!(waits >= SignedDuration::ZERO && waits <= WINDOW);
            prop_assert_eq!(placed.group.is_some(), placed.reason.is_some());
            let about = Occasion::of(&draft, Uuid::nil());
            if placed.group.is_none() && about.rank != Rank::Urgent {
                singles.push((second, about));
            }
        }
        for (begin, one) in &singles {
            let within = |length: i64| {
                let end = begin + length;
                singles.iter().filter(move |(s, _)| s >= begin && *s < end)
            };
            let same = within(600).filter(|(_, other)| other.about == one.about).count();
            prop_assert!(same <= AT_ONCE, "{same} about {}", one.about);
            let of_sender = within(3600).filter(|(_, other)| {
                other.sender.is_some() && other.sender == one.sender
                    && other.rank == Rank::Other
            });
            let of_sender = of_sender.count();
            prop_assert!(of_sender <= SENDER_MAILS, "{of_sender} of one sender");
        }
    }
}
