//! Certificates for TLS tests: a test CA and certificates issued by it.

use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair,
};

/// A certificate authority that is not a public one.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// Paths of PEM files.
#[derive(Debug, Clone)]
pub struct Files {
    /// The CA certificate.
    pub ca: PathBuf,
    /// The certificate of a process.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

impl Authority {
    /// A new authority with this name.
    ///
    /// # Errors
    /// If keys cannot be generated.
    pub fn new(name: &str) -> anyhow::Result<Self> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Ok(Self(CertifiedIssuer::self_signed(
            params,
            KeyPair::generate()?,
        )?))
    }

    /// Writes the CA certificate, and a new certificate for this machine with its key, as `ca.pem`,
    /// `cert.pem` and `key.pem`.
    ///
    /// # Errors
    /// If that fails.
    pub fn write(&self, dir: &Path) -> anyhow::Result<Files> {
        let mut params = CertificateParams::new(["localhost".into(), "127.0.0.1".into()])?;
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.0)?;
        std::fs::create_dir_all(dir)?;
        let write = |name: &str, text: String| -> std::io::Result<PathBuf> {
            let path = dir.join(name);
            std::fs::write(&path, text)?;
            Ok(path)
        };
        Ok(Files {
            ca: write("ca.pem", self.0.pem())?,
            cert: write("cert.pem", certificate.pem())?,
            key: write("key.pem", key.serialize_pem())?,
        })
    }
}
