//! Mail servers that are spoken to by TLS: STARTTLS, and from the first byte.

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

/// An authority that nobody else knows.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    /// What those believe who believe it.
    fn believed(&self) -> Authorities {
        Authorities::from_pem(self.0.pem().as_bytes()).unwrap()
    }

    /// How a server speaks TLS to which it gave a certificate of this name.
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

/// Sends a mail to a server at `url`, for which these vouch.
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
    };
    mailer.send(&mail).await
}

/// Both ways of speaking TLS, each with how its URL begins and ends.
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
async fn no_mail_and_no_password_goes_to_a_server_with_a_wrong_certificate() {
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
                let Sending::Unreachable(said) = send(&url, believed).await else {
                    panic!("{scheme}: it is refused")
                };
                assert!(said.contains("certificate"), "{said}");
                assert!(believed.is_none() || said.contains(why), "{said}");
                assert!(!said.contains("cret"), "{said}");
            }
            assert!(server.taken().is_empty() && server.credentials().is_empty());
        }
    }
}

#[tokio::test]
async fn a_server_without_starttls_gets_no_mail_where_it_is_required() {
    let server = SmtpServer::start().await;
    let required = url(&server, "smtp", "?tls=required");
    let Sending::Unreachable(said) = send(&required, None).await else {
        panic!("it is refused")
    };
    assert!(said.contains("STARTTLS"), "{said}");
    assert!(server.taken().is_empty() && server.credentials().is_empty());
}
