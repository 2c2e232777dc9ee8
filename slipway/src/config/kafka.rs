//! How connections to Kafka are secured.

use std::{fs, path::PathBuf};

use slipway_bus::{
    Security,
    security::{Identity, SignIn, Tls},
};

use super::{
    KEYS, Key,
    rules::Reader,
    settings::{Settings, Values},
};

/// The keys that have no meaning without `kafka_tls`.
const OF_TLS: [&Key; 3] = [
    &KEYS.kafka_ca_file,
    &KEYS.kafka_cert_file,
    &KEYS.kafka_key_file,
];

/// The keys that come together.
const OF_CERTIFICATE: &[&Key] = &[&KEYS.kafka_cert_file, &KEYS.kafka_key_file];
const OF_SASL: &[&Key] = &[
    &KEYS.kafka_sasl_mechanism,
    &KEYS.kafka_sasl_username,
    &KEYS.kafka_sasl_password,
];

impl Settings {
    /// How connections to Kafka are secured.
    #[must_use]
    pub fn kafka_security(&self) -> Security {
        let identity = self
            .kafka_cert_file
            .clone()
            .zip(self.kafka_key_file.clone());
        let tls = Tls {
            authorities: self.kafka_ca_file.clone(),
            identity: identity.map(|(certificate, key)| Identity { certificate, key }),
        };
        let account = self
            .kafka_sasl_username
            .as_ref()
            .zip(self.kafka_sasl_password.as_ref());
        let sign_in = self.kafka_sasl_mechanism.zip(account);
        Security {
            tls: self.kafka_tls.then_some(tls),
            sign_in: sign_in.map(|(mechanism, (username, password))| SignIn {
                mechanism,
                username: username.clone(),
                password: password.expose().to_owned(),
            }),
        }
    }
}

impl Reader<'_> {
    /// What the keys about Kafka need of each other.
    pub(super) fn check_kafka(&mut self, values: &Values) {
        let tls = values.kafka_tls == Some(true);
        let mut used: Vec<&Key> = OF_TLS.iter().chain(OF_SASL).copied().collect();
        used.retain(|key| self.layers.sets(key));
        if tls {
            used.push(&KEYS.kafka_tls);
        }
        for key in used {
            if !self.layers.sets(&KEYS.kafka_brokers) {
                self.problem(key, "has no effect without kafka_brokers");
            } else if OF_TLS.iter().any(|other| other.name == key.name) && !tls {
                self.problem(key, "has no effect without kafka_tls = true");
            }
        }
        let files = [
            (&KEYS.kafka_ca_file, &values.kafka_ca_file),
            (&KEYS.kafka_cert_file, &values.kafka_cert_file),
            (&KEYS.kafka_key_file, &values.kafka_key_file),
        ];
        for (key, path) in files {
            // The client of Kafka reads them, and would wait for the other end of a pipe.
            let is_none = |path: &PathBuf| fs::metadata(path).is_ok_and(|found| !found.is_file());
            if path.as_ref().is_some_and(is_none) {
                self.problem(key, "is no file");
            }
        }
        for together in [OF_CERTIFICATE, OF_SASL] {
            let set = |key: &&&Key| self.layers.sets(key);
            let (there, missing): (Vec<_>, Vec<_>) = together.iter().partition(set);
            if let Some(first) = there.first() {
                for key in missing {
                    self.problem(key, format!("must be set when {} is", first.name));
                }
            }
        }
    }
}
