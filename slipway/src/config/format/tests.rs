//! What the formats accept.

use super::*;

fn value<T>(format: &Format<T>, text: &str) -> Option<T> {
    format.parse(text).ok()
}

fn accepts<T>(format: &Format<T>, texts: &[&str]) {
    for text in texts {
        assert!(value(format, text).is_some(), "{text}");
    }
}

fn refuses<T>(format: &Format<T>, texts: &[&str]) {
    for text in texts {
        assert!(value(format, text).is_none(), "{text}");
    }
}

#[test]
fn addresses_are_numbers_or_localhost() {
    assert_eq!(value(&address(), "localhost:0"), "127.0.0.1:0".parse().ok());
    assert_eq!(value(&address(), "localhost:+80"), None);
    accepts(&address(), &["[::1]:80"]);
    refuses(
        &address(),
        &["8080", "localhost", "localhost:x", "example.com:80", ""],
    );
}

#[test]
fn web_urls_have_no_user_and_no_query() {
    for format in [ollama_url(), public_url()] {
        accepts(
            &format,
            &["http://127.0.0.1:11434", "https://models.example/"],
        );
        refuses(
            &format,
            &[
                "",
                "127.0.0.1:11434",
                "http://",
                "http://ada:word@ollama",
                "ftp://ollama",
                "javascript:alert(1)",
                "https://x/?q",
                "https://x/#y",
            ],
        );
    }
    let path = "https://models.example/ollama/";
    accepts(&ollama_url(), &[path]);
    refuses(&public_url(), &[path, "https://x//"]);
    accepts(&ollama_model(), &["hf.co/ada/model:8b-q4_K_M"]);
    refuses(&ollama_model(), &["", "a b", "a\n"]);
}

#[test]
fn numbers_have_bounds_which_are_described() {
    let format = number::<u32>(3..=20);
    assert_eq!(format.shape.expects, "a whole number from 3 to 20");
    assert_eq!(value(&format, "3"), Some(3));
    assert_eq!(value(&format, "20"), Some(20));
    refuses(&format, &["2", "21", "+5", "5.0", "five", ""]);
    assert_eq!(value(&number::<usize>(0..=10), "0"), Some(0));
}

#[test]
fn durations_have_bounds_which_are_described() {
    let [second, hour, day] = [1, 3_600, 86_400].map(Duration::from_secs);
    let format = duration(second..=hour);
    assert_eq!(format.shape.expects, "a duration from 1s to 1h");
    assert_eq!(value(&format, "1h"), Some(hour));
    refuses(&format, &["999ms", "61m", "8", ""]);
    let format = duration_from(8 * day);
    assert_eq!(format.shape.expects, "a duration of 8d or more");
    accepts(&format, &["8d", "90d"]);
    refuses(&format, &["7d"]);
    assert_eq!(shown(240 * second), "4m");
    assert_eq!(shown(90 * second), "90s");
}

#[test]
fn choices_are_exact_and_described() {
    let format = choice([("PLAIN", 1), ("SCRAM-SHA-256", 2), ("SCRAM-SHA-512", 3)]);
    assert_eq!(
        format.shape.expects,
        "PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512"
    );
    assert_eq!(value(&format, "SCRAM-SHA-256"), Some(2));
    refuses(&format, &["plain", ""]);
    assert_eq!(boolean().shape.expects, "true or false");
    assert_eq!(value(&boolean(), "true"), Some(true));
    refuses(&boolean(), &["yes", "1"]);
}

#[test]
fn mongodb_is_where_its_driver_finds_it() {
    accepts(
        &mongodb_url(),
        &[
            "mongodb://localhost",
            "mongodb://ada:s%40cret@a:27017,b:27017/?replicaSet=rs0&tls=true",
            "mongodb+srv://cluster.example",
        ],
    );
    refuses(
        &mongodb_url(),
        &[
            "",
            "localhost:27017",
            "http://localhost:27017",
            "mongodb://",
            "mongodb://a:99999",
            "mongodb://ada:p@ss@a",
            "mongodb://ada:p:ss@a",
            "mongodb://ada:p/ss@a",
        ],
    );
}

#[test]
fn brokers_are_hosts_with_ports() {
    accepts(
        &kafka_brokers(),
        &[
            "kafka:9092",
            "10.0.0.1:9092,kafka-2.example:19092",
            "[::1]:9092",
        ],
    );
    refuses(
        &kafka_brokers(),
        &[
            "",
            "kafka",
            "kafka:",
            ":9092",
            "kafka:0",
            "kafka:+1",
            "kafka:99999",
            "kafka:9092,",
            "a:1, b:2",
            "kafka://a:9092",
            "::1:9092",
            "[kafka]:9092",
        ],
    );
}

#[test]
fn mail_servers_and_senders_are_such() {
    accepts(
        &smtp_url(),
        &[
            "smtp://localhost:2525",
            "smtp://ada:s%40cret@mail.example:587?tls=required",
            "smtps://mail.example",
        ],
    );
    refuses(
        &smtp_url(),
        &[
            "",
            "localhost:25",
            "http://localhost",
            "smtp://x?tls=maybe",
            "smtp://x:0",
            "smtp://x:99999",
        ],
    );
    accepts(
        &mail_sender(),
        &[
            "slipway@example.com",
            "Slipway <slipway@example.com>",
            "Bücher <post@bücher.example>",
        ],
    );
    refuses(
        &mail_sender(),
        &[
            "pöst@example.com",
            "Slipway",
            "a@b.example\r\nBcc: c@d.example",
        ],
    );
}

#[test]
fn those_who_are_alerted_have_addresses() {
    let both = ["a@x.example".to_owned(), "b@y.example".to_owned()];
    assert_eq!(
        value(&emails(), "a@x.example, b@y.example"),
        Some(both.to_vec())
    );
    refuses(
        &emails(),
        &["", "a@x.example,", "a@x.example;b@y.example", "ops"],
    );
}

#[test]
fn secrets_are_long_and_can_be_seen() {
    accepts(&bearer_token(16), &["0123456789abcdef"]);
    refuses(&bearer_token(16), &["0123456789abcde", "0123456789 abcdef"]);
    refuses(&secret(32), &[&"x".repeat(31), &"\u{200b}".repeat(32)]);
    refuses(&text("a name"), &["\u{feff}", ""]);
    refuses(&password(), &[" "]);
}

#[test]
fn accounts_keep_to_the_rules_of_the_api() {
    accepts(&username(), &["release-notes.lead_1"]);
    refuses(&username(), &["ab", "ada lovelace", "system"]);
    accepts(&email(), &["admin@localhost"]);
    refuses(&email(), &["admin"]);
}

#[test]
fn filters_of_the_log_are_understood() {
    accepts(&log_filter(), &["info,slipway_bus=debug"]);
    refuses(&log_filter(), &["slipway=shout"]);
}
