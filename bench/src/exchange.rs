//! The Laravel example from end to end: `matchOrders()` with each of its buffers.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::effort::Effort;
use crate::php::Php;
use crate::progress::Progress;
use crate::results::Measured;
use crate::stats::number;

#[derive(Deserialize)]
struct Matched {
    orders_per_s: f64,
    checksum: String,
    findings: Vec<Value>,
}

/// Measures matched orders per second, until the last commit.
pub fn measure(php: &Php, progress: &Progress, effort: Effort, folder: &Path) -> Result<Vec<Measured>> {
    // Uses TCP, like all of this benchmark.
    let php = php.with_variable("DB_SOCKET", "");
    let _: Value = php.ask("bench/drop.php", &json!({}))?.figures()?;
    let few = effort.choose(1_000, 200);
    let many = effort.choose(20_000, 5_000);
    let mut all = Vec::new();
    for (name, label) in [
        ("eloquent", "Eloquent, save() and create()"),
        ("php", "a pure-PHP batch buffer"),
        ("native", "WriteBuffer"),
    ] {
        all.push(Measured {
            name: name.to_owned(),
            label: label.to_owned(),
            values: Vec::new(),
        });
    }
    let rounds = effort.rounds(3, 1);
    for round in 1..=rounds {
        let mut checksums = Vec::new();
        for measured in &mut all {
            progress.step(&format!("exchange, round {round} of {rounds}: {}", measured.label));
            let orders = if measured.name == "eloquent" { few } else { many };
            let matched = run(&php, folder, &measured.name, orders)?;
            progress.result(&format!("{} matched orders/s", number(matched.orders_per_s)));
            measured.values.push(matched.orders_per_s);
            checksums.push(matched.checksum);
        }
        // Eloquent matched fewer orders. The extension must leave the same tables with as many.
        let again = run(&php, folder, "native", few)?;
        let [eloquent, in_php, native] = checksums.as_slice() else {
            bail!("not all buffers of the exchange have run");
        };
        if native != in_php || again.checksum != *eloquent {
            bail!("the exchange's tables differ between its buffers");
        }
    }
    Ok(all)
}

fn run(php: &Php, folder: &Path, buffer: &str, orders: u64) -> Result<Matched> {
    let json = php.root().join(folder).join("exchange.json");
    let output = php
        .command("examples/spot-exchange/artisan")
        .args(["exchange:match", "--no-interaction", "--no-ansi", "--seed=1"])
        .arg(format!("--orders={orders}"))
        .arg(format!("--buffer={buffer}"))
        .arg(format!("--json={}", json.display()))
        .output()
        .context("cannot start the exchange")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stdout);
        bail!(
            "exchange:match --buffer={buffer}: {}\n{said}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let text = fs::read_to_string(&json).context("the exchange has written no figures")?;
    fs::remove_file(&json).context("cannot remove the exchange's figures")?;
    let matched: Matched = serde_json::from_str(&text).context("the exchange's figures")?;
    if !matched.findings.is_empty() {
        bail!("the exchange's tables contradict each other: {:?}", matched.findings);
    }
    Ok(matched)
}
