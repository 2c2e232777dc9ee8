//! TLS with clients and between services.

use std::fmt;

use notify_svc::notification::mail::SmtpUrl;
use slipway_rpc::grpc::{Authorities, ClientTls, Identity, Origin, Origins, ServerTls, TlsError};

use super::{
    KEYS, Key,
    pem::PemFile,
    rules::Reader,
    settings::{Settings, Values},
};

/// How this process speaks TLS with others; each is `None` if it does not.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    /// To clients of the gateway.
    pub http: Option<ServerTls>,
    /// To those who call its services.
    pub server: Option<ServerTls>,
    /// To services that it calls by an https URL.
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
    fn new(files: &Files<'_>) -> Result<Self, TlsError> {
        let own = identity(files.identity)?;
        let http = identity(files.http)?;
        let client = files
            .servers
            .map(|servers| ClientTls::new(servers, own.as_ref()));
        let server = own.as_ref().map(|own| ServerTls::grpc(own, files.clients));
        Ok(Self {
            http: http.as_ref().map(ServerTls::http).transpose()?,
            server: server.transpose()?,
            client: client.transpose()?,
        })
    }

    /// Whether this process neither serves nor calls with TLS.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.http.is_none() && self.server.is_none() && self.client.is_none()
    }

    /// Uses `new`, made from the same keys, for connections from now on.
    pub fn replace_by(&self, new: &Self) {
        for (old, new) in [(&self.http, &new.http), (&self.server, &new.server)] {
            if let (Some(old), Some(new)) = (old, new) {
                old.replace_by(new);
            }
        }
        if let (Some(old), Some(new)) = (&self.client, &new.client) {
            old.replace_by(new);
        }
    }
}

/// Certificates with their key.
type Pair<'a> = Option<(&'a Certificates, &'a PrivateKey)>;

/// What the PEM files hold.
struct Files<'a> {
    http: Pair<'a>,
    identity: Pair<'a>,
    servers: Option<&'a Authorities>,
    clients: Option<&'a Authorities>,
}

fn identity(pair: Pair<'_>) -> Result<Option<Identity>, TlsError> {
    pair.map(|(certificates, key)| Identity::from_pem(&certificates.0, &key.0))
        .transpose()
}

fn pair<'a>(
    certificates: Option<&'a PemFile<Certificates>>,
    key: Option<&'a PemFile<PrivateKey>>,
) -> Pair<'a> {
    certificates
        .map(PemFile::value)
        .zip(key.map(PemFile::value))
}

impl Settings {
    /// How this process speaks TLS.
    ///
    /// # Errors
    /// If certificates and keys do not fit together; not for checked settings.
    pub fn tls(&self) -> Result<Tls, TlsError> {
        Tls::new(&Files {
            http: pair(
                self.http_tls_cert_file.as_ref(),
                self.http_tls_key_file.as_ref(),
            ),
            identity: pair(self.tls_cert_file.as_ref(), self.tls_key_file.as_ref()),
            servers: self.tls_ca_file.as_ref().map(PemFile::value),
            clients: self.tls_client_ca_file.as_ref().map(PemFile::value),
        })
    }

    /// The same settings with the TLS files as they are now; `None` if none of them has changed.
    ///
    /// # Errors
    /// What is wrong with a file.
    pub fn with_changed_tls(&self) -> Result<Option<Self>, String> {
        let mut new = self.clone();
        let changed = [
            read_again(&mut new.http_tls_cert_file)?,
            read_again(&mut new.http_tls_key_file)?,
            read_again(&mut new.tls_cert_file)?,
            read_again(&mut new.tls_key_file)?,
            read_again(&mut new.tls_ca_file)?,
            read_again(&mut new.tls_client_ca_file)?,
        ];
        Ok(changed.contains(&true).then_some(new))
    }
}

/// Reads a file again if it has changed; returns whether it has.
fn read_again<T>(file: &mut Option<PemFile<T>>) -> Result<bool, String> {
    match file {
        Some(known) if known.has_changed() => {
            *known = known.again()?;
            Ok(true)
        }
        _ => Ok(false),
    }
}

impl Reader<'_> {
    /// TLS with clients and between services: what needs what.
    pub(super) fn check_tls(&mut self, values: &Values) {
        let (cert, key) = (&KEYS.tls_cert_file, &KEYS.tls_key_file);
        let (http_cert, http_key) = (&KEYS.http_tls_cert_file, &KEYS.http_tls_key_file);
        for (set, other) in [
            (cert, key),
            (key, cert),
            (http_cert, http_key),
            (http_key, http_cert),
        ] {
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
        let is_plain = |url: &String| !url.to_ascii_lowercase().starts_with("https:");
        if self.layers.sets(http_cert) && values.public_url.as_ref().is_some_and(is_plain) {
            let message = "must be an https URL when http_tls_cert_file is set: HTTP is then \
                           served only over TLS";
            self.problem(&KEYS.public_url, message);
        }
        let http = pair(
            values.http_tls_cert_file.as_ref(),
            values.http_tls_key_file.as_ref(),
        );
        self.check_identity(http_key, http);
        let own = pair(values.tls_cert_file.as_ref(), values.tls_key_file.as_ref());
        self.check_identity(key, own);
    }

    fn check_identity(&mut self, key: &Key, pair: Pair<'_>) {
        if let Err(error) = identity(pair) {
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
