//! Tests of lists of tasks with conditions.

use super::*;
use crate::store::Conditions;

/// All pages of a list, as titles, and how many pages there were.
async fn in_pages(
    stores: &Stores,
    developer: Option<UserId>,
    conditions: &Conditions,
    limit: u32,
) -> (Vec<String>, usize) {
    let (mut seen, mut pages, mut after) = (Vec::new(), 0, None);
    loop {
        let page = stores.releases.tasks(developer, conditions, after, limit);
        let page = page.await.unwrap();
        assert!(page.items.len() <= limit as usize);
        pages += 1;
        seen.extend(
            page.items
                .into_iter()
                .map(|placed| placed.task.title.into()),
        );
        match page.next {
            Some(next) => after = Some(next),
            None => return (seen, pages),
        }
    }
}

fn due(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

pub(super) async fn tasks_are_listed_by_all_conditions(open: impl Fn() -> Stores) {
    let stores = open();
    let (ada, bob) = (developer("ada"), developer("bob"));
    let planned = |name, owner, priority, tag, second| TaskDraft {
        priority,
        tags: Tags::new([tag]).unwrap(),
        due_at: Some(due(second)),
        ..task(name, owner)
    };
    let old = vec![
        planned("Write notes", &ada, Priority::High, "docs", 1),
        planned("Build images", &bob, Priority::Normal, "build", 2),
    ];
    let old = stored(&stores, plan("old", old)).await;
    let undated = TaskDraft {
        due_at: None,
        ..planned("Read NOTES", &ada, Priority::Low, "docs", 0)
    };
    let new = vec![undated, planned("Test", &ada, Priority::High, "build", 3)];
    stored(&stores, plan("new", new)).await;
    let started = start(&old, &old.tasks[0]);
    save(&stores, &old, &started).await.unwrap();

    let none = Conditions::default;
    let cases = [
        (
            none(),
            &["Read NOTES", "Test", "Write notes", "Build images"][..],
        ),
        (
            Conditions::in_state(Some(TaskFilter::InProcess)),
            &["Write notes"],
        ),
        (Conditions::in_state(Some(TaskFilter::Completed)), &[]),
        (
            Conditions {
                priority: Some(Priority::High),
                ..none()
            },
            &["Test", "Write notes"],
        ),
        (
            Conditions {
                tag: Some("docs".into()),
                ..none()
            },
            &["Read NOTES", "Write notes"],
        ),
        (
            Conditions {
                due_from: Some(due(2)),
                ..none()
            },
            &["Test", "Build images"],
        ),
        (
            Conditions {
                due_before: Some(due(2)),
                ..none()
            },
            &["Write notes"],
        ),
        (
            Conditions {
                text: Some("notes".into()),
                ..none()
            },
            &["Read NOTES", "Write notes"],
        ),
        (
            Conditions {
                text: Some("what\nto".into()),
                tag: Some("build".into()),
                ..none()
            },
            &["Test", "Build images"],
        ),
    ];
    for (conditions, expected) in &cases {
        for limit in [1, 9] {
            let (found, _) = in_pages(&stores, None, conditions, limit).await;
            assert_eq!(found, *expected, "{conditions:?}");
            let own: Vec<_> = expected
                .iter()
                .filter(|title| **title != "Build images")
                .collect();
            let (found, _) = in_pages(&stores, Some(ada.id), conditions, limit).await;
            assert_eq!(found.iter().collect::<Vec<_>>(), own, "{conditions:?}");
        }
    }
}

pub(super) async fn every_page_of_a_filtered_list_leads_on(open: impl Fn() -> Stores) {
    let stores = open();
    let ada = developer("ada");
    for n in 0..9 {
        let tags = Tags::new(if n == 0 { vec!["rare"] } else { vec![] }).unwrap();
        let draft = TaskDraft {
            tags,
            ..task(&format!("t{n}"), &ada)
        };
        stored(&stores, plan("r", vec![draft])).await;
    }
    let rare = Conditions {
        tag: Some("rare".into()),
        ..Conditions::default()
    };
    let (found, pages) = in_pages(&stores, Some(ada.id), &rare, 1).await;
    assert_eq!(found, ["t0"]);
    assert!(pages > 1, "a page reads a bounded number of releases");
    let (found, _) = in_pages(&stores, None, &rare, 1).await;
    assert_eq!(found, ["t0"]);
}
