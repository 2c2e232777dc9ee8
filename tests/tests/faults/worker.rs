//! One developer and one admin who handle one release after the other, from its creation to its
//! hotfix.

use std::collections::BTreeMap;

use serde_json::json;
use slipway_tests::team::id;
use tokio_util::sync::CancellationToken;

use crate::{
    careful::{
        Careful,
        Who::{Admin, Developer},
    },
    ledger::{Ledger, Story, Thread},
};

/// Number of tasks a worker adds to the shared release, which may have 500.
const SHARED: usize = 50;

/// A worker of the load.
pub(crate) struct Worker {
    /// Its number, which is also its developer's.
    pub(crate) number: usize,
    /// Sends its commands.
    pub(crate) client: Careful,
    /// The shared release.
    pub(crate) shared: String,
    /// When to stop.
    pub(crate) stop: CancellationToken,
    /// The answers so far.
    pub(crate) ledger: Ledger,
}

impl Worker {
    /// Works until told to stop. A release that was started is finished, so that the outcome of
    /// every command is known.
    pub(crate) async fn work(mut self) -> Ledger {
        let mut n = 0;
        while !self.stop.is_cancelled() {
            // Each release starts at another gateway, whatever happened there before.
            self.client.go_to(self.number + n);
            self.release(n).await;
            n += 1;
        }
        (self.ledger.answers, self.ledger.longest) = self.client.into_answers();
        self.ledger
    }

    /// Handles a release from its creation to its hotfix, with commands that are refused.
    async fn release(&mut self, n: usize) {
        let number = self.number;
        self.plan_for_nobody(n).await;
        let at = self.plan(&format!("release {number}-{n}")).await;
        let story = &self.ledger.stories[at];
        let (path, tasks) = (
            format!("/releases/{}", story.id),
            story.tasks.keys().cloned().collect::<Vec<_>>(),
        );
        let second = format!("/tasks/{}/start", tasks[1]);
        self.client
            .refused(Developer, &second, "TASK_OUT_OF_ORDER")
            .await;
        let complete = format!("{path}/complete");
        self.client
            .refused(Admin, &complete, "RELEASE_INCOMPLETE")
            .await;
        for task in &tasks {
            self.task(at, task).await;
        }
        self.discuss(at, &tasks[0]).await;
        self.complete(at).await;
        if n < SHARED {
            self.add_to_shared(n).await;
        }
        let hotfix = self.hotfix(at).await;
        self.task(at, &hotfix).await;
        self.complete(at).await;
    }

    /// A release that must be refused and leave nothing.
    async fn plan_for_nobody(&mut self, n: usize) {
        let name = format!("refused {}-{n}", self.number);
        let body = json!({"name": name, "tasks": [{"title": name, "assignee": "nobody"}]});
        self.ledger.refused.push(name.clone());
        self.client.refused_plan(&body, &name).await;
    }

    /// Creates a release; returns its index in the ledger.
    async fn plan(&mut self, name: &str) -> usize {
        let developer = format!("dev-{}", self.number);
        let task = |n: usize| json!({"title": format!("{name}, task {n}"), "assignee": developer});
        let body = json!({"name": name, "tasks": [task(0), task(1)]});
        let release = self.client.post("/releases", &body, name).await;
        let mut story = Story {
            id: id(&release).to_owned(),
            name: name.to_owned(),
            tasks: BTreeMap::new(),
            completed: false,
            events: vec![("release.created", id(&release).to_owned())],
            thread: None,
        };
        for task in release["tasks"].as_array().unwrap() {
            story.tasks.insert(id(task).to_owned(), "TODO");
            story.events.push(("task.created", id(task).to_owned()));
            story.events.push(("task.assigned", id(task).to_owned()));
        }
        story.waits();
        self.ledger.stories.push(story);
        self.ledger.stories.len() - 1
    }

    /// Starts and completes a task.
    async fn task(&mut self, at: usize, task: &str) {
        let steps = [
            ("start", "IN_PROCESS", "task.started"),
            ("complete", "COMPLETED", "task.completed"),
        ];
        for (step, state, event) in steps {
            let path = format!("/tasks/{task}");
            self.client
                .patch(Developer, &path, step, |task| task["status"] == state)
                .await;
            let story = &mut self.ledger.stories[at];
            story.tasks.insert(task.to_owned(), state);
            story.events.push((event, task.to_owned()));
        }
        self.ledger.stories[at].waits();
    }

    /// Comments on a task and replies to the comment.
    async fn discuss(&mut self, at: usize, task: &str) {
        let name = self.ledger.stories[at].name.clone();
        let mut ids = Vec::new();
        let mut path = format!("/tasks/{task}/comments");
        for name in [format!("{name}, comment"), format!("{name}, reply")] {
            let body = json!({"content": name});
            let comment = self.client.post(&path, &body, &name).await;
            path = format!("/comments/{}/reply", id(&comment));
            ids.push(id(&comment).to_owned());
        }
        let [comment, reply] = ids.try_into().expect("both were accepted");
        self.ledger.stories[at].thread = Some(Thread {
            task: task.to_owned(),
            comment,
            reply,
        });
    }

    async fn complete(&mut self, at: usize) {
        let path = format!("/releases/{}", self.ledger.stories[at].id);
        self.client
            .patch(Admin, &path, "complete", |release| {
                release["isCompleted"] == true
            })
            .await;
        let story = &mut self.ledger.stories[at];
        story.completed = true;
        story.events.push(("release.completed", story.id.clone()));
    }

    /// Adds a task to the completed release; returns its id.
    async fn hotfix(&mut self, at: usize) -> String {
        let story = &self.ledger.stories[at];
        let (path, title) = (
            format!("/releases/{}/tasks", story.id),
            format!("{}, hotfix", story.name),
        );
        let body = json!({"title": title, "assignee": format!("dev-{}", self.number)});
        let task = self.client.post(&path, &body, &title).await;
        assert_eq!(task["hotfix"], true, "{task:#}");
        let task = id(&task).to_owned();
        let story = &mut self.ledger.stories[at];
        story.completed = false;
        story.tasks.insert(task.clone(), "TODO");
        story.events.extend([
            ("release.reopened", story.id.clone()),
            ("task.created", task.clone()),
            ("task.hotfix_added", task.clone()),
        ]);
        story.waits();
        task
    }

    /// Adds a task to the shared release, concurrently with the others.
    async fn add_to_shared(&mut self, n: usize) {
        let path = format!("/releases/{}/tasks", self.shared);
        let title = format!("by worker {}: {n}", self.number);
        let body = json!({"title": title, "assignee": format!("dev-{}", self.number)});
        let task = self.client.post(&path, &body, &title).await;
        self.ledger.shared.push(id(&task).to_owned());
    }
}
