//! The keys about securing the connections to Kafka, and what they need of each other.

use slipway_bus::{
    Security,
    security::{Identity, Mechanism, SignIn, Tls},
};

use super::{Key, keys, parse, settings::Reader};

/// The keys that mean nothing without `kafka_tls`.
const OF_TLS: &[&Key] = &[
    &keys::KAFKA_CA_FILE,
    &keys::KAFKA_CERT_FILE,
    &keys::KAFKA_KEY_FILE,
];

/// The keys that come together.
const OF_CERTIFICATE: &[&Key] = &[&keys::KAFKA_CERT_FILE, &keys::KAFKA_KEY_FILE];
const OF_SASL: &[&Key] = &[
    &keys::KAFKA_SASL_MECHANISM,
    &keys::KAFKA_SASL_USERNAME,
    &keys::KAFKA_SASL_PASSWORD,
];

/// What the keys say; what is wrong with them is noted.
pub(super) fn security(reader: &mut Reader<'_>) -> Security {
    let tls = reader.read(&keys::KAFKA_TLS, parse::boolean);
    let authorities = reader.read(&keys::KAFKA_CA_FILE, parse::path);
    let certificate = reader.read(&keys::KAFKA_CERT_FILE, parse::path);
    let key = reader.read(&keys::KAFKA_KEY_FILE, parse::path);
    let mechanism = reader.read(&keys::KAFKA_SASL_MECHANISM, Mechanism::parse);
    let username = reader.read(&keys::KAFKA_SASL_USERNAME, parse::text);
    let password = reader.read(&keys::KAFKA_SASL_PASSWORD, parse::secret);
    check(reader, tls == Some(true));
    let identity = certificate
        .zip(key)
        .map(|(certificate, key)| Identity { certificate, key });
    Security {
        tls: tls.unwrap_or_default().then_some(Tls {
            authorities,
            identity,
        }),
        sign_in: mechanism
            .zip(username)
            .zip(password)
            .map(|((mechanism, username), password)| SignIn {
                mechanism,
                username,
                password: password.expose().to_owned(),
            }),
    }
}

fn check(reader: &mut Reader<'_>, tls: bool) {
    let mut used: Vec<&Key> = OF_TLS.iter().chain(OF_SASL).copied().collect();
    used.retain(|key| reader.layers.sets(key));
    if tls {
        used.push(&keys::KAFKA_TLS);
    }
    for key in &used {
        if !reader.layers.sets(&keys::KAFKA_BROKERS) {
            reader.problem(key, "means nothing without kafka_brokers");
        } else if OF_TLS.iter().any(|other| other.name == key.name) && !tls {
            reader.problem(key, "means nothing without kafka_tls = true");
        }
    }
    for together in [OF_CERTIFICATE, OF_SASL] {
        let set = |key: &&&Key| reader.layers.sets(key);
        let (there, missing): (Vec<_>, Vec<_>) = together.iter().partition(set);
        if !there.is_empty() {
            for key in missing {
                reader.problem(key, format!("must be set when {} is", there[0].name));
            }
        }
    }
}
