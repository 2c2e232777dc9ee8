//! `config check`: validates the configuration and prints every key.

use serde::Serialize;

use crate::{
    cli::Role,
    config::{ALL, Effective, Invalid, KEYS, Key, Layers, Origin},
    output,
    text::escape,
    wiring::bus,
};

/// Printed instead of a secret.
const MASK: &str = "********";

/// One key in the JSON output.
#[derive(Serialize)]
struct Row {
    key: &'static str,
    /// `null` if the key has no value; masked if it is a secret.
    value: Option<String>,
    /// What applies when there is no value.
    fallback: &'static str,
    secret: bool,
    from: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
}

/// Validates the configuration for `role` and prints every key with its value and source.
/// `strict` turns warnings into errors.
///
/// # Errors
/// [`Invalid`] with all problems, if this program was built without what it needs, or if standard output cannot be written.
pub fn run(layers: &Layers, role: Role, strict: bool, json: bool) -> anyhow::Result<()> {
    let warnings = layers.warnings();
    let checked = layers.settings(Some(role));
    if strict && !warnings.is_empty() {
        let mut problems = warnings.to_vec();
        problems.extend(checked.err().unwrap_or_default().problems);
        return Err(Invalid { problems }.into());
    }
    let settings = checked?;
    if let Some(brokers) = &settings.kafka_brokers
        && KEYS.kafka_brokers.concerns(role)
    {
        bus::check_features(brokers, &settings.kafka_security())?;
    }
    for warning in warnings {
        output::remark(&warning.to_string());
    }
    let unused = layers.unused(role);
    if !unused.is_empty() {
        let settings = unused.join(", ");
        output::remark(&format!(
            "the {role} role does not use these settings and ignores them: {settings}"
        ));
    }
    output::print(&match json {
        true => as_json(layers)?,
        false => {
            let table = as_table(layers);
            format!("{table}\nThe configuration is valid for the {role} role.\n")
        }
    })
}

fn as_json(layers: &Layers) -> serde_json::Result<String> {
    let rows: Vec<Row> = ALL.iter().map(|key| row(layers, key)).collect();
    Ok(serde_json::to_string_pretty(&rows)? + "\n")
}

/// One line per key. A long value shifts the source, but a space always separates them.
fn as_table(layers: &Layers) -> String {
    let lines = ALL.iter().map(|key| {
        let Effective { text, origin } = layers.effective(key);
        let value = match text {
            Some(text) => escape(&shown(key, text)),
            None => format!("({})", key.fallback.text()),
        };
        let origin = escape(&origin.to_string());
        format!("{:<25} {value:<35} {origin}\n", key.name)
    });
    lines.collect()
}

fn row(layers: &Layers, key: &'static Key) -> Row {
    let Effective { text, origin } = layers.effective(key);
    let (from, place) = match origin {
        Origin::Default => ("default", None),
        Origin::File { path, line } => ("file", Some((path.display().to_string(), Some(line)))),
        Origin::Environment => ("environment", None),
        Origin::SecretFile { path } => ("secret-file", Some((path.display().to_string(), None))),
        Origin::Flag => ("flag", None),
    };
    let (file, line) = place.map_or((None, None), |(file, line)| (Some(file), line));
    Row {
        key: key.name,
        value: text.map(|text| shown(key, text)),
        fallback: key.fallback.text(),
        secret: key.secret,
        from,
        file,
        line,
    }
}

fn shown(key: &Key, text: String) -> String {
    if key.secret { MASK.to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Sources;

    const SECRET: &str = "correct-horse-battery-staple-0123456789";

    const LONG: &str = "Somebody with a long name <somebody@mail.example.com>";

    fn layers() -> Layers {
        Layers::collect(Sources {
            file: None,
            default_file: "/nowhere/slipway.toml".into(),
            env: vec![
                ("SLIPWAY_ADMIN_PASSWORD".into(), SECRET.into()),
                ("SLIPWAY_SERVICE_SECRET".into(), SECRET.into()),
                ("SLIPWAY_DATA_DIR".into(), "a\x1b[2Jb".into()),
                ("SLIPWAY_MAIL_FROM".into(), LONG.into()),
            ],
            flags: [("http_addr", "127.0.0.1:0".to_owned())].into(),
        })
    }

    fn table() -> String {
        as_table(&layers())
    }

    fn json() -> String {
        as_json(&layers()).unwrap()
    }

    #[test]
    fn secrets_are_masked_in_both_forms() {
        for output in [table(), json()] {
            assert!(!output.contains(SECRET), "{output}");
            assert!(output.contains(MASK), "{output}");
        }
    }

    #[test]
    fn every_key_is_printed_with_its_source() {
        let table = table();
        assert_eq!(table.lines().count(), ALL.len());
        let line = |key: &str| table.lines().find(|line| line.starts_with(key)).unwrap();
        assert!(line("http_addr").ends_with("127.0.0.1:0                         flag"));
        assert!(line("token_ttl").ends_with("default"));
        assert!(line("mail_from").ends_with(&format!("{LONG} environment")));
        assert!(line("release_url").contains("(in this process)"));
        assert!(line("data_dir").contains("a\\u{1b}[2Jb"));
    }

    #[test]
    fn json_distinguishes_no_value_from_a_value() {
        let rows: serde_json::Value = serde_json::from_str(&json()).unwrap();
        let find = |key: &str| {
            let mut rows = rows.as_array().unwrap().iter();
            rows.find(|row| row["key"] == key).unwrap().clone()
        };
        assert_eq!(find("release_url")["value"], serde_json::Value::Null);
        assert_eq!(find("http_addr")["value"], "127.0.0.1:0");
        assert_eq!(find("http_addr")["from"], "flag");
        assert_eq!(find("service_secret")["secret"], true);
    }
}
