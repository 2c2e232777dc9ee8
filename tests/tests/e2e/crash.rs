//! Power failures: the process is killed repeatedly under load, and then must have everything that
//! it had accepted.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use serde_json::{Value, json};
use slipway_tests::{Client, Options, Process, Team, team, team::id};
use tokio::{sync::mpsc, task::JoinSet};

const KILLS: usize = 20;
const DEVELOPERS: usize = 6;

/// Minimum number of commands accepted between two kills.
const ROUND: usize = 100;

/// The answers to one developer and their admin.
#[derive(Default)]
struct Answers {
    /// Ids of accepted releases.
    releases: BTreeSet<String>,
    /// Tasks by id, with the last accepted state.
    tasks: BTreeMap<String, &'static str>,
    /// Titles and names in commands without an answer: they may or may not have been carried out.
    unanswered: BTreeSet<String>,
    /// Names in refused commands: they must have left no trace.
    refused: BTreeSet<String>,
}

/// Works as one developer until the process is gone: creates a release, starts and completes its
/// task, and tries commands that must be refused.
async fn work(
    admin: Client,
    developer: Client,
    owner: usize,
    answers: &mut Answers,
    accepted: mpsc::UnboundedSender<()>,
    killed: Arc<AtomicBool>,
) {
    for n in 0.. {
        if killed.load(Ordering::SeqCst) {
            return;
        }
        let name = format!("release {owner}-{n}-{}", uuid::Uuid::now_v7());
        let assignee = format!("dev-{owner}");
        let plan = json!({"name": name, "tasks": [{"title": name, "assignee": assignee}]});
        let Ok(created) = admin.post("/releases", &plan).await else {
            answers.unanswered.insert(name);
            return;
        };
        let created = created.expect(201);
        let task = id(&created["tasks"][0]).to_owned();
        answers.releases.insert(id(&created).to_owned());
        answers.tasks.insert(task.clone(), "TODO");
        let _ = accepted.send(());

        let refused = format!("refused {owner}-{n}-{}", uuid::Uuid::now_v7());
        let plan = json!({"name": refused, "tasks": [{"title": refused, "assignee": "nobody"}]});
        if let Ok(answer) = admin.post("/releases", &plan).await {
            let _ = answer.refused(400, "INVALID_ARGUMENT");
        }
        answers.refused.insert(refused);

        for (step, state) in [("start", "IN_PROCESS"), ("complete", "COMPLETED")] {
            match developer.patch(&format!("/tasks/{task}/{step}")).await {
                Ok(answer) => {
                    let _ = answer.expect(200);
                    answers.tasks.insert(task.clone(), state);
                    let _ = accepted.send(());
                }
                Err(_) => {
                    answers.unanswered.insert(name);
                    return;
                }
            }
        }
    }
}

/// After a crash, a developer may have a started task whose start was not answered.
async fn finish_what_is_open(developer: &Client, answers: &mut Answers) {
    for task in developer
        .all("/tasks/my?status=IN_PROCESS&limit=200")
        .await
        .unwrap()
    {
        let done = developer
            .patch(&format!("/tasks/{}/complete", id(&task)))
            .await
            .unwrap();
        let _ = done.expect(200);
        answers.tasks.insert(id(&task).to_owned(), "COMPLETED");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn accepted_commands_survive_twenty_kills_and_are_published_once() {
    let options = Options::default();
    let mut server = Process::start().await.unwrap();
    Team::new(&server, DEVELOPERS).await.unwrap();
    let mut answers: Vec<Answers> = (0..DEVELOPERS).map(|_| Answers::default()).collect();

    for _ in 0..KILLS {
        let admin = server.admin().await.unwrap();
        let mut developers = Vec::new();
        for (owner, answers) in answers.iter_mut().enumerate() {
            let name = format!("dev-{owner}");
            let developer = server.client().login(&name, team::PASSWORD).await.unwrap();
            finish_what_is_open(&developer, answers).await;
            developers.push(developer);
        }
        let killed = Arc::new(AtomicBool::new(false));
        let (accepted, mut seen) = mpsc::unbounded_channel();
        let mut workers = JoinSet::new();
        for (owner, (mut answers, developer)) in answers.drain(..).zip(developers).enumerate() {
            let (admin, accepted, killed) = (admin.clone(), accepted.clone(), killed.clone());
            workers.spawn(async move {
                work(admin, developer, owner, &mut answers, accepted, killed).await;
                (owner, answers)
            });
        }
        for _ in 0..ROUND {
            seen.recv().await.unwrap();
        }
        let data = server.kill().await.unwrap();
        killed.store(true, Ordering::SeqCst);
        let mut back: Vec<_> = workers.join_all().await;
        back.sort_by_key(|(owner, _)| *owner);
        answers = back.into_iter().map(|(_, answers)| answers).collect();
        server = Process::start_on(data, &options).await.unwrap();
    }
    check(&server, &answers).await;
}

async fn check(server: &Process, answers: &[Answers]) {
    let admin = server.admin().await.unwrap();
    let stored = stored(&admin).await;
    let tasks = stored
        .values()
        .flat_map(|release| release["tasks"].as_array().unwrap());
    let states: BTreeMap<_, _> = tasks
        .clone()
        .map(|task| (id(task).to_owned(), task))
        .collect();

    for answers in answers {
        for release in &answers.releases {
            assert!(
                stored.contains_key(release),
                "release {release} was accepted and is lost"
            );
        }
        for (task, accepted) in &answers.tasks {
            check_task(states[task], accepted, answers);
        }
        for release in stored.values() {
            let name = release["name"].as_str().unwrap();
            assert!(
                !answers.refused.contains(name),
                "{name} was refused and is there"
            );
        }
    }

    // The activity feed must match what is stored exactly: no event is missing, doubled or
    // invented.
    let expected = expected_events(&stored);
    let mut stream = admin.stream("?after=0", None).await.unwrap();
    let mut events = BTreeSet::new();
    for number in 1..=expected.len() as u64 {
        let (sequence, entry) = stream.entry().await.unwrap();
        assert_eq!(sequence, number, "no gap, no repeat");
        let text = |field: &str| entry[field].as_str().unwrap().to_owned();
        events.insert((text("type"), text("subject")));
    }
    let untold: Vec<_> = expected.difference(&events).collect();
    let invented: Vec<_> = events.difference(&expected).collect();
    assert!(
        untold.is_empty() && invented.is_empty(),
        "untold: {untold:?}, invented: {invented:?}"
    );
    let newest = admin.get("/activity?limit=1").await.unwrap().expect(200);
    assert_eq!(newest["items"][0]["sequence"], json!(expected.len()));
}

/// Every release with its tasks, by id.
async fn stored(admin: &Client) -> BTreeMap<String, Value> {
    let mut stored = BTreeMap::new();
    for release in admin.all("/releases?limit=200").await.unwrap() {
        let path = format!("/releases/{}", id(&release));
        let release = admin.get(&path).await.unwrap().expect(200);
        stored.insert(id(&release).to_owned(), release);
    }
    stored
}

fn rank(state: &str) -> usize {
    let order = ["TODO", "IN_PROCESS", "COMPLETED"];
    order.iter().position(|s| *s == state).unwrap()
}

/// A task has the state of its last accepted command, or the next state if the answer to the next
/// command was lost.
fn check_task(task: &Value, accepted: &str, answers: &Answers) {
    let state = task["status"].as_str().unwrap();
    let unanswered = answers.unanswered.contains(task["title"].as_str().unwrap());
    let further = rank(state).checked_sub(rank(accepted));
    assert!(
        further == Some(0) || (further == Some(1) && unanswered),
        "accepted as {accepted}: {task:#}"
    );
}

/// The types and subjects of the events that must exist for what is stored.
fn expected_events(stored: &BTreeMap<String, Value>) -> BTreeSet<(String, String)> {
    let mut events = BTreeSet::new();
    let mut expect =
        |kind: &str, subject: &str| events.insert((kind.to_owned(), subject.to_owned()));
    for release in stored.values() {
        expect("release.created", id(release));
        expect("user.registered", id(&release["createdBy"]));
        let tasks = release["tasks"].as_array().unwrap();
        let completed = tasks
            .iter()
            .take_while(|task| task["status"] == "COMPLETED");
        let completed = completed.count();
        // The tasks that became ready, or the event that all are completed.
        for task in tasks.iter().take(completed + 1) {
            expect("task.ready", id(task));
        }
        if completed == tasks.len() && !tasks.is_empty() {
            expect("release.ready", id(release));
        }
        for task in tasks {
            expect("user.registered", id(&task["assignee"]));
            let kinds = ["task.started", "task.completed"];
            let happened = &kinds[..rank(task["status"].as_str().unwrap())];
            for kind in ["task.created", "task.assigned"].iter().chain(happened) {
                expect(kind, id(task));
            }
        }
    }
    events
}
