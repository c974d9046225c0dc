//! How long `add()` takes if orders come at a fixed rate, also while the server is stopped.

use anyhow::Result;
use serde_json::json;

use crate::effort::Effort;
use crate::php::Php;
use crate::progress::Progress;
use crate::results::{Latency, Percentiles};
use crate::stats::number;

/// The measurement with a target.
pub const STOPPED: &str = "native-20000-stopped";

const STOPPED_MS: u64 = 2_000;

struct Spec {
    contestant: &'static str,
    rate: u64,
    stopped_ms: u64,
}

impl Spec {
    fn empty(&self) -> Latency {
        let what = if self.contestant == "native" {
            "WriteBuffer::add()"
        } else {
            "a method that does nothing"
        };
        let (suffix, how) = match self.stopped_ms {
            0 => ("", String::new()),
            ms => (
                "-stopped",
                format!(", the server stopped for {} s", number(ms as f64 / 1_000.0)),
            ),
        };
        Latency {
            name: format!("{}-{}{suffix}", self.contestant, self.rate),
            label: format!("{what}, {} orders/s{how}", number(self.rate as f64)),
            rounds: Vec::new(),
        }
    }
}

fn specs(effort: Effort) -> Vec<Spec> {
    let all = [
        ("none", 5_000, 0),
        ("native", 5_000, 0),
        ("native", 5_000, STOPPED_MS),
        ("none", 20_000, 0),
        ("native", 20_000, 0),
        ("native", 20_000, STOPPED_MS),
    ];
    let specs = all.into_iter().map(|(contestant, rate, stopped_ms)| Spec {
        contestant,
        rate,
        stopped_ms,
    });
    specs.skip(effort.choose(0, 3)).collect()
}

/// Runs all measurements, in rounds.
pub fn measure(php: &Php, progress: &Progress, effort: Effort) -> Result<Vec<Latency>> {
    let specs = specs(effort);
    let mut all: Vec<Latency> = specs.iter().map(Spec::empty).collect();
    let rounds = effort.rounds(3, 1);
    for round in 1..=rounds {
        for (spec, latency) in specs.iter().zip(&mut all) {
            progress.step(&format!("round {round} of {rounds}: {}", latency.label));
            let task = json!({
                "contestant": spec.contestant,
                "rate": spec.rate,
                "ms": effort.choose(4_000, 1_000) + spec.stopped_ms,
                "stopped_ms": spec.stopped_ms,
            });
            let percentiles: Percentiles = php.ask("bench/latency.php", &task)?.figures()?;
            progress.result(&format!(
                "p50 {} µs, p99.9 {} µs",
                number(percentiles.p50_us),
                number(percentiles.p999_us)
            ));
            latency.rounds.push(percentiles);
        }
    }
    Ok(all)
}
