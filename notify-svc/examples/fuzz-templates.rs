//! Fuzzes the preview of templates: harmful templates of up to 16 KiB, with data of up to
//! 16 KiB. Reports how many it ran, the slowest, and the peak of the process's memory.
//!
//! ```sh
//! cargo run --release -p notify-svc --example fuzz-templates -- --seconds 600 --seed 1
//! ```
//!
//! To reproduce a template that crashes the process, use the number printed last and the same seed;
//! with `--print` each template is written to standard error before its run.

use std::time::{Duration, Instant};

use notify_svc::{
    Stores,
    testing::harmful::{self, Previews},
};
use rand::{SeedableRng as _, rngs::StdRng};
use serde_json::Value;
use slipway_proto::notify::v1::{PreviewTemplateRequest, TemplateSource};

/// Maximum size of a template in bytes: a longer plain text cannot be saved.
const LONGEST: usize = 16 * 1024;

/// Time between two reports.
const REPORT_EVERY: Duration = Duration::from_secs(30);

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let seconds = argument("--seconds").unwrap_or(60);
    let seed = argument("--seed").unwrap_or(1);
    let prints = std::env::args().any(|argument| argument == "--print");
    let dir = tempfile::tempdir()?;
    let previews = Previews::new(&Stores::sqlite(&dir.path().join("notify.db"))?)?;
    let mut rng = StdRng::seed_from_u64(seed);
    let (begun, mut reported) = (Instant::now(), Instant::now());
    let mut figures = Figures::default();
    let mut known = harmful::known().into_iter().chain(harmful::slow());
    while begun.elapsed() < Duration::from_secs(seconds) {
        let source = known
            .next()
            .unwrap_or_else(|| harmful::template(&mut rng, LONGEST));
        let data = harmful::data(&mut rng);
        if prints {
            eprintln!("{}: {source}", figures.runs);
        }
        figures.run(&previews, source, data).await;
        if reported.elapsed() > REPORT_EVERY {
            reported = Instant::now();
            figures.report(begun);
        }
    }
    figures.report(begun);
    println!("the slowest template:\n{}", figures.slowest_source);
    Ok(())
}

#[derive(Default)]
struct Figures {
    runs: u64,
    rendered: u64,
    slowest: Duration,
    slowest_source: String,
}

impl Figures {
    /// Previews a template in all three parts.
    async fn run(
        &mut self,
        previews: &Previews,
        source: String,
        data: serde_json::Map<String, Value>,
    ) {
        let json = Value::Object(data).to_string();
        let short: String = source.chars().take(1000).collect();
        let request = PreviewTemplateRequest {
            r#type: "fuzzed".to_owned(),
            draft: Some(TemplateSource {
                subject: if self.runs.is_multiple_of(2) {
                    "A subject".to_owned()
                } else {
                    short
                },
                text: source.clone(),
                html: source.clone(),
            }),
            sample_json: json.clone(),
            data_json: json,
        };
        let begun = Instant::now();
        let rendered = previews.preview(request).await;
        let took = begun.elapsed();
        self.runs += 1;
        self.rendered += u64::from(rendered.is_ok());
        if took > self.slowest {
            self.slowest = took;
            self.slowest_source = source;
        }
    }

    fn report(&self, begun: Instant) {
        println!(
            "{} s: {} previews, {} of them rendered; slowest {:.0} ms; peak memory {} MiB",
            begun.elapsed().as_secs(),
            self.runs,
            self.rendered,
            self.slowest.as_secs_f64() * 1000.0,
            peak_mebibytes(),
        );
    }
}

/// Peak memory of the process as the system reports it; 0 on systems that do not.
fn peak_mebibytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = peak.and_then(|peak| peak.split_whitespace().next()?.parse::<u64>().ok());
    kibibytes.unwrap_or(0) / 1024
}

fn argument(name: &str) -> Option<u64> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments.nth(1)?.parse().ok()
}
