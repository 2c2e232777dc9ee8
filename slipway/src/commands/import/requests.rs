//! Which requests create a plan: a pure function of it.

use serde::Serialize;

use super::plan::{Plan, PlannedTask};

/// The size of the release's request at most, in bytes. The server takes 1 MiB; this
/// leaves room for what counts beside the body.
pub(super) const BODY_LIMIT: usize = 900 * 1024;

/// What creates a plan.
#[derive(Debug)]
pub(super) struct Requests<'a> {
    /// The body of `POST /releases`, with as many tasks as fit: one commit.
    pub(super) release: NewRelease<'a>,
    /// The tasks that follow one by one, in order.
    pub(super) rest: &'a [PlannedTask],
}

/// The body of `POST /releases`.
#[derive(Debug, Serialize)]
pub(super) struct NewRelease<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    tasks: &'a [PlannedTask],
}

impl<'a> Requests<'a> {
    /// The requests for `plan`, none with tasks beyond `limit` bytes.
    pub(super) fn new(plan: &'a Plan, limit: usize) -> Self {
        let release = |tasks: &'a [PlannedTask]| NewRelease {
            name: &plan.name,
            version: plan.version.as_deref(),
            description: plan.description.as_deref(),
            tasks,
        };
        let mut size = json_size(&release(&[]));
        let fitting = plan.tasks.iter().take_while(|task| {
            // The one is the comma in front of it.
            size += json_size(task) + 1;
            size <= limit
        });
        let (first, rest) = plan.tasks.split_at(fitting.count());
        Self {
            release: release(first),
            rest,
        }
    }
}

fn json_size(body: &impl Serialize) -> usize {
    serde_json::to_vec(body)
        .expect("text, numbers and lists of them can always be written as JSON")
        .len()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn plan(tasks: usize) -> Plan {
        let task = |at: usize| PlannedTask {
            title: format!("Task {at}"),
            description: Some("é\"".repeat(100)),
            assignee: "ada".into(),
            order_index: Some(at as i64),
            due_at: None,
        };
        Plan {
            name: "R".into(),
            version: None,
            description: None,
            tasks: (0..tasks).map(task).collect(),
            hotfix: None,
        }
    }

    #[test]
    fn a_plan_that_fits_is_one_request() {
        let plan = plan(500);
        let requests = Requests::new(&plan, BODY_LIMIT);
        assert!(requests.rest.is_empty());
        assert_eq!(requests.release.tasks.len(), 500);
    }

    #[test]
    fn what_does_not_fit_follows_in_order_and_nothing_is_lost() {
        let plan = plan(20);
        let whole = json_size(&Requests::new(&plan, BODY_LIMIT).release);
        for limit in [0, 100, 1_000, 5_000, whole, whole + 1] {
            let requests = Requests::new(&plan, limit);
            let first = requests.release.tasks.len();
            let titles = requests.release.tasks.iter().chain(requests.rest);
            let expected = (0..20).map(|at| format!("Task {at}"));
            assert!(titles.map(|task| task.title.clone()).eq(expected));
            assert!(first == 0 || json_size(&requests.release) <= limit);
        }
        assert!(Requests::new(&plan, whole + 1).rest.is_empty());
        assert_eq!(Requests::new(&plan, 0).rest.len(), 20);
    }

    #[test]
    fn bodies_are_what_the_api_takes() {
        let plan: Plan = serde_json::from_value(json!({
            "name": "R", "version": "1.0",
            "tasks": [{"title": "T", "assignee": "ada", "orderIndex": 10,
                       "dueAt": "2024-05-13T23:00:00Z"}],
            "hotfix": {"title": "H", "assignee": "bob"},
        }))
        .unwrap();
        let requests = Requests::new(&plan, BODY_LIMIT);
        let body: Value = serde_json::to_value(&requests.release).unwrap();
        assert_eq!(
            body,
            json!({"name": "R", "version": "1.0",
                   "tasks": [{"title": "T", "assignee": "ada", "orderIndex": 10,
                              "dueAt": "2024-05-13T23:00:00Z"}]})
        );
    }
}
