//! Builds the services of a role, and connects them with each other.

use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use slipway_bus::{SharedBus, TopicSpec};
use slipway_proto::events::{CHAT, FORUM, TOPICS};
use slipway_rpc::{
    access::{ServiceSecret, ServiceTokens},
    grpc::{GrpcServer, Link, Middleware, Origins, SecretCheck, ServiceCheck},
};
use slipway_runtime::{
    alarm,
    clock::{SharedClock, SystemClock},
    life::Need,
};
use tonic::service::Routes;

use super::{Life, alarms::Delivery, bus::specs, data_dir::DataDir, embedded, storage::Storage};
use crate::{
    cli::Role,
    config::{Settings, Tls},
};

/// What a process serves.
pub(super) struct Built {
    pub(super) router: Option<Router>,
    pub(super) grpc: Option<GrpcServer>,
    /// Held until the process ends.
    pub(super) lock: Option<DataDir>,
}

impl Built {
    fn of_services(grpc: GrpcServer, storage: Storage) -> anyhow::Result<Self> {
        Ok(Self {
            router: None,
            grpc: Some(grpc),
            lock: storage.into_lock()?,
        })
    }
}

/// Builds the services of `role`. Users reach Slipway at `public_url`.
pub(super) async fn build(
    role: Role,
    settings: &Settings,
    public_url: String,
    tls: &Tls,
    life: &Life,
) -> anyhow::Result<Built> {
    let shared = Shared {
        role,
        settings,
        public_url,
        tls: tls.clone(),
        life,
        clock: Arc::new(SystemClock),
        secret: settings
            .service_secret
            .as_ref()
            .map_or_else(ServiceSecret::random, |secret| {
                ServiceSecret::new(secret.expose())
            }),
    };
    match role {
        Role::All => shared.all().await,
        Role::Release => shared.release().await,
        Role::Forum => shared.forum().await,
        Role::Chat => shared.chat().await,
        Role::Notify => shared.notify().await,
        Role::Gateway => shared.gateway(),
    }
}

/// Dependencies shared by the services of a process.
pub(super) struct Shared<'a> {
    pub(super) role: Role,
    pub(super) settings: &'a Settings,
    /// The URL at which users reach Slipway.
    pub(super) public_url: String,
    /// How it speaks TLS.
    pub(super) tls: Tls,
    pub(super) life: &'a Life,
    pub(super) clock: SharedClock,
    pub(super) secret: ServiceSecret,
}

/// The gateway's links to the services.
pub(super) struct Links {
    pub(super) release: Link,
    pub(super) forum: Link,
    pub(super) chat: Link,
    pub(super) notify: Link,
}

impl Shared<'_> {
    async fn all(self) -> anyhow::Result<Built> {
        let storage = Storage::open(self.settings, &["release", "forum", "chat", "notify"]).await?;
        let keys = storage.keys(self.settings)?;
        let services = [
            release_svc::SERVICES,
            forum_svc::SERVICES,
            chat_svc::SERVICES,
            notify_svc::SERVICES,
        ]
        .concat();
        let topics = [
            specs(TOPICS),
            release_svc::own_topics(),
            notify_svc::own_topics(),
        ]
        .concat();
        let bus = self.bus(&storage, topics, &services).await?;
        let verifier = self.verifier_with(&keys);
        let ended = verifier.ended().clone();
        let routes = self.release_routes(&storage, keys, bus.clone(), ended);
        let (release, accounts) = routes.await?;
        let programs = self.own_programs(&release, &verifier)?;
        let middleware = self.middleware(verifier.clone(), programs.clone(), Some(accounts))?;
        let to_release = Link::local(middleware.wrap(release.clone()));
        let forum = self
            .forum_routes(&storage, to_release.clone(), bus.clone())
            .await?;
        let chat = self
            .chat_routes(&storage, to_release.clone(), bus.clone())
            .await?;
        let notify = self
            .notify_routes(&storage, to_release, bus.clone())
            .await?;
        let routes = both(both(release, forum), both(chat, notify));
        let link = Link::local(middleware.wrap(routes.clone()));
        self.deliver_alarms("slipway", Some(bus), Some(link.clone()));
        let links = Links {
            release: link.clone(),
            forum: link.clone(),
            chat: link.clone(),
            notify: link,
        };
        let server = self.server(routes, services, middleware).await?;
        Ok(Built {
            router: Some(self.router(links, verifier, programs)),
            ..Built::of_services(server, storage)?
        })
    }

    async fn release(self) -> anyhow::Result<Built> {
        let storage = Storage::open(self.settings, &["release"]).await?;
        let keys = storage.keys(self.settings)?;
        self.warn_if_alone("events will not reach the activity feed");
        let topics = [specs(TOPICS), release_svc::own_topics()].concat();
        let bus = self.bus(&storage, topics, release_svc::SERVICES).await?;
        let verifier = self.verifier_with(&keys);
        let ended = verifier.ended().clone();
        let routes = self.release_routes(&storage, keys, bus.clone(), ended);
        let (routes, accounts) = routes.await?;
        let programs = self.own_programs(&routes, &verifier)?;
        let middleware = self.middleware(verifier, programs, Some(accounts))?;
        self.deliver_alarms("release", Some(bus), self.to_notify()?);
        let server = self.server(routes, release_svc::SERVICES.into(), middleware);
        Built::of_services(server.await?, storage)
    }

    async fn forum(self) -> anyhow::Result<Built> {
        let storage = Storage::open(self.settings, &["forum"]).await?;
        self.warn_if_alone("comments will not reach the activity feed");
        let topics = specs(&[FORUM]);
        let bus = self.bus(&storage, topics, forum_svc::SERVICES).await?;
        let release = self.remote("release", self.settings.release_url.as_ref())?;
        let programs = self.programs(release.clone());
        let verifier = self.verifier_from(release.clone());
        let middleware = self.middleware(verifier, programs, None)?;
        self.uses_release(forum_svc::SERVICE, &release);
        let routes = self.forum_routes(&storage, release, bus.clone()).await?;
        self.deliver_alarms("forum", Some(bus), self.to_notify()?);
        let server = self.server(routes, forum_svc::SERVICES.into(), middleware);
        Built::of_services(server.await?, storage)
    }

    async fn chat(self) -> anyhow::Result<Built> {
        let storage = Storage::open(self.settings, &["chat"]).await?;
        self.warn_if_alone("answers of the assistant will not reach the activity feed");
        let topics = specs(&[CHAT]);
        let bus = self.bus(&storage, topics, chat_svc::SERVICES).await?;
        let release = self.remote("release", self.settings.release_url.as_ref())?;
        let programs = self.programs(release.clone());
        let verifier = self.verifier_from(release.clone());
        let middleware = self.middleware(verifier, programs, None)?;
        self.uses_release(chat_svc::SERVICE, &release);
        let routes = self.chat_routes(&storage, release, bus.clone()).await?;
        self.deliver_alarms("chat", Some(bus), self.to_notify()?);
        let server = self.server(routes, chat_svc::SERVICES.into(), middleware);
        Built::of_services(server.await?, storage)
    }

    async fn notify(self) -> anyhow::Result<Built> {
        let storage = Storage::open(self.settings, &["notify"]).await?;
        self.warn_if_alone("the activity feed stays empty");
        if self.settings.public_url.is_none() {
            tracing::warn!(
                url = self.public_url,
                "LINKS IN MAILS MAY LEAD NOWHERE: another process serves HTTP, and \
                 SLIPWAY_PUBLIC_URL does not say where"
            );
        }
        let topics = notify_svc::own_topics();
        let bus = self.bus(&storage, topics, notify_svc::SERVICES).await?;
        let release = self.remote("release", self.settings.release_url.as_ref())?;
        self.uses_release(notify_svc::SERVICE, &release);
        let programs = self.programs(release.clone());
        let verifier = self.verifier_from(release.clone());
        let middleware = self.middleware(verifier, programs, None)?;
        let routes = self.notify_routes(&storage, release, bus.clone()).await?;
        let itself = Link::local(middleware.wrap(routes.clone()));
        self.deliver_alarms("notify", Some(bus), Some(itself));
        let server = self.server(routes, notify_svc::SERVICES.into(), middleware);
        Built::of_services(server.await?, storage)
    }

    fn gateway(self) -> anyhow::Result<Built> {
        let links = Links {
            release: self.remote("release", self.settings.release_url.as_ref())?,
            forum: self.remote("forum", self.settings.forum_url.as_ref())?,
            chat: self.remote("chat", self.settings.chat_url.as_ref())?,
            notify: self.remote("notify", self.settings.notify_url.as_ref())?,
        };
        // The gateway works without discussions, the assistant and the activity feed.
        for (link, services, need) in [
            (&links.release, release_svc::SERVICES, Need::Required),
            (&links.forum, forum_svc::SERVICES, Need::Degraded),
            (&links.chat, chat_svc::SERVICES, Need::Degraded),
            (&links.notify, notify_svc::SERVICES, Need::Degraded),
        ] {
            for service in services {
                let check = ServiceCheck::new(link.clone(), service);
                self.life
                    .health
                    .depends("gateway", service, need, Arc::new(check));
            }
        }
        let verifier = self.verifier_from(links.release.clone());
        let programs = self.programs(links.release.clone());
        self.deliver_alarms("gateway", None, Some(links.notify.clone()));
        Ok(Built {
            router: Some(self.router(links, verifier, programs)),
            grpc: None,
            lock: None,
        })
    }

    /// Starts to deliver the alarms of this process to administrators: by the bus, or by RPC if
    /// the bus is unavailable or the alarm is about the bus.
    fn deliver_alarms(
        &self,
        service: &'static str,
        bus: Option<SharedBus>,
        incidents: Option<Link>,
    ) {
        if incidents.is_none() {
            tracing::warn!("alerts about the bus will reach nobody: SLIPWAY_NOTIFY_URL is not set");
        }
        let tokens = ServiceTokens::new(self.secret.clone(), service, self.clock.clone());
        let delivery = Delivery {
            service,
            bus,
            incidents,
            tokens: Arc::new(tokens),
        };
        delivery.spawn(&self.life.background);
        alarm::watch::dependencies(self.life.health.clone(), &self.life.background);
        alarm::watch::panics();
    }

    /// The link to the incident service, if its URL is configured.
    fn to_notify(&self) -> anyhow::Result<Option<Link>> {
        let urls = self.settings.notify_url.as_ref();
        urls.map(|_| self.remote("notify", urls)).transpose()
    }

    /// Warns that the embedded bus does not connect a single-role process with others.
    fn warn_if_alone(&self, consequence: &str) {
        if self.settings.kafka_brokers.is_none() {
            tracing::warn!(
                consequence,
                "THIS PROCESS IS NOT CONNECTED TO OTHERS: without SLIPWAY_KAFKA_BROKERS its bus \
                 is a local file"
            );
        }
    }

    /// The bus of a process with these services, which own these topics.
    async fn bus(
        &self,
        storage: &Storage,
        owned: Vec<TopicSpec>,
        services: &[&'static str],
    ) -> anyhow::Result<SharedBus> {
        slipway_bus::metrics::begin(&owned);
        match &self.settings.kafka_brokers {
            None => {
                let (data, clock) = (storage.data()?, self.clock.clone());
                embedded::bus(data, clock, &self.life.background).await
            }
            Some(brokers) => {
                let security = self.settings.kafka_security();
                super::bus::kafka(brokers, &security, owned, services, self.life).await
            }
        }
    }

    /// The link to the service `name` in another process, which must have the same service secret.
    fn remote(&self, name: &'static str, urls: Option<&Origins>) -> anyhow::Result<Link> {
        let urls = urls.context("a role that needs another service has its URL")?;
        let link = Link::remote(name, urls.clone(), self.tls.client.clone());
        let own = self.role.as_str();
        let tokens = ServiceTokens::new(self.secret.clone(), own, self.clock.clone());
        let check = Arc::new(SecretCheck::new(link.clone(), name, tokens));
        let health = &self.life.health;
        health.depends(own, "service secret", Need::Degraded, check);
        Ok(link)
    }

    /// Adds release-svc to the health of `service`, which works without it for those whom it knows.
    fn uses_release(&self, service: &'static str, release: &Link) {
        let check = Arc::new(ServiceCheck::new(release.clone(), ""));
        let health = &self.life.health;
        health.depends(service, release_svc::SERVICE, Need::Degraded, check);
    }

    /// The routes on the gRPC port.
    async fn server(
        &self,
        routes: Routes,
        services: Vec<&'static str>,
        middleware: Middleware,
    ) -> anyhow::Result<GrpcServer> {
        let server = GrpcServer::new(routes, services, middleware).await?;
        Ok(server.with_tls(self.tls.server.clone()))
    }
}

/// The routes of two services on one port.
fn both(a: Routes, b: Routes) -> Routes {
    let (a, b) = (a.into_axum_router(), b.into_axum_router());
    // Each router has a fallback, and a merged router may have only one.
    Routes::from(a.merge(b.reset_fallback()))
}
