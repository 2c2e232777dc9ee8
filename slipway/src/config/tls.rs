//! TLS between services.

use std::fmt;

use notify_svc::notification::mail::SmtpUrl;
use slipway_rpc::grpc::{Authorities, ClientTls, Identity, Origin, Origins, ServerTls, TlsError};

use super::{
    KEYS,
    rules::Reader,
    settings::{Settings, Values},
};

/// How this process speaks TLS with others; each is `None` if it does not.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    /// To those who call it.
    pub server: Option<ServerTls>,
    /// To those whom it calls by an https URL.
    pub client: Option<ClientTls>,
}

/// The certificates of an identity, in PEM.
#[derive(Debug, Clone)]
pub struct Certificates(Vec<u8>);

/// The private key of an identity, in PEM. `Debug` does not show it.
#[derive(Clone)]
pub struct PrivateKey(Vec<u8>);

impl Certificates {
    /// Checks a PEM file with certificates.
    ///
    /// # Errors
    /// If there is no certificate, or one is malformed.
    pub(super) fn from_pem(pem: &[u8]) -> Result<Self, TlsError> {
        Identity::check(pem)?;
        Ok(Self(pem.to_vec()))
    }
}

impl PrivateKey {
    /// Takes a PEM file with a key, which can only be checked together with its certificate.
    ///
    /// # Errors
    /// Never.
    pub(super) fn from_pem(pem: &[u8]) -> Result<Self, TlsError> {
        Ok(Self(pem.to_vec()))
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(***)")
    }
}

impl Tls {
    fn new(
        identity: Option<(&Certificates, &PrivateKey)>,
        servers: Option<&Authorities>,
        clients: Option<&Authorities>,
    ) -> Result<Self, TlsError> {
        let identity =
            identity.map(|(certificates, key)| Identity::from_pem(&certificates.0, &key.0));
        let identity = identity.transpose()?;
        let client = servers.map(|servers| ClientTls::new(servers, identity.as_ref()));
        let server = identity.as_ref().map(|own| ServerTls::new(own, clients));
        Ok(Self {
            server: server.transpose()?,
            client: client.transpose()?,
        })
    }
}

impl Settings {
    /// How this process speaks TLS with other services.
    ///
    /// # Errors
    /// If certificates and keys do not fit together; not for checked settings.
    pub fn tls(&self) -> Result<Tls, TlsError> {
        let identity = self.tls_cert_file.as_ref().zip(self.tls_key_file.as_ref());
        Tls::new(
            identity,
            self.tls_ca_file.as_ref(),
            self.tls_client_ca_file.as_ref(),
        )
    }
}

impl Reader<'_> {
    /// TLS between services: what needs what.
    pub(super) fn check_tls(&mut self, values: &Values) {
        let (cert, key) = (&KEYS.tls_cert_file, &KEYS.tls_key_file);
        for (set, other) in [(cert, key), (key, cert)] {
            if self.layers.sets(set) && !self.layers.sets(other) {
                self.problem(other, format!("must be set when {} is", set.name));
            }
        }
        if !self.layers.sets(cert) && self.layers.sets(&KEYS.tls_client_ca_file) {
            let message = "must be set when tls_client_ca_file is: only over TLS do clients \
                           show certificates";
            self.problem(cert, message);
        }
        let urls = [
            &values.release_url,
            &values.forum_url,
            &values.chat_url,
            &values.notify_url,
        ];
        let mut origins = urls.into_iter().flatten().flat_map(Origins::iter);
        if !self.layers.sets(&KEYS.tls_ca_file) && origins.any(Origin::is_encrypted) {
            let message = "must be set when a service has an https URL, which is verified with it";
            self.problem(&KEYS.tls_ca_file, message);
        }
        let identity = values
            .tls_cert_file
            .as_ref()
            .zip(values.tls_key_file.as_ref());
        let (servers, clients) = (&values.tls_ca_file, &values.tls_client_ca_file);
        if let Err(error) = Tls::new(identity, servers.as_ref(), clients.as_ref()) {
            let path = self.layers.effective(key).text.unwrap_or_default();
            self.problem(key, format!("its file {path} {error}"));
        }
    }

    /// TLS to the mail server.
    pub(super) fn check_smtp(&mut self, values: &Values) {
        let is_encrypted = values.smtp_url.as_ref().is_some_and(SmtpUrl::is_encrypted);
        if self.layers.sets(&KEYS.smtp_ca_file) && !is_encrypted {
            let message = "must be smtps://, or smtp:// with ?tls=required, when smtp_ca_file \
                           is set: only over TLS do mail servers show certificates";
            self.problem(&KEYS.smtp_url, message);
        }
    }
}
