//! What changes with the number of rows, of columns, of rows a batch and of processes.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::effort::Effort;
use crate::php::Php;
use crate::progress::Progress;
use crate::results::{Curve, Line, Round};
use crate::stats::{Summary, number};

/// The curve with a target.
pub const ROWS_CPU: &str = "rows-cpu";

const FEW_KEYS: u64 = 100;
const MANY_KEYS: u64 = 10_000;

/// Time for all processes to get ready, so that they begin together.
const READY_IN: Duration = Duration::from_secs(3);

#[derive(Deserialize)]
struct Costs {
    wall_us: Vec<f64>,
    process_us: Vec<f64>,
}

fn median(values: impl IntoIterator<Item = f64>) -> Result<f64> {
    Ok(Summary::of(values).context("nothing was measured")?.median)
}

fn line(label: &str) -> Line {
    Line {
        label: label.to_owned(),
        points: Vec::new(),
    }
}

fn curve(name: &str, title: &str, x: &str, y: &str, lines: Vec<Line>) -> Curve {
    Curve {
        name: name.to_owned(),
        title: title.to_owned(),
        x: x.to_owned(),
        y: y.to_owned(),
        lines,
    }
}

/// Measures all curves.
pub fn measure(php: &Php, progress: &Progress, effort: Effort) -> Result<Vec<Curve>> {
    let mut curves = by_rows(php, progress, effort)?;
    curves.push(by_columns(php, progress, effort)?);
    curves.push(by_batch_size(php, progress, effort)?);
    curves.push(by_processes(php, progress, effort)?);
    Ok(curves)
}

fn by_rows(php: &Php, progress: &Progress, effort: Effort) -> Result<Vec<Curve>> {
    // A few rows take little time, so they are repeated, each time with a new buffer.
    let steps: [(u32, u32); 4] = [(10_000, 20), (100_000, 5), (1_000_000, 2), (10_000_000, 1)];
    // With many keys little is coalesced: the last step would measure the server, for minutes.
    let few_steps = effort.choose(4, 2);
    let many_steps = effort.choose(3, 2);
    let (mut wall, mut cpu) = (Vec::new(), Vec::new());
    for (label, keys, count) in [
        ("100 keys", FEW_KEYS, few_steps),
        ("10,000 keys", MANY_KEYS, many_steps),
    ] {
        let (mut wall_line, mut cpu_line) = (line(label), line(label));
        for &(rows, repeat) in steps.iter().take(count) {
            progress.step(&format!("growth: {} rows of {label}", number(f64::from(rows))));
            let task = json!({"rows": rows, "keys": keys, "columns": 4, "repeat": repeat});
            let costs: Costs = php.ask("bench/growth.php", &task)?.figures()?;
            let (wall_us, cpu_us) = (median(costs.wall_us)?, median(costs.process_us)?);
            progress.result(&format!("{} µs a row, {} µs of CPU", number(wall_us), number(cpu_us)));
            wall_line.points.push((f64::from(rows), wall_us));
            cpu_line.points.push((f64::from(rows), cpu_us));
        }
        wall.push(wall_line);
        cpu.push(cpu_line);
    }
    let title = "A row's cost, by the number of rows added under few and under many keys";
    Ok(vec![
        curve(ROWS_CPU, title, "rows", "client CPU µs/row", cpu),
        curve("rows-wall", title, "rows", "µs/row", wall),
    ])
}

fn by_columns(php: &Php, progress: &Progress, effort: Effort) -> Result<Curve> {
    let rows = effort.choose(20_000, 3_000);
    let (mut wall, mut cpu) = (line("until committed"), line("client CPU"));
    for columns in [2, 10, 20, 40, 60] {
        progress.step(&format!("growth: {columns} columns"));
        let task = json!({"rows": rows, "keys": rows, "columns": columns, "repeat": effort.choose(3, 1)});
        let costs: Costs = php.ask("bench/growth.php", &task)?.figures()?;
        wall.points.push((f64::from(columns), median(costs.wall_us)?));
        cpu.points.push((f64::from(columns), median(costs.process_us)?));
    }
    let title = "A row's cost, by its number of columns";
    Ok(curve("columns", title, "columns", "µs/row", vec![wall, cpu]))
}

fn by_batch_size(php: &Php, progress: &Progress, effort: Effort) -> Result<Curve> {
    let mut lines = Vec::new();
    for (label, background) in [("background", true), ("foreground", false)] {
        let mut line = line(label);
        for batch in [10, 100, 1_000, 10_000] {
            progress.step(&format!("growth: batchSize {batch}, {label}"));
            let task = json!({
                "contestant": "native", "background": background, "batch": batch, "seed": 1,
                "orders": effort.choose(20_000, 2_000),
            });
            let mut rates = Vec::new();
            for _ in 0..effort.choose(3, 1) {
                let round: Round = php.ask("bench/throughput.php", &task)?.figures()?;
                rates.push(round.rate());
            }
            line.points.push((f64::from(batch), median(rates)?));
        }
        lines.push(line);
    }
    let title = "Orders a second, by batchSize";
    Ok(curve("batch-size", title, "batchSize", "orders/s", lines))
}

#[derive(Deserialize)]
struct Elapsed {
    elapsed_s: f64,
}

fn by_processes(php: &Php, progress: &Progress, effort: Effort) -> Result<Curve> {
    let orders = effort.choose(32_000, 4_000);
    let mut line = line("background, all processes together");
    for processes in [1, 2, 4, 8] {
        progress.step(&format!("growth: {processes} PHP processes"));
        let mut rates = Vec::new();
        for _ in 0..effort.choose(3, 1) {
            rates.push(orders as f64 / together(php, orders, processes)?);
        }
        line.points.push((processes as f64, median(rates)?));
    }
    let title = "Orders a second, by the number of PHP processes that write at the same time";
    Ok(curve("processes", title, "PHP processes", "orders/s", vec![line]))
}

/// Returns the seconds until the last process has committed.
fn together(php: &Php, orders: u64, processes: u64) -> Result<f64> {
    let script = "bench/together.php";
    let _: Value = php.ask(script, &json!({"setup": true}))?.figures()?;
    let start_at = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock")? + READY_IN;
    let share = orders / processes;
    let mut asked = Vec::new();
    for at in 0..processes {
        let start_at = start_at.as_secs_f64();
        let task = json!({"orders": share, "first_id": at * share + 1, "start_at": start_at});
        asked.push(php.start(script, &task)?);
    }
    let mut slowest: f64 = 0.0;
    for process in asked {
        let elapsed: Elapsed = process.answer()?.figures()?;
        slowest = slowest.max(elapsed.elapsed_s);
    }
    let _: Value = php
        .ask(script, &json!({"verify": true, "orders": share * processes}))?
        .figures()?;
    Ok(slowest)
}
