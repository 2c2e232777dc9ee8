//! Builds each service from its part of the configuration and its dependencies.

use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use chat_svc::assistant::{Builtin, Ollama, OllamaConfig, SharedAssistant};
use jiff::SignedDuration;
use notify_svc::notification::{
    links::ReleaseLinks,
    mail::{FileMailer, SharedMailer, SmtpMailer},
};
use release_svc::{
    FirstAdmin, FirstPassword, KnownAccounts, Passwords, RegistrationRules,
    provider::{ProviderConfig, person::RoleRule},
    release::StaleRule,
};
use slipway_bus::SharedBus;
use slipway_rpc::{
    access::{EndedSessions, Keyring, ProgramTokens, ServiceTokens, Verifier},
    grpc::Link,
};
use slipway_runtime::life::{Health, Need};
use tonic::service::Routes;

use super::{
    limits,
    mesh::{Links, Shared},
    ready::announce_admin,
    storage::Storage,
};
use crate::{
    UsageError,
    config::{KEYS, PemFile, Secret, Settings},
};

impl Shared<'_> {
    pub(super) async fn release_routes(
        &self,
        storage: &Storage,
        keys: Arc<Keyring>,
        bus: SharedBus,
        ended: EndedSessions,
    ) -> anyhow::Result<(Routes, KnownAccounts)> {
        let settings = self.settings;
        let format = settings.log_format();
        let config = release_svc::Config {
            token_ttl: settings.token_ttl,
            session_ttl: SignedDuration::try_from(settings.session_ttl)?,
            stale: StaleRule {
                after: SignedDuration::try_from(settings.stale_after)?,
                repeat: SignedDuration::try_from(settings.stale_repeat)?,
            },
            registration: RegistrationRules {
                open: settings.registration,
                per_hour: settings.registration_rate,
                anybody_as_admin: settings.allow_admin_registration,
            },
            passwords: match settings.passwords {
                true => Passwords::Everybody,
                false => {
                    let name = settings.break_glass_admin.as_ref();
                    Passwords::Only(name.unwrap_or(&settings.admin_username).clone())
                }
            },
            provider: self.provider(),
        };
        let password = settings.admin_password();
        let password =
            password.map_err(|rule| UsageError(format!("{}: {rule}", KEYS.admin_password.name)))?;
        let first_admin = FirstAdmin {
            username: settings.admin_username.clone(),
            email: settings.admin_email.clone(),
            password: match password {
                Some(password) => FirstPassword::Chosen(password),
                None => FirstPassword::MadeUp(Box::new(move |username, password| {
                    announce_admin(format, username, password)
                })),
            },
            username_is_set: settings.sets(&KEYS.admin_username),
            email_is_set: settings.sets(&KEYS.admin_email),
        };
        let stores = storage.release().await?;
        let accounts = KnownAccounts::new(&stores);
        let dependencies = release_svc::Dependencies {
            stores,
            bus,
            keys,
            ended,
            drain: self.life.drain.clone(),
            clock: self.clock.clone(),
            background: self.life.background.clone(),
            health: self.life.health.clone(),
        };
        Ok((config.build(first_admin, dependencies).await?, accounts))
    }

    /// The identity provider, if one is configured.
    fn provider(&self) -> Option<ProviderConfig> {
        let settings = self.settings;
        let secret = settings.oidc_client_secret.as_ref();
        let roles = settings.oidc_role_claim.clone().map(|claim| RoleRule {
            claim,
            admins: settings.oidc_admin_role.clone(),
        });
        let authorities = settings.oidc_ca_file.as_ref();
        Some(ProviderConfig {
            issuer: settings.oidc_issuer.clone()?,
            client_id: settings.oidc_client_id.clone()?,
            client_secret: secret.map(|secret| secret.expose().to_owned()),
            scopes: settings.oidc_scopes.clone(),
            roles,
            name: settings.oidc_name.clone(),
            authorities: authorities.map(|file| file.value().pem().to_vec()),
            public_url: self.public_url.clone(),
        })
    }

    pub(super) async fn forum_routes(
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

    pub(super) async fn chat_routes(
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
            concurrency: settings.chat_concurrency,
            queue: settings.chat_queue,
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

    pub(super) async fn notify_routes(
        &self,
        storage: &Storage,
        release: Link,
        bus: SharedBus,
    ) -> anyhow::Result<Routes> {
        let (secret, clock) = (self.secret.clone(), self.clock.clone());
        let tokens = ServiceTokens::new(secret, self.role.as_str(), clock);
        let config = notify_svc::Config {
            activity_retention: self.settings.activity_retention,
            notification_retention: self.settings.notification_retention,
            public_url: self.public_url.clone(),
            // No rate limit for mails that are written to files.
            mail_rate: self
                .settings
                .smtp_url
                .is_some()
                .then_some(self.settings.mail_rate),
            mail_connections: self.settings.mail_connections,
            gather_for: self.settings.mail_gather,
            alert_emails: self.settings.alert_emails.clone().unwrap_or_default(),
        };
        Ok(config.build(notify_svc::Dependencies {
            stores: storage.notify().await?,
            bus,
            mailer: mailer(self.settings, &self.life.health)?,
            links: Arc::new(ReleaseLinks::new(release, tokens)),
            clock: self.clock.clone(),
            background: self.life.background.clone(),
            health: self.life.health.clone(),
            drain: self.life.drain.clone(),
        })?)
    }

    pub(super) fn router(
        &self,
        links: Links,
        processes: Vec<(&'static str, Link)>,
        verifier: Arc<Verifier>,
        programs: Arc<ProgramTokens>,
    ) -> Router {
        let services = ServiceTokens::new(self.secret.clone(), "gateway", self.clock.clone());
        let config = gateway::Config {
            // With TLS of its own the scheme is known even if the URL is not configured.
            public_url: match self.tls.http {
                Some(_) => Some(self.public_url.clone()),
                None => self.settings.public_url.clone(),
            },
            access_log: self.settings.access_log,
            cors_origins: self.settings.cors_origins.clone().unwrap_or_default(),
            ..gateway::Config::default()
        };
        config.build(gateway::Dependencies {
            release: links.release,
            forum: links.forum,
            chat: links.chat,
            notify: links.notify,
            processes,
            webhook_secret: self
                .settings
                .webhook_secret
                .as_ref()
                .map(|secret| Secret::expose(secret).to_owned()),
            verifier,
            services: Arc::new(services),
            programs,
            background: self.life.background.clone(),
            drain: self.life.drain.clone(),
            clock: self.clock.clone(),
            streams: limits::streams(self.settings),
        })
    }
}

/// The mailer: to the mail server, or into the directory `mail` of the data directory.
fn mailer(settings: &Settings, health: &Health) -> anyhow::Result<SharedMailer> {
    let from = settings.mail_from.clone();
    Ok(match &settings.smtp_url {
        Some(url) => {
            if url.exposes_password() {
                tracing::warn!(
                    "THE MAIL SERVER'S PASSWORD IS SENT UNENCRYPTED: add ?tls=required to smtp_url"
                );
            }
            let authorities = settings.smtp_ca_file.as_ref().map(PemFile::value);
            Arc::new(SmtpMailer::new(url, authorities, from)?)
        }
        None => {
            let dir = settings.data_dir.join("mail");
            let mailer = FileMailer::new(dir.clone(), from);
            let mailer = mailer.with_context(|| format!("{} cannot be created", dir.display()))?;
            let mailer = Arc::new(mailer);
            health.depends(notify_svc::SERVICE, "mail", Need::Degraded, mailer.clone());
            mailer
        }
    })
}
