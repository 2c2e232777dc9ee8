//! Which services a role runs, and how they reach each other.

use std::sync::Arc;

use anyhow::Context as _;
use async_trait::async_trait;
use axum::Router;
use chat_svc::assistant::{Builtin, Ollama, OllamaConfig, SharedAssistant};
use notify_svc::mail::{FileMailer, SharedMailer, SmtpMailer};
use release_svc::FirstAdmin;
use slipway_mesh::{
    access::{AccessLayer, JwksSource, Keyring, Policies, ServiceSecret, ServiceTokens, Verifier},
    alarm,
    bus::{SharedBus, TopicSpec},
    clock::{SharedClock, SystemClock},
    grpc::{GrpcServer, Link, Origins, Outbound, ServiceCheck, Surround},
    life::Need,
};
use slipway_proto::{
    DESCRIPTOR_SET,
    events::{CHAT, FORUM, TOPICS},
    identity::v1::{GetJwksRequest, identity_service_client::IdentityServiceClient},
};
use tonic::service::Routes;

use super::{Life, bus::specs, data_dir::DataDir, embedded, storage::Storage};
use crate::{
    cli::Role,
    config::{Secret, Settings},
};

/// The keys are asked for within a request: it must not wait for long.
const JWKS_DEADLINE: std::time::Duration = std::time::Duration::from_secs(2);

/// What a process serves.
pub(super) struct Built {
    pub(super) router: Option<Router>,
    pub(super) grpc: Option<GrpcServer>,
    /// Held until the process ends.
    pub(super) lock: Option<DataDir>,
}

/// Builds the services of `role`.
pub(super) async fn build(role: Role, settings: &Settings, life: &Life) -> anyhow::Result<Built> {
    let shared = Shared {
        settings,
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

struct Shared<'a> {
    settings: &'a Settings,
    life: &'a Life,
    clock: SharedClock,
    secret: ServiceSecret,
}

/// The gateway's ways to the services.
struct Links {
    release: Link,
    forum: Link,
    chat: Link,
    notify: Link,
}

impl Shared<'_> {
    async fn all(self) -> anyhow::Result<Built> {
        let storage = Storage::open(self.settings).await?;
        let keys = storage.keys(self.settings)?;
        let services = [
            release_svc::SERVICES,
            forum_svc::SERVICES,
            chat_svc::SERVICES,
            notify_svc::SERVICES,
        ]
        .concat();
        let topics = [specs(TOPICS), notify_svc::own_topics()].concat();
        let bus = self.bus(&storage, topics, &services).await?;
        let verifier = self.verifier_with(&keys);
        let release = self.release_routes(&storage, keys, bus.clone()).await?;
        let surround = surround(verifier.clone())?;
        let to_release = Link::local(surround.around(release.clone()));
        let forum = self
            .forum_routes(&storage, to_release.clone(), bus.clone())
            .await?;
        let chat = self.chat_routes(&storage, to_release, bus.clone()).await?;
        let notify = self.notify_routes(&storage, bus.clone()).await?;
        let routes = both(both(release, forum), both(chat, notify));
        let link = Link::local(surround.around(routes.clone()));
        self.deliver_alarms("slipway", Some(bus), Some(link.clone()));
        let links = Links {
            release: link.clone(),
            forum: link.clone(),
            chat: link.clone(),
            notify: link,
        };
        Ok(Built {
            router: Some(self.router(links, verifier)),
            grpc: Some(self.server(routes, services, surround).await?),
            lock: storage.into_lock(),
        })
    }

    async fn release(self) -> anyhow::Result<Built> {
        let storage = Storage::open(self.settings).await?;
        let keys = storage.keys(self.settings)?;
        self.warn_if_alone("what happens is shown on no wall");
        let topics = specs(TOPICS);
        let bus = self.bus(&storage, topics, release_svc::SERVICES).await?;
        let surround = surround(self.verifier_with(&keys))?;
        let routes = self.release_routes(&storage, keys, bus.clone()).await?;
        self.deliver_alarms("release", Some(bus), self.to_notify()?);
        Ok(Built {
            router: None,
            grpc: Some(
                self.server(routes, release_svc::SERVICES.into(), surround)
                    .await?,
            ),
            lock: storage.into_lock(),
        })
    }

    async fn forum(self) -> anyhow::Result<Built> {
        let storage = Storage::open(self.settings).await?;
        self.warn_if_alone("what is discussed is shown on no wall");
        let topics = specs(&[FORUM]);
        let bus = self.bus(&storage, topics, forum_svc::SERVICES).await?;
        let release = self.remote("release", self.settings.release_url.as_ref())?;
        let surround = surround(self.verifier_from(release.clone()))?;
        let routes = self.forum_routes(&storage, release, bus.clone()).await?;
        self.deliver_alarms("forum", Some(bus), self.to_notify()?);
        Ok(Built {
            router: None,
            grpc: Some(
                self.server(routes, forum_svc::SERVICES.into(), surround)
                    .await?,
            ),
            lock: storage.into_lock(),
        })
    }

    async fn chat(self) -> anyhow::Result<Built> {
        let storage = Storage::open(self.settings).await?;
        self.warn_if_alone("its answers are counted nowhere else");
        let topics = specs(&[CHAT]);
        let bus = self.bus(&storage, topics, chat_svc::SERVICES).await?;
        let release = self.remote("release", self.settings.release_url.as_ref())?;
        let surround = surround(self.verifier_from(release.clone()))?;
        let routes = self.chat_routes(&storage, release, bus.clone()).await?;
        self.deliver_alarms("chat", Some(bus), self.to_notify()?);
        Ok(Built {
            router: None,
            grpc: Some(
                self.server(routes, chat_svc::SERVICES.into(), surround)
                    .await?,
            ),
            lock: storage.into_lock(),
        })
    }

    async fn notify(self) -> anyhow::Result<Built> {
        let storage = Storage::open(self.settings).await?;
        self.warn_if_alone("the wall stays empty");
        let topics = notify_svc::own_topics();
        let bus = self.bus(&storage, topics, notify_svc::SERVICES).await?;
        let release = self.remote("release", self.settings.release_url.as_ref())?;
        let surround = surround(self.verifier_from(release))?;
        let routes = self.notify_routes(&storage, bus.clone()).await?;
        let itself = Link::local(surround.around(routes.clone()));
        self.deliver_alarms("notify", Some(bus), Some(itself));
        Ok(Built {
            router: None,
            grpc: Some(
                self.server(routes, notify_svc::SERVICES.into(), surround)
                    .await?,
            ),
            lock: storage.into_lock(),
        })
    }

    fn gateway(self) -> anyhow::Result<Built> {
        let links = Links {
            release: self.remote("release", self.settings.release_url.as_ref())?,
            forum: self.remote("forum", self.settings.forum_url.as_ref())?,
            chat: self.remote("chat", self.settings.chat_url.as_ref())?,
            notify: self.remote("notify", self.settings.notify_url.as_ref())?,
        };
        // Without discussions, the assistant and the wall, work goes on.
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
        self.deliver_alarms("gateway", None, Some(links.notify.clone()));
        Ok(Built {
            router: Some(self.router(links, verifier)),
            grpc: None,
            lock: None,
        })
    }

    /// What is wrong in this process reaches administrators from now on: by the bus, and by
    /// RPC while the bus is away or is what is wrong.
    fn deliver_alarms(
        &self,
        service: &'static str,
        bus: Option<SharedBus>,
        incidents: Option<Link>,
    ) {
        if incidents.is_none() {
            tracing::warn!(
                "what is wrong with the bus reaches nobody: SLIPWAY_NOTIFY_URL is not set"
            );
        }
        let tokens = ServiceTokens::new(self.secret.clone(), service, self.clock.clone());
        let delivery = alarm::Delivery {
            service,
            bus,
            incidents,
            tokens: Arc::new(tokens),
        };
        delivery.spawn(&self.life.background);
        alarm::watch::dependencies(self.life.health.clone(), &self.life.background);
        alarm::watch::panics();
    }

    /// The way to the service that keeps incidents, if it is known.
    fn to_notify(&self) -> anyhow::Result<Option<Link>> {
        let urls = self.settings.notify_url.as_ref();
        urls.map(|_| self.remote("notify", urls)).transpose()
    }

    /// The embedded bus of a process with one role connects it with nobody.
    fn warn_if_alone(&self, consequence: &str) {
        if self.settings.kafka_brokers.is_none() {
            tracing::warn!(
                consequence,
                "NO OTHER PROCESS HEARS THIS ONE: without SLIPWAY_KAFKA_BROKERS its bus is a file \
                 of its own"
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
        match &self.settings.kafka_brokers {
            None => {
                let (data, clock) = (storage.data()?, self.clock.clone());
                embedded::bus(data, clock, &self.life.background).await
            }
            Some(brokers) => {
                let security = &self.settings.kafka_security;
                super::bus::kafka(brokers, security, owned, services, self.life).await
            }
        }
    }

    fn verifier_with(&self, keys: &Keyring) -> Arc<Verifier> {
        let (secret, clock) = (self.secret.clone(), self.clock.clone());
        Arc::new(Verifier::with_keys(keys.jwks(), secret, clock))
    }

    fn verifier_from(&self, release: Link) -> Arc<Verifier> {
        let (secret, clock) = (self.secret.clone(), self.clock.clone());
        Arc::new(Verifier::with_source(
            Box::new(JwksOf(release)),
            secret,
            clock,
        ))
    }

    async fn release_routes(
        &self,
        storage: &Storage,
        keys: Arc<Keyring>,
        bus: SharedBus,
    ) -> anyhow::Result<Routes> {
        let settings = self.settings;
        let config = release_svc::Config {
            token_ttl: settings.token_ttl,
            allow_admin_registration: settings.allow_admin_registration,
        };
        let first_admin = FirstAdmin {
            username: settings.admin_username.clone(),
            email: settings.admin_email.clone(),
            password: settings
                .admin_password
                .as_ref()
                .map(|password| Secret::expose(password).to_owned()),
        };
        let dependencies = release_svc::Dependencies {
            stores: storage.release().await?,
            bus,
            keys,
            clock: self.clock.clone(),
            background: self.life.background.clone(),
            health: self.life.health.clone(),
        };
        let service = config.build(first_admin, dependencies).await?;
        if let Some(password) = service.generated_password {
            // At once: it is known nowhere else.
            super::ready::announce_admin(&settings.admin_username, &password.0);
        }
        Ok(service.routes)
    }

    async fn forum_routes(
        &self,
        storage: &Storage,
        release: Link,
        bus: SharedBus,
    ) -> anyhow::Result<Routes> {
        Ok(forum_svc::build(forum_svc::Dependencies {
            stores: storage.forum().await?,
            release,
            bus,
            clock: self.clock.clone(),
            background: self.life.background.clone(),
            health: self.life.health.clone(),
        }))
    }

    async fn chat_routes(
        &self,
        storage: &Storage,
        release: Link,
        bus: SharedBus,
    ) -> anyhow::Result<Routes> {
        let settings = self.settings;
        let assistant: SharedAssistant = match &settings.ollama_url {
            None => Arc::new(Builtin),
            Some(url) => Arc::new(Ollama::new(OllamaConfig::new(
                url,
                &settings.ollama_model,
                settings.ollama_num_ctx,
            ))?),
        };
        let config = chat_svc::Config {
            history: settings.chat_history,
            concurrency: settings.chat_concurrency as usize,
            queue: settings.chat_queue as usize,
            answer_timeout: settings.ollama_timeout,
            ..chat_svc::Config::default()
        };
        Ok(config.build(chat_svc::Dependencies {
            stores: storage.chat().await?,
            bus,
            release,
            assistant,
            clock: self.clock.clone(),
            background: self.life.background.clone(),
            health: self.life.health.clone(),
        }))
    }

    async fn notify_routes(&self, storage: &Storage, bus: SharedBus) -> anyhow::Result<Routes> {
        let config = notify_svc::Config {
            activity_retention: self.settings.activity_retention,
            notification_retention: self.settings.notification_retention,
            public_url: self.settings.public_url.clone(),
            // Files are written as fast as the disk takes them.
            mail_rate: self
                .settings
                .smtp_url
                .is_some()
                .then_some(self.settings.mail_rate),
            mail_connections: self.settings.mail_connections as usize,
            alert_emails: self.settings.alert_emails.clone().unwrap_or_default(),
        };
        Ok(config.build(notify_svc::Dependencies {
            stores: storage.notify().await?,
            bus,
            mailer: mailer(self.settings)?,
            clock: self.clock.clone(),
            background: self.life.background.clone(),
            health: self.life.health.clone(),
            drain: self.life.drain.clone(),
        }))
    }

    /// The way to the service called `name`, elsewhere.
    fn remote(&self, name: &'static str, urls: Option<&Origins>) -> anyhow::Result<Link> {
        let urls = urls.context("a role that needs another service has its URL")?;
        let tls = self.settings.tls.client.clone();
        Ok(Link::remote(name, urls.clone(), tls))
    }

    /// The routes on the gRPC port.
    async fn server(
        &self,
        routes: Routes,
        services: Vec<&'static str>,
        surround: Surround,
    ) -> anyhow::Result<GrpcServer> {
        let server = GrpcServer::new(routes, services, surround).await?;
        Ok(server.with_tls(self.settings.tls.server.clone()))
    }

    fn router(&self, links: Links, verifier: Arc<Verifier>) -> Router {
        let services = ServiceTokens::new(self.secret.clone(), "gateway", self.clock.clone());
        gateway::Config::default().build(gateway::Dependencies {
            release: links.release,
            forum: links.forum,
            chat: links.chat,
            notify: links.notify,
            webhook_secret: self
                .settings
                .webhook_secret
                .as_ref()
                .map(|secret| Secret::expose(secret).to_owned()),
            verifier,
            services: Arc::new(services),
            background: self.life.background.clone(),
            drain: self.life.drain.clone(),
            clock: self.clock.clone(),
        })
    }
}

fn surround(verifier: Arc<Verifier>) -> anyhow::Result<Surround> {
    let policies = Arc::new(Policies::from_descriptor_set(DESCRIPTOR_SET)?);
    Ok(Surround::new(AccessLayer::new(policies, verifier)))
}

/// The routes of two services on one port.
fn both(a: Routes, b: Routes) -> Routes {
    let (a, b) = (a.into_axum_router(), b.into_axum_router());
    // Each answers what it does not know; together they must not both.
    Routes::from(a.merge(b.reset_fallback()))
}

/// Where mails go: to the mail server, or into the directory `mail` of the data directory.
fn mailer(settings: &Settings) -> anyhow::Result<SharedMailer> {
    let from = settings.mail_from.clone();
    Ok(match &settings.smtp_url {
        Some(url) => {
            if url.exposes_password() {
                tracing::warn!(
                    "THE MAIL SERVER'S PASSWORD IS SENT UNENCRYPTED: add ?tls=required to smtp_url"
                );
            }
            let authorities = settings.smtp_authorities.as_ref();
            Arc::new(SmtpMailer::new(url, authorities, from)?)
        }
        None => {
            let dir = settings.data_dir.join("mail");
            let mailer = FileMailer::new(dir.clone(), from);
            Arc::new(mailer.with_context(|| format!("{} cannot be made", dir.display()))?)
        }
    })
}

/// The public keys, asked of the release service.
struct JwksOf(Link);

#[async_trait]
impl JwksSource for JwksOf {
    async fn fetch(&self) -> Result<jsonwebtoken::jwk::JwkSet, String> {
        let outbound = Outbound {
            deadline: Some(JWKS_DEADLINE),
            ..Outbound::default()
        };
        let request = outbound.request(GetJwksRequest {});
        let mut client = IdentityServiceClient::new(self.0.clone());
        let answer = tokio::time::timeout(JWKS_DEADLINE, client.get_jwks(request))
            .await
            .map_err(|_| "no answer in time".to_owned())?
            .map_err(|status| status.to_string())?;
        serde_json::from_str(&answer.into_inner().jwks_json).map_err(|error| error.to_string())
    }
}
