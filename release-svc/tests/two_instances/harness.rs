//! Starts two instances of the service and calls them.

use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::future::join_all;
use jiff::SignedDuration;
use release_svc::{
    Config, Dependencies, FirstAdmin, FirstPassword, Passwords, RegistrationRules, Stores,
    identity::{Email, NewPassword, Username},
    release::StaleRule,
};
use slipway_bus::{Bus as _, EmbeddedBus, SharedBus, TopicSpec, testing::double::double};
use slipway_mongo::testing::Scratch;
use slipway_proto::{
    DESCRIPTOR_SET,
    events::TOPICS,
    identity::v1::{LoginRequest, RegisterRequest, identity_service_client::IdentityServiceClient},
    release::v1::{
        CreateReleaseRequest, GetReleaseRequest, NewTask, Release, new_task::Assignee,
        release_service_client::ReleaseServiceClient, task_service_client::TaskServiceClient,
    },
};
use slipway_rpc::{
    access::{
        AccessLayer, Keyring, Policies, ServiceSecret, ServiceTokens, StreamLimits, Verifier,
    },
    grpc::{Link, Middleware, Outbound},
};
use slipway_runtime::{
    clock::{SharedClock, SystemClock},
    life::{Background, Health},
};
use tokio::sync::Barrier;
use tokio_util::sync::CancellationToken;

pub(super) const PASSWORD: &str = "a password for tests";

/// How long a task may be in process.
pub(super) const STALE_AFTER: SignedDuration = SignedDuration::from_millis(500);

/// Two instances, an admin and a developer.
pub(super) struct Setup {
    pub(super) instances: [Link; 2],
    pub(super) admin: Outbound,
    /// ada
    pub(super) developer: Outbound,
    pub(super) bob: Outbound,
    secret: ServiceSecret,
    pub(super) bus: SharedBus,
    pub(super) published: Arc<AtomicUsize>,
    pub(super) background: Background,
    _backend: Backend,
    _dir: tempfile::TempDir,
}

/// The database that both instances use.
pub(super) enum Backend {
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

async fn instance(
    stores: Stores,
    bus: SharedBus,
    keys: Arc<Keyring>,
    secret: ServiceSecret,
    background: Background,
) -> Link {
    let clock: SharedClock = Arc::new(SystemClock);
    let verifier = Verifier::with_keys(keys.jwks(), secret, clock.clone());
    let config = Config {
        token_ttl: Duration::from_secs(3600),
        session_ttl: SignedDuration::from_hours(24),
        stale: StaleRule {
            after: STALE_AFTER,
            repeat: SignedDuration::from_hours(24),
        },
        registration: RegistrationRules {
            open: true,
            per_hour: NonZeroU32::new(1000).unwrap(),
            anybody_as_admin: false,
        },
        passwords: Passwords::Everybody,
        provider: None,
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
        ended: verifier.ended().clone(),
        drain: CancellationToken::new(),
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
    Link::local(Middleware::new(access).wrap(routes))
}

impl Setup {
    pub(super) async fn new(backend: Backend) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let bus = EmbeddedBus::open(&dir.path().join("bus.db"), Arc::new(SystemClock)).unwrap();
        let topics: Vec<_> = TOPICS.iter().map(TopicSpec::from).collect();
        bus.create_topics(&topics).await.unwrap();
        let published = Arc::new(AtomicUsize::new(0));
        let count = published.clone();
        let bus = double(Arc::new(bus), move |bus, records| {
            count.fetch_add(records.len(), Ordering::Relaxed);
            async move { bus.publish(records).await }
        });
        let keys = Arc::new(Keyring::ephemeral());
        let (background, secret) = (Background::default(), ServiceSecret::random());
        // Both instances find no schema and no admin at the same time; one creates them.
        let build = || async {
            let stores = backend.stores().await;
            let (bus, keys, secret) = (bus.clone(), keys.clone(), secret.clone());
            instance(stores, bus, keys, secret, background.clone()).await
        };
        let (one, two) = tokio::join!(build(), build());
        let mut identity = IdentityServiceClient::new(two.clone());
        let login = LoginRequest {
            login: "admin".into(),
            password: PASSWORD.into(),
        };
        let admin = identity.login(login).await.unwrap().into_inner().session;
        let mut tokens = Vec::new();
        for name in ["ada", "bob"] {
            let register = RegisterRequest {
                username: name.into(),
                email: format!("{name}@example.com"),
                password: PASSWORD.into(),
                role: 0,
            };
            let registered = identity.register(register).await.unwrap().into_inner();
            tokens.push(registered.session.unwrap().token);
        }
        let [developer, bob] = <[String; 2]>::try_from(tokens).unwrap();
        Self {
            instances: [one, two],
            admin: Outbound::with_token(admin.unwrap().token),
            developer: Outbound::with_token(developer),
            bob: Outbound::with_token(bob),
            secret,
            bus,
            published,
            background,
            _backend: backend,
            _dir: dir,
        }
    }

    /// Another process of the mesh.
    pub(super) fn service(&self) -> Outbound {
        let tokens = ServiceTokens::new(self.secret.clone(), "notify", Arc::new(SystemClock));
        Outbound::with_token(tokens.current())
    }

    pub(super) fn releases(&self, n: usize) -> ReleaseServiceClient<Link> {
        ReleaseServiceClient::new(self.instances[n % 2].clone())
    }

    pub(super) fn tasks(&self, n: usize) -> TaskServiceClient<Link> {
        TaskServiceClient::new(self.instances[n % 2].clone())
    }

    pub(super) async fn plan(&self, name: String, tasks: usize) -> Release {
        self.planned(name, vec![task("t".into()); tasks]).await
    }

    pub(super) async fn planned(&self, name: String, tasks: Vec<NewTask>) -> Release {
        let request = CreateReleaseRequest {
            name,
            tasks,
            ..CreateReleaseRequest::default()
        };
        let created = self
            .releases(0)
            .create_release(self.admin.request(request))
            .await;
        created.unwrap().into_inner().release.unwrap()
    }

    /// Registers a developer.
    pub(super) async fn register(&self, username: &str) -> Outbound {
        let register = RegisterRequest {
            username: username.into(),
            email: format!("{username}@example.com"),
            password: PASSWORD.into(),
            role: 0,
        };
        let mut identity = IdentityServiceClient::new(self.instances[1].clone());
        let registered = identity.register(register).await.unwrap().into_inner();
        Outbound::with_token(registered.session.unwrap().token)
    }

    pub(super) async fn get(&self, id: &str) -> Release {
        let request = self.admin.request(GetReleaseRequest { id: id.into() });
        let found = self.releases(1).get_release(request).await.unwrap();
        found.into_inner().release.unwrap()
    }
}

pub(super) fn task(title: String) -> NewTask {
    NewTask {
        title,
        assignee: Some(Assignee::AssigneeUsername("ada".into())),
        ..NewTask::default()
    }
}

/// Runs all racers at once.
pub(super) async fn race<T, F>(racers: Vec<F>) -> Vec<T>
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
