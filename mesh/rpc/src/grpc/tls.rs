//! TLS with clients and between services, from PEM files: the identity of a process, and the CAs that
//! it trusts. Both can be replaced while the process runs: connections that are open stay as they
//! are.

use std::{fmt, io, sync::Arc};

use arc_swap::ArcSwap;
use tokio::net::TcpStream;
use tokio_rustls::{
    TlsAcceptor, TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, RootCertStore, ServerConfig,
        crypto::{CryptoProvider, ring},
        pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
        server::WebPkiClientVerifier,
        sign::CertifiedKey,
    },
};

/// The name of HTTP/2 in a TLS handshake.
const HTTP_2: &[u8] = b"h2";

/// Why PEM texts cannot be used. Completes a sentence that begins with the file's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// The text has no certificate.
    #[error("holds no certificate in PEM")]
    NoCertificate,
    /// A certificate is malformed or unusable.
    #[error("holds a certificate that cannot be used: {0}")]
    Certificate(String),
    /// The text has no private key.
    #[error("holds no private key in PEM")]
    NoKey,
    /// The private key is encrypted.
    #[error(
        "holds a private key that is encrypted with a passphrase; decrypt it with openssl pkey"
    )]
    EncryptedKey,
    /// The kind of key is not supported.
    #[error("holds a key that cannot be used: {0}")]
    Key(String),
    /// The key belongs to another certificate.
    #[error("does not belong to the certificate")]
    Mismatch,
}

/// The identity of a process: its private key and its certificate chain, with its own certificate
/// first.
#[derive(Clone)]
pub struct Identity {
    certificates: Vec<CertificateDer<'static>>,
    key_pem: Vec<u8>,
}

/// CA certificates to trust.
#[derive(Clone)]
pub struct Authorities {
    roots: Arc<RootCertStore>,
    pem: Vec<u8>,
}

/// TLS settings of a server. Clones share them.
#[derive(Clone)]
pub struct ServerTls(Arc<ArcSwap<ServerConfig>>);

/// TLS settings of a client. Clones share them.
#[derive(Clone)]
pub struct ClientTls(Arc<ArcSwap<ClientConfig>>);

impl Identity {
    /// Checks that a text contains the certificates of an identity.
    ///
    /// # Errors
    /// If there is none, or one is malformed.
    pub fn check(pem: &[u8]) -> Result<(), TlsError> {
        certificates(pem).map(drop)
    }

    /// Reads an identity.
    ///
    /// # Errors
    /// What is wrong with the certificates, then with the key.
    pub fn from_pem(certificate: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let identity = Self {
            certificates: certificates(certificate)?,
            key_pem: key.to_vec(),
        };
        let certified = CertifiedKey::from_der(
            identity.certificates.clone(),
            identity.key()?,
            &ring::default_provider(),
        );
        match certified {
            Ok(_) => Ok(identity),
            Err(tokio_rustls::rustls::Error::InconsistentKeys(_)) => Err(TlsError::Mismatch),
            Err(error @ tokio_rustls::rustls::Error::InvalidCertificate(_)) => {
                Err(TlsError::Certificate(error.to_string()))
            }
            Err(error) => Err(TlsError::Key(error.to_string())),
        }
    }

    fn key(&self) -> Result<PrivateKeyDer<'static>, TlsError> {
        PrivateKeyDer::from_pem_slice(&self.key_pem).map_err(|_| {
            let encrypted = b"-----BEGIN ENCRYPTED PRIVATE KEY-----";
            let mut places = self.key_pem.windows(encrypted.len());
            match places.any(|place| place == encrypted) {
                true => TlsError::EncryptedKey,
                false => TlsError::NoKey,
            }
        })
    }
}

impl Authorities {
    /// Reads CA certificates.
    ///
    /// # Errors
    /// If there is none, or one cannot be used.
    pub fn from_pem(pem: &[u8]) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(pem)? {
            let added = roots.add(certificate);
            added.map_err(|error| TlsError::Certificate(error.to_string()))?;
        }
        Ok(Self {
            roots: Arc::new(roots),
            pem: pem.to_vec(),
        })
    }

    /// The PEM text that was read.
    #[must_use]
    pub fn pem(&self) -> &[u8] {
        &self.pem
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    let found = found.map_err(|error| TlsError::Certificate(error.to_string()))?;
    if found.is_empty() {
        return Err(TlsError::NoCertificate);
    }
    Ok(found)
}

impl ServerTls {
    /// A gRPC server with the given identity. With `clients` it accepts only clients that have a
    /// certificate signed by one of these CAs.
    ///
    /// # Errors
    /// If the identity's key cannot sign, or no certificate of `clients` can be used.
    pub fn grpc(identity: &Identity, clients: Option<&Authorities>) -> Result<Self, TlsError> {
        Self::new(identity, clients, &[HTTP_2])
    }

    /// A server of HTTP/2 and HTTP/1.1 with the given identity.
    ///
    /// # Errors
    /// If the identity's key cannot sign.
    pub fn http(identity: &Identity) -> Result<Self, TlsError> {
        Self::new(identity, None, &[HTTP_2, b"http/1.1"])
    }

    fn new(
        identity: &Identity,
        clients: Option<&Authorities>,
        protocols: &[&[u8]],
    ) -> Result<Self, TlsError> {
        let unusable = |error: tokio_rustls::rustls::Error| TlsError::Key(error.to_string());
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(unusable)?;
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(clients) => {
                let roots = Arc::clone(&clients.roots);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider).build();
                let verifier =
                    verifier.map_err(|error| TlsError::Certificate(error.to_string()))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut config = builder
            .with_single_cert(identity.certificates.clone(), identity.key()?)
            .map_err(unusable)?;
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        Ok(Self(Arc::new(ArcSwap::from_pointee(config))))
    }

    /// Uses the settings of `new` for connections that are accepted from now on.
    pub fn replace_by(&self, new: &Self) {
        self.0.store(new.0.load_full());
    }

    /// Accepts TLS with the current settings.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.0.load_full())
    }
}

impl ClientTls {
    /// A client that trusts `servers`, and sends `identity`, if it has one, when a server asks for
    /// it.
    ///
    /// # Errors
    /// If the identity's key cannot sign.
    pub fn new(servers: &Authorities, identity: Option<&Identity>) -> Result<Self, TlsError> {
        let unusable = |error: tokio_rustls::rustls::Error| TlsError::Key(error.to_string());
        let provider: CryptoProvider = ring::default_provider();
        let builder = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()
            .map_err(unusable)?
            .with_root_certificates(Arc::clone(&servers.roots));
        let mut config = match identity {
            None => builder.with_no_client_auth(),
            Some(identity) => builder
                .with_client_auth_cert(identity.certificates.clone(), identity.key()?)
                .map_err(unusable)?,
        };
        config.alpn_protocols = vec![HTTP_2.to_vec()];
        Ok(Self(Arc::new(ArcSwap::from_pointee(config))))
    }

    /// Uses the settings of `new` for connections that are made from now on.
    pub fn replace_by(&self, new: &Self) {
        self.0.store(new.0.load_full());
    }

    /// Performs the TLS handshake with `host` on `stream`.
    pub(super) async fn connect(
        &self,
        host: &str,
        stream: TcpStream,
    ) -> io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let connector = TlsConnector::from(self.0.load_full());
        connector.connect(name, stream).await
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity")
    }
}

impl fmt::Debug for Authorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authorities")
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerTls")
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientTls")
    }
}
