//! The keys that sign and verify tokens.
//!
//! A key file is PEM: the first `PRIVATE KEY` (PKCS#8, Ed25519) signs; every further `PRIVATE KEY`
//! or `PUBLIC KEY` only verifies. To rotate, put a new private key first and restart; remove the
//! old one when the last token signed with it has expired.

use std::{
    fs,
    io::{self, Write as _},
    path::Path,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::{
    SigningKey, VerifyingKey,
    pkcs8::{DecodePrivateKey as _, DecodePublicKey as _},
};
use jsonwebtoken::{
    DecodingKey, EncodingKey,
    jwk::{
        AlgorithmParameters, CommonParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm,
        OctetKeyPairParameters, OctetKeyPairType, PublicKeyUse, ThumbprintHash,
    },
};
use pem::Pem;
use slipway_runtime::file;

/// The bytes before the 32 bytes of an Ed25519 private key in PKCS#8 (RFC 8410).
const PKCS8_PREFIX: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// How each PEM block begins.
const BEGIN: &str = "-----BEGIN ";

const NOT_PEM: &str = "it is not a key in PEM, which begins with -----BEGIN PRIVATE KEY-----";
const CUT: &str = "it is cut short: a line such as -----END PRIVATE KEY----- is missing";
const DAMAGED: &str = "it is damaged: what stands between BEGIN and END is not the Base64 of a key";
const ENCRYPTED: &str = "its key is encrypted with a passphrase, which nobody could enter; decrypt \
                         it with openssl pkey";
const NOT_PRIVATE: &str = "it must begin with a PRIVATE KEY (Ed25519 in PKCS#8), as openssl \
                           genpkey -algorithm ed25519 makes it";

/// Why a key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read or written.
    #[error("the key file {path}: {source}")]
    Io {
        /// Path of the file.
        path: String,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The content is not a list of Ed25519 keys that begins with a private one.
    #[error("the key file {path} holds no usable key: {reason}")]
    Malformed {
        /// Path of the file.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },
}

/// A signing key and all keys that verify.
pub struct Keyring {
    pub(super) kid: String,
    pub(super) signing: EncodingKey,
    jwks: JwkSet,
}

impl Keyring {
    /// Reads the key file at `path`.
    ///
    /// # Errors
    /// [`KeyError`] if it cannot be read or contains no usable keys.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        let text = file::read(path).map_err(|source| io_error(path, source))?;
        Self::from_pem(&text).map_err(|reason| KeyError::Malformed {
            path: path.display().to_string(),
            reason,
        })
    }

    /// Reads the key file at `path`, or creates it with a new key if it does not exist. Afterwards
    /// only its owner can read it.
    ///
    /// # Errors
    /// [`KeyError`] if it cannot be read or written, or contains no usable keys.
    pub fn load_or_create(path: &Path) -> Result<Self, KeyError> {
        if path.exists() {
            make_private(path).map_err(|source| io_error(path, source))?;
            return Self::load(path);
        }
        create(path, &generate_pem()).map_err(|source| io_error(path, source))?;
        Self::load(path)
    }

    /// Reads keys from PEM text.
    ///
    /// # Errors
    /// What is wrong with the text, if it contains no usable keys.
    pub fn from_pem(text: &[u8]) -> Result<Self, &'static str> {
        if text.trim_ascii().is_empty() {
            return Err("it is empty");
        }
        let blocks = pem::parse_many(text).map_err(|_| DAMAGED)?;
        let text = String::from_utf8_lossy(text);
        let begun = text.matches(BEGIN).count();
        if begun == 0 {
            return Err(NOT_PEM);
        }
        // The parser leaves out what has no end.
        let Some((first, others)) = blocks.split_first().filter(|_| blocks.len() == begun) else {
            return Err(CUT);
        };
        match first.tag() {
            "PRIVATE KEY" => {}
            "ENCRYPTED PRIVATE KEY" => return Err(ENCRYPTED),
            _ => return Err(NOT_PRIVATE),
        }
        let signing = signing_key(first)?;
        let mut der = PKCS8_PREFIX.to_vec();
        der.extend_from_slice(signing.as_bytes());
        let mut keys = vec![jwk(&signing.verifying_key())];
        for block in others {
            keys.push(jwk(&verifying_key(block)?));
        }
        Ok(Self {
            kid: kid(&keys[0]).to_owned(),
            signing: EncodingKey::from_ed_der(&der),
            jwks: JwkSet { keys },
        })
    }

    /// A keyring with a new key that is not stored anywhere.
    #[must_use]
    pub fn ephemeral() -> Self {
        Self::from_pem(generate_pem().as_bytes()).expect("a fresh key is well-formed")
    }

    /// The public keys, in the form in which they are published.
    #[must_use]
    pub fn jwks(&self) -> &JwkSet {
        &self.jwks
    }
}

/// The verifying keys of a JWK Set by their `kid`; ignores keys of other kinds.
pub(super) fn decoding_keys(jwks: &JwkSet) -> Vec<(String, DecodingKey)> {
    jwks.keys
        .iter()
        .filter(|jwk| matches!(jwk.algorithm, AlgorithmParameters::OctetKeyPair(_)))
        .filter_map(|jwk| Some((jwk.common.key_id.clone()?, DecodingKey::from_jwk(jwk).ok()?)))
        .collect()
}

fn io_error(path: &Path, source: io::Error) -> KeyError {
    KeyError::Io {
        path: path.display().to_string(),
        source,
    }
}

fn generate_pem() -> String {
    let mut der = PKCS8_PREFIX.to_vec();
    der.extend_from_slice(&rand::random::<[u8; 32]>());
    pem::encode(&Pem::new("PRIVATE KEY", der))
}

/// Creates a file atomically. If another process has created it in the meantime, that file stays.
fn create(path: &Path, text: &str) -> io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let draft = dir.join(format!(".key-{}", uuid::Uuid::now_v7()));
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&draft)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    let linked = fs::hard_link(&draft, path);
    fs::remove_file(&draft)?;
    match linked {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

/// Removes other users' access to the file: anyone who can read it can sign tokens.
fn make_private(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mut permissions = fs::metadata(path)?.permissions();
        let mode = permissions.mode() & 0o777;
        if mode & 0o077 != 0 {
            permissions.set_mode(0o600);
            fs::set_permissions(path, permissions)?;
            tracing::warn!(
                path = %path.display(),
                mode = format!("{mode:o}"),
                "OTHERS COULD READ THE KEY THAT SIGNS TOKENS: now only its owner can. If somebody \
                 may have, put another one in its place"
            );
        }
    }
    Ok(())
}

fn signing_key(block: &Pem) -> Result<SigningKey, &'static str> {
    SigningKey::from_pkcs8_der(block.contents())
        .map_err(|_| "a PRIVATE KEY is not Ed25519 in PKCS#8")
}

fn verifying_key(block: &Pem) -> Result<VerifyingKey, &'static str> {
    match block.tag() {
        "PRIVATE KEY" => Ok(signing_key(block)?.verifying_key()),
        "PUBLIC KEY" => VerifyingKey::from_public_key_der(block.contents())
            .map_err(|_| "a PUBLIC KEY is not Ed25519"),
        _ => Err("it holds something that is neither PRIVATE KEY nor PUBLIC KEY"),
    }
}

fn jwk(key: &VerifyingKey) -> Jwk {
    let mut jwk = Jwk {
        common: CommonParameters {
            public_key_use: Some(PublicKeyUse::Signature),
            key_algorithm: Some(KeyAlgorithm::EdDSA),
            ..CommonParameters::default()
        },
        algorithm: AlgorithmParameters::OctetKeyPair(OctetKeyPairParameters {
            key_type: OctetKeyPairType::OctetKeyPair,
            curve: EllipticCurve::Ed25519,
            x: URL_SAFE_NO_PAD.encode(key.as_bytes()),
        }),
    };
    let thumbprint = jwk
        .thumbprint(ThumbprintHash::SHA256)
        .expect("an Ed25519 key has a thumbprint");
    jwk.common.key_id = Some(thumbprint);
    jwk
}

fn kid(jwk: &Jwk) -> &str {
    jwk.common.key_id.as_deref().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_created_key_file_is_private_and_reused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("jwt.pem");
        let first = Keyring::load_or_create(&path).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        }
        let second = Keyring::load_or_create(&path).unwrap();
        assert_eq!(first.kid, second.kid);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn further_keys_verify_but_do_not_sign() {
        let (new, old) = (generate_pem(), generate_pem());
        let ring = Keyring::from_pem(format!("{new}{old}").as_bytes()).unwrap();
        let old = Keyring::from_pem(old.as_bytes()).unwrap();
        assert_eq!(ring.jwks().keys.len(), 2);
        assert_ne!(ring.kid, old.kid);
        assert!(ring.jwks().find(&old.kid).is_some());
    }

    #[test]
    fn the_error_names_the_file_and_the_reason() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("jwt-key.pem");
        for (text, reason) in [
            ("", "it is empty"),
            (" \n", "it is empty"),
            ("junk", "it is not a key in PEM"),
            (
                "-----BEGIN PRIVATE KEY-----\nMC4CAQAw",
                "it is cut short: a line such as -----END PRIVATE KEY----- is missing",
            ),
            (
                &format!("{}-----BEGIN PUBLIC KEY-----\nMC4CAQAw", generate_pem()),
                "it is cut short",
            ),
            (
                "-----BEGIN PRIVATE KEY-----\n?\n-----END PRIVATE KEY-----\n",
                "it is damaged",
            ),
            (
                "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
                "its key is encrypted with a passphrase",
            ),
            (
                "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n",
                "it must begin with a PRIVATE KEY (Ed25519 in PKCS#8)",
            ),
        ] {
            fs::write(&path, text).unwrap();
            let error = Keyring::load(&path).err().unwrap().to_string();
            assert!(error.contains(&path.display().to_string()), "{error}");
            assert!(error.contains(reason), "{text:?}: {error}");
        }
    }

    #[test]
    fn malformed_key_files_are_refused() {
        for text in [
            "",
            "hello",
            "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        ] {
            assert!(Keyring::from_pem(text.as_bytes()).is_err(), "{text:?}");
        }
    }
}
