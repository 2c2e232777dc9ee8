//! Two instances of the service on one store: what two replicas are to each other.
//! Everybody lines up on a barrier before they act. The same tests on each backend.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    collections::BTreeSet,
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures::future::join_all;
use release_svc::{
    Config, Dependencies, FirstAdmin, FirstPassword, RegistrationRules, Stores,
    identity::{Email, NewPassword, Username},
};
use slipway_bus::{
    Bus, BusError, EmbeddedBus, Event, Record, SharedBus, Subscription, TopicSpec, Unpublished,
};
use slipway_mongo::testing::Scratch;
use slipway_proto::{
    DESCRIPTOR_SET,
    events::TOPICS,
    identity::v1::{
        LoginRequest, RegisterRequest, ResolveUsersRequest,
        identity_service_client::IdentityServiceClient,
    },
    release::v1::{
        AddTaskRequest, CompleteReleaseRequest, CreateReleaseRequest, GetReleaseRequest,
        ListMyTasksRequest, ListReleasesRequest, NewTask, Release, ReleaseStatus, StartTaskRequest,
        new_task::Assignee, release_service_client::ReleaseServiceClient,
        task_service_client::TaskServiceClient,
    },
};
use slipway_rpc::{
    access::{AccessLayer, Keyring, Policies, ServiceSecret, StreamLimits, Verifier},
    error::Fault,
    grpc::{Link, Outbound, Surround},
};
use slipway_runtime::{
    clock::{SharedClock, SystemClock},
    life::{Background, Check, Health, Problem},
};
use tokio::sync::Barrier;

const PASSWORD: &str = "a password for tests";
const RACERS: usize = 50;

/// Two instances, an admin and a developer.
struct Setup {
    instances: [Link; 2],
    admin: Outbound,
    developer: Outbound,
    bus: SharedBus,
    published: Arc<AtomicUsize>,
    background: Background,
    _backend: Backend,
    _dir: tempfile::TempDir,
}

/// Where the two keep what they know.
enum Backend {
    Sqlite(tempfile::TempDir),
    Mongo(Scratch),
}

impl Backend {
    /// The stores of one instance.
    async fn stores(&self) -> Stores {
        match self {
            Self::Sqlite(dir) => Stores::sqlite(&dir.path().join("release.db")).unwrap(),
            Self::Mongo(scratch) => Stores::mongo(scratch.client(), scratch.name())
                .await
                .unwrap(),
        }
    }
}

/// A bus that counts what is published.
struct Counting {
    bus: EmbeddedBus,
    published: Arc<AtomicUsize>,
}

#[async_trait]
impl Bus for Counting {
    async fn create_topics(&self, topics: &[TopicSpec]) -> Result<(), BusError> {
        self.bus.create_topics(topics).await
    }

    async fn topics(&self) -> Result<Vec<String>, BusError> {
        self.bus.topics().await
    }

    async fn publish(&self, records: Vec<Record>) -> Result<(), Unpublished> {
        self.published.fetch_add(records.len(), Ordering::Relaxed);
        self.bus.publish(records).await
    }

    async fn subscribe(
        &self,
        group: &str,
        topics: &[String],
    ) -> Result<Box<dyn Subscription>, BusError> {
        self.bus.subscribe(group, topics).await
    }
}

#[async_trait]
impl Check for Counting {
    async fn check(&self) -> Result<(), Problem> {
        self.bus.check().await
    }
}

async fn instance(
    stores: Stores,
    bus: SharedBus,
    keys: Arc<Keyring>,
    background: Background,
) -> Link {
    let clock: SharedClock = Arc::new(SystemClock);
    let verifier = Verifier::with_keys(keys.jwks(), ServiceSecret::random(), clock.clone());
    let config = Config {
        token_ttl: Duration::from_secs(3600),
        registration: RegistrationRules {
            open: true,
            per_hour: NonZeroU32::new(1000).unwrap(),
            anybody_as_admin: false,
        },
    };
    let password = NewPassword::new(PASSWORD, "admin", "admin@localhost").unwrap();
    let first_admin = FirstAdmin {
        username: Username::new("admin").unwrap(),
        email: Email::new("admin@localhost").unwrap(),
        password: FirstPassword::Chosen(password),
        username_is_set: false,
        email_is_set: false,
    };
    let dependencies = Dependencies {
        stores,
        bus,
        keys,
        clock,
        background,
        health: Health::default(),
    };
    let routes = config.build(first_admin, dependencies).await.unwrap();
    let policies = Policies::from_descriptor_set(DESCRIPTOR_SET).unwrap();
    let access = AccessLayer::new(
        Arc::new(policies),
        Arc::new(verifier),
        StreamLimits::new(100, 1000),
    );
    Link::local(Surround::new(access).around(routes))
}

impl Setup {
    async fn new(backend: Backend) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let bus = EmbeddedBus::open(&dir.path().join("bus.db"), Arc::new(SystemClock)).unwrap();
        let topics: Vec<_> = TOPICS.iter().map(TopicSpec::from).collect();
        bus.create_topics(&topics).await.unwrap();
        let published = Arc::new(AtomicUsize::new(0));
        let bus: SharedBus = Arc::new(Counting {
            bus,
            published: published.clone(),
        });
        let keys = Arc::new(Keyring::ephemeral());
        let background = Background::default();
        // Both find that there is no schema and no admin, and one creates them.
        let build = || async {
            let stores = backend.stores().await;
            instance(stores, bus.clone(), keys.clone(), background.clone()).await
        };
        let (one, two) = tokio::join!(build(), build());
        let mut identity = IdentityServiceClient::new(two.clone());
        let login = LoginRequest {
            login: "admin".into(),
            password: PASSWORD.into(),
        };
        let admin = identity.login(login).await.unwrap().into_inner().session;
        let register = RegisterRequest {
            username: "ada".into(),
            email: "ada@example.com".into(),
            password: PASSWORD.into(),
            role: 0,
        };
        let developer = identity
            .register(register)
            .await
            .unwrap()
            .into_inner()
            .session;
        Self {
            instances: [one, two],
            admin: Outbound::with_token(admin.unwrap().token),
            developer: Outbound::with_token(developer.unwrap().token),
            bus,
            published,
            background,
            _backend: backend,
            _dir: dir,
        }
    }

    fn releases(&self, n: usize) -> ReleaseServiceClient<Link> {
        ReleaseServiceClient::new(self.instances[n % 2].clone())
    }

    fn tasks(&self, n: usize) -> TaskServiceClient<Link> {
        TaskServiceClient::new(self.instances[n % 2].clone())
    }

    async fn plan(&self, name: String, tasks: usize) -> Release {
        let request = CreateReleaseRequest {
            name,
            tasks: vec![task("t".into()); tasks],
            ..CreateReleaseRequest::default()
        };
        let created = self
            .releases(0)
            .create_release(self.admin.request(request))
            .await;
        created.unwrap().into_inner().release.unwrap()
    }

    async fn get(&self, id: &str) -> Release {
        let request = self.admin.request(GetReleaseRequest { id: id.into() });
        let found = self.releases(1).get_release(request).await.unwrap();
        found.into_inner().release.unwrap()
    }
}

fn task(title: String) -> NewTask {
    NewTask {
        title,
        assignee: Some(Assignee::AssigneeUsername("ada".into())),
        ..NewTask::default()
    }
}

/// Runs all racers at once.
async fn race<T, F>(racers: Vec<F>) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let barrier = Arc::new(Barrier::new(racers.len()));
    let racers = racers.into_iter().map(|racer| {
        let barrier = Arc::clone(&barrier);
        tokio::spawn(async move {
            barrier.wait().await;
            racer.await
        })
    });
    join_all(racers)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect()
}

/// Runs each test on each backend.
macro_rules! on_each_backend {
    ($($name:ident)*) => {
        mod sqlite {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $name() {
                    let backend = super::Backend::Sqlite(tempfile::tempdir().unwrap());
                    super::$name(super::Setup::new(backend).await).await;
                }
            )*
        }
        mod mongodb {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $name() {
                    let Some(scratch) = super::Scratch::database().await else {
                        return;
                    };
                    let backend = super::Backend::Mongo(scratch);
                    super::$name(super::Setup::new(backend).await).await;
                }
            )*
        }
    };
}

on_each_backend!(
    a_developer_is_busy_on_both
    tasks_added_on_both_are_all_there
    completing_on_one_and_hotfixing_on_the_other_happen_in_one_of_the_two_orders
    one_idempotency_key_on_both_is_one_release
    names_are_resolved_without_regard_to_case_and_at_most_a_hundred
    unknown_numbers_are_refused
    both_publish_what_either_committed_and_first_occurrences_are_in_order
    what_one_committed_the_other_leaves_to_it
);

async fn a_developer_is_busy_on_both(s: Setup) {
    let mut racers = Vec::new();
    for n in 0..RACERS {
        let id = s.plan(format!("release {n}"), 1).await.tasks[0].id.clone();
        let (mut tasks, request) = (s.tasks(n), s.developer.request(StartTaskRequest { id }));
        racers.push(async move { tasks.start_task(request).await });
    }
    let (started, refused): (Vec<_>, Vec<_>) =
        race(racers).await.into_iter().partition(Result::is_ok);
    assert_eq!(started.len(), 1);
    let winner = started
        .into_iter()
        .next()
        .unwrap()
        .unwrap()
        .into_inner()
        .task
        .unwrap();
    for refusal in refused {
        let fault = Fault::from(refusal.unwrap_err());
        assert_eq!(fault.code, "DEVELOPER_BUSY");
        assert_eq!(fault.facts["activeTask"]["id"], winner.id);
    }
}

async fn tasks_added_on_both_are_all_there(s: Setup) {
    let release = s.plan("shared".into(), 0).await;
    let racers = (0..RACERS).map(|n| {
        let request = s.admin.request(AddTaskRequest {
            release_id: release.id.clone(),
            task: Some(task(format!("task {n}"))),
        });
        let mut releases = s.releases(n);
        async move { releases.add_task(request).await }
    });
    for added in race(racers.collect()).await {
        added.unwrap();
    }
    let after = s.get(&release.id).await;
    let indexes: BTreeSet<_> = after.tasks.iter().map(|task| task.order_index).collect();
    let titles: BTreeSet<_> = after.tasks.iter().map(|task| &task.title).collect();
    assert_eq!((indexes.len(), titles.len()), (RACERS, RACERS));
}

async fn completing_on_one_and_hotfixing_on_the_other_happen_in_one_of_the_two_orders(s: Setup) {
    for round in 0..20 {
        let release = s.plan(format!("round {round}"), 1).await;
        let id = release.tasks[0].id.clone();
        let start = StartTaskRequest { id: id.clone() };
        s.tasks(0)
            .start_task(s.developer.request(start))
            .await
            .unwrap();
        let complete = slipway_proto::release::v1::CompleteTaskRequest { id };
        s.tasks(1)
            .complete_task(s.developer.request(complete))
            .await
            .unwrap();

        let complete = s.admin.request(CompleteReleaseRequest {
            id: release.id.clone(),
        });
        let add = s.admin.request(AddTaskRequest {
            release_id: release.id.clone(),
            task: Some(task("one more".into())),
        });
        let (mut one, mut two) = (s.releases(0), s.releases(1));
        let barrier = Arc::new(Barrier::new(2));
        let (completed, added) = tokio::join!(
            async {
                barrier.wait().await;
                one.complete_release(complete).await
            },
            async {
                barrier.wait().await;
                two.add_task(add).await
            },
        );
        let added = added.unwrap().into_inner().task.unwrap();
        let after = s.get(&release.id).await;
        assert_eq!(after.status(), ReleaseStatus::Open);
        match completed {
            Ok(_) => assert!(added.hotfix && after.reopened_count == 1),
            Err(status) => {
                assert_eq!(Fault::from(status).code, "RELEASE_INCOMPLETE");
                assert!(!added.hotfix && after.reopened_count == 0);
            }
        }
    }
}

async fn one_idempotency_key_on_both_is_one_release(s: Setup) {
    let mut admin = s.admin.clone();
    admin.idempotency_key = Some("the-same".into());
    let racers = (0..RACERS).map(|n| {
        let request = admin.request(CreateReleaseRequest {
            name: "once".into(),
            ..CreateReleaseRequest::default()
        });
        let mut releases = s.releases(n);
        async move { releases.create_release(request).await.unwrap().into_inner() }
    });
    let answers = race(racers.collect()).await;
    let alike = answers.windows(2).all(|pair| pair[0] == pair[1]);
    assert!(alike, "all answers are the first");
}

async fn names_are_resolved_without_regard_to_case_and_at_most_a_hundred(s: Setup) {
    let resolve = |usernames: Vec<String>| {
        let request = s.developer.request(ResolveUsersRequest { usernames });
        let mut identity = IdentityServiceClient::new(s.instances[1].clone());
        async move { identity.resolve_users(request).await }
    };
    let names = ["ADA", "ada", "nobody", "admin", ""].map(str::to_owned);
    let found = resolve(names.into()).await.unwrap().into_inner().users;
    let found: BTreeSet<_> = found
        .iter()
        .map(|user| (user.username.as_str(), user.email.as_str()))
        .collect();
    assert_eq!(found, BTreeSet::from([("ada", ""), ("admin", "")]));
    let crowd = (0..101).map(|n| format!("user{n}")).collect();
    let fault = Fault::from(resolve(crowd).await.unwrap_err());
    assert_eq!(fault.fields[0].field, "usernames");
}

async fn unknown_numbers_are_refused(s: Setup) {
    let register = RegisterRequest {
        username: "eve".into(),
        email: "eve@example.com".into(),
        password: PASSWORD.into(),
        role: 99,
    };
    let mut identity = IdentityServiceClient::new(s.instances[0].clone());
    let registered = identity.register(s.admin.request(register)).await;
    let releases = ListReleasesRequest {
        status: 99,
        ..ListReleasesRequest::default()
    };
    let releases = s.releases(0).list_releases(s.admin.request(releases)).await;
    let tasks = ListMyTasksRequest {
        status: 99,
        ..ListMyTasksRequest::default()
    };
    let tasks = s.tasks(0).list_my_tasks(s.developer.request(tasks)).await;
    for (field, refused) in [
        ("role", registered.map(|_| ())),
        ("status", releases.map(|_| ())),
        ("status", tasks.map(|_| ())),
    ] {
        let fault = Fault::from(refused.unwrap_err());
        assert_eq!(fault.code, "INVALID_ARGUMENT");
        assert_eq!(fault.fields[0].field, field);
    }
}

async fn both_publish_what_either_committed_and_first_occurrences_are_in_order(s: Setup) {
    let release = s.plan("told".into(), 0).await;
    for n in 0..20 {
        let request = s.admin.request(AddTaskRequest {
            release_id: release.id.clone(),
            task: Some(task(format!("{n:02}"))),
        });
        s.releases(n).add_task(request).await.unwrap();
    }
    s.background.stop(Duration::from_secs(10)).await;
    let topics = [slipway_proto::events::RELEASES.name.to_owned()];
    let mut subscription = s.bus.subscribe("test", &topics).await.unwrap();
    let (mut seen, mut titles) = (BTreeSet::new(), Vec::new());
    // The plan, two events a task, and whose turn it is.
    while seen.len() < 1 + 2 * 20 + 1 {
        for delivery in subscription.next(1_000).await.unwrap() {
            let event = Event::from_record(&delivery.record).unwrap();
            if seen.insert(event.id) && event.event_type == "task.created" {
                let created: slipway_proto::events::TaskCreatedEvent = event.payload().unwrap();
                titles.push(created.task.title);
            }
        }
    }
    assert_eq!(titles.len(), 20);
    assert!(titles.is_sorted(), "{titles:?}");
}

async fn what_one_committed_the_other_leaves_to_it(s: Setup) {
    let racers = (0..RACERS).map(|n| {
        let request = s.admin.request(CreateReleaseRequest {
            name: format!("release {n}"),
            tasks: vec![task("t".into()); 2],
            ..CreateReleaseRequest::default()
        });
        let mut releases = s.releases(n);
        async move { releases.create_release(request).await.unwrap() }
    });
    race(racers.collect()).await;
    s.background.stop(Duration::from_secs(10)).await;
    // Two accounts, and the plans with two events a task and whose turn it is.
    let events = 2 + RACERS * (1 + 2 * 2 + 1);
    let twice = s.published.load(Ordering::Relaxed) - events;
    // None, unless this machine let one of them wait for seconds.
    assert!(twice < events / 20, "{twice} of {events}");
}
