//! Mail servers with TLS: STARTTLS, and TLS from the first byte.

use std::sync::Arc;

use jiff::Timestamp;
use notify_svc::{
    notification::{
        NotificationId, Subject,
        mail::{Mail, Mailer as _, Sending, SmtpMailer},
    },
    testing::{Encryption, SmtpServer},
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use slipway_rpc::grpc::Authorities;
use tokio_rustls::rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};

/// A certificate authority that is not a public one.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    /// The set of authorities with only this one.
    fn believed(&self) -> Authorities {
        Authorities::from_pem(self.0.pem().as_bytes()).unwrap()
    }

    /// TLS settings of a server with a certificate for this name.
    fn certifies(&self, name: &str) -> Arc<ServerConfig> {
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key);
        Arc::new(config.unwrap())
    }
}

/// Sends a mail to the server at `url`, trusting these authorities.
async fn send(url: &str, authorities: Option<&Authorities>) -> Sending {
    let from = "Slipway <slipway@example.com>".parse().unwrap();
    let mailer = SmtpMailer::new(&url.parse().unwrap(), authorities, from).unwrap();
    let mail = Mail {
        id: NotificationId::at(Timestamp::UNIX_EPOCH),
        to: "ada@example.com".parse().unwrap(),
        subject: Subject::new("Hello"),
        text: "Hello".to_owned(),
        html: "<p>Hello</p>".to_owned(),
        date: Timestamp::UNIX_EPOCH,
        trace: None,
    };
    mailer.send(&mail).await
}

/// Both kinds of TLS, each with the scheme and the query of its URL.
fn ways(config: &Arc<ServerConfig>) -> [(Encryption, &'static str, &'static str); 2] {
    [
        (
            Encryption::StartTls(config.clone()),
            "smtp",
            "?tls=required",
        ),
        (Encryption::Wrapped(config.clone()), "smtps", ""),
    ]
}

fn url(server: &SmtpServer, scheme: &str, query: &str) -> String {
    let port = server.address().port();
    format!("{scheme}://ada:s%40cret@localhost:{port}{query}")
}

#[tokio::test]
async fn mails_and_passwords_go_to_a_server_with_the_right_certificate() {
    let authority = Authority::new("ours");
    for (encryption, scheme, query) in ways(&authority.certifies("localhost")) {
        let server = SmtpServer::start_encrypted(encryption).await;
        let believed = authority.believed();
        let sent = send(&url(&server, scheme, query), Some(&believed)).await;
        assert_eq!(sent, Sending::Accepted("250 2.0.0 taken".to_owned()));
        assert_eq!(server.taken()[0].to, "ada@example.com");
        // base64 of \0ada\0s@cret
        assert_eq!(server.credentials(), ["AUTH PLAIN AGFkYQBzQGNyZXQ="]);
    }
}

#[tokio::test]
async fn a_server_with_a_wrong_certificate_gets_neither_mail_nor_password() {
    let (authority, other) = (Authority::new("ours"), Authority::new("another"));
    let of_other_name = authority.certifies("mail.example.com");
    let of_nobody = other.certifies("localhost");
    for (config, why) in [
        (of_other_name, "not valid for name"),
        (of_nobody, "UnknownIssuer"),
    ] {
        for (encryption, scheme, query) in ways(&config) {
            let server = SmtpServer::start_encrypted(encryption).await;
            for believed in [Some(&authority.believed()), None] {
                let url = url(&server, scheme, query);
                let Sending::Unreachable(error) = send(&url, believed).await else {
                    panic!("{scheme}: it is refused")
                };
                assert!(error.contains("certificate"), "{error}");
                assert!(believed.is_none() || error.contains(why), "{error}");
                assert!(!error.contains("cret"), "{error}");
            }
            assert!(server.taken().is_empty() && server.credentials().is_empty());
        }
    }
}

#[tokio::test]
async fn a_server_without_starttls_gets_no_mail_if_it_is_required() {
    let server = SmtpServer::start().await;
    let required = url(&server, "smtp", "?tls=required");
    let Sending::Unreachable(error) = send(&required, None).await else {
        panic!("it is refused")
    };
    assert!(error.contains("STARTTLS"), "{error}");
    assert!(server.taken().is_empty() && server.credentials().is_empty());
}
