//! TLS between services, and towards the mail server: the PEM files are read with the configuration, so that what is
//! wrong with them is reported with everything else.

use std::{fmt::Display, fs};

use notify_svc::notification::mail::SmtpUrl;
use slipway_rpc::grpc::{Authorities, ClientTls, Identity, Origin, Origins, ServerTls, TlsError};

use super::{Key, keys, settings::Reader};

/// How this process speaks TLS with others; each is `None` if it does not.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    /// To those who call it.
    pub server: Option<ServerTls>,
    /// To those whom it calls by an https URL.
    pub client: Option<ClientTls>,
}

impl Reader<'_> {
    /// Reads the files that are named, and notes what is wrong with them or missing.
    pub(super) fn tls(&mut self, urls: &[Option<&Origins>]) -> Tls {
        let identity = self.identity();
        let authorities = self.pem(&keys::TLS_CA_FILE, Authorities::from_pem);
        let clients = self.pem(&keys::TLS_CLIENT_CA_FILE, Authorities::from_pem);
        if !self.layers.sets(&keys::TLS_CERT_FILE) && self.layers.sets(&keys::TLS_CLIENT_CA_FILE) {
            let message = "must be set when tls_client_ca_file is: only over TLS do clients \
                           show certificates";
            self.problem(&keys::TLS_CERT_FILE, message);
        }
        let mut origins = urls.iter().flatten().flat_map(|origins| origins.iter());
        if !self.layers.sets(&keys::TLS_CA_FILE) && origins.any(Origin::is_encrypted) {
            let message = "must be set when a service has an https URL: it is verified with it";
            self.problem(&keys::TLS_CA_FILE, message);
        }
        let client = authorities.and_then(|servers| {
            let client = ClientTls::new(&servers, identity.as_ref());
            self.noted(&keys::TLS_KEY_FILE, client)
        });
        let server = identity.and_then(|identity| {
            let server = ServerTls::new(&identity, clients.as_ref());
            self.noted(&keys::TLS_KEY_FILE, server)
        });
        Tls { server, client }
    }

    /// Who vouches for the mail server, if they are named.
    pub(super) fn smtp_authorities(&mut self, url: Option<&SmtpUrl>) -> Option<Authorities> {
        let key = &keys::SMTP_CA_FILE;
        if self.layers.sets(key) && !url.is_some_and(SmtpUrl::is_encrypted) {
            let message = "must be smtps://, or smtp:// with ?tls=required, when smtp_ca_file \
                           is set: only over TLS do mail servers show certificates";
            self.problem(&keys::SMTP_URL, message);
        }
        self.pem(key, Authorities::from_pem)
    }

    fn identity(&mut self) -> Option<Identity> {
        let (cert, key) = (&keys::TLS_CERT_FILE, &keys::TLS_KEY_FILE);
        for (set, other) in [(cert, key), (key, cert)] {
            if self.layers.sets(set) && !self.layers.sets(other) {
                self.problem(other, format!("must be set when {} is", set.name));
            }
        }
        let cert = self.pem(cert, |pem| Identity::check(pem).map(|()| pem.to_vec()));
        let text = self.pem(key, |pem| Ok(pem.to_vec()));
        let identity = Identity::from_pem(&cert?, &text?);
        self.noted(key, identity)
    }

    /// What `read` makes of the file that `key` names, if it does.
    fn pem<T>(&mut self, key: &Key, read: fn(&[u8]) -> Result<T, TlsError>) -> Option<T> {
        let path = self.layers.effective(key).text?;
        let read_from = |pem: Vec<u8>| read(&pem).map_err(|error| error.to_string());
        let pem = fs::read(path).map_err(|error| format!("cannot be read: {error}"));
        self.noted(key, pem.and_then(read_from))
    }

    /// Notes what is wrong with the file that `key` names.
    fn noted<T>(&mut self, key: &Key, result: Result<T, impl Display>) -> Option<T> {
        let path = self.layers.effective(key).text.unwrap_or_default();
        result
            .map_err(|error| self.problem(key, format!("its file {path} {error}")))
            .ok()
    }
}
