//! Contestants write the same rows. Each round runs all of them, each in its own process on empty
//! tables; their order rotates from round to round.

use anyhow::Result;
use serde_json::{Value, json};

use crate::network::SlowNetwork;
use crate::php::{Answer, Php};
use crate::progress::Progress;
use crate::results::{Contestant, Form, Round};
use crate::stats::number;

/// Rows per statement.
const BATCH: u64 = 100;

/// The contestant with which all others are compared.
pub const LIMIT: &str = "server-limit";

/// The delay in each direction; a round trip takes twice as long.
pub const DELAY_MS: u64 = 1;

struct Spec {
    name: &'static str,
    label: &'static str,
    script: &'static str,
    orders: u64,
    settings: Value,
}

fn specs(form: Form) -> Vec<Spec> {
    let spec = |name, label, script, orders, settings| Spec {
        name,
        label,
        script,
        orders,
        settings,
    };
    let many = form.choose(20_000, 6_000);
    let none = json!({});
    let lanes = |lanes: u64| json!({"background": true, "lanes": lanes});
    vec![
        spec(
            "eloquent",
            "Eloquent, save() and create()",
            "eloquent",
            form.choose(600, 150),
            none.clone(),
        ),
        spec(
            "laravel-upsert",
            "Laravel, upsert() of 100 rows",
            "laravel-upsert",
            form.choose(8_000, 3_000),
            none.clone(),
        ),
        spec(
            "php-buffer",
            "a pure-PHP batch buffer",
            "php-buffer",
            many,
            none.clone(),
        ),
        spec("pdo", "PDO, prepared 100-row upserts", "pdo", many, none.clone()),
        spec(
            "foreground",
            "WriteBuffer, foreground",
            "native",
            many,
            json!({"background": false}),
        ),
        spec(
            "background",
            "WriteBuffer, background",
            "native",
            many,
            json!({"background": true}),
        ),
        spec(
            "background-2",
            "WriteBuffer, background, 2 lanes",
            "native",
            many,
            lanes(2),
        ),
        spec(
            "background-4",
            "WriteBuffer, background, 4 lanes",
            "native",
            many,
            lanes(4),
        ),
        spec(LIMIT, "the server alone, one connection", LIMIT, many, none),
    ]
}

/// Measures all contestants.
pub fn measure(php: &Php, progress: &Progress, form: Form) -> Result<Vec<Contestant>> {
    in_rounds(php, progress, &specs(form), form.choose(7, 5))
}

/// Measures through a slow network all contestants that have a client.
pub fn measure_network(php: &Php, progress: &Progress, form: Form) -> Result<Vec<Contestant>> {
    let proxy = SlowNetwork::start(DELAY_MS)?;
    let php = php.with_variable("BENCH_PORT", proxy.port());
    let mut specs = specs(form);
    specs.retain(|spec| spec.name != LIMIT);
    for spec in &mut specs {
        spec.orders = (spec.orders / 2).max(100);
        if spec.name == "eloquent" {
            spec.orders = form.choose(200, 50);
        }
    }
    in_rounds(&php, progress, &specs, form.choose(3, 1))
}

fn in_rounds(php: &Php, progress: &Progress, specs: &[Spec], rounds: usize) -> Result<Vec<Contestant>> {
    let mut contestants: Vec<Contestant> = specs.iter().map(empty).collect();
    for round in 0..rounds {
        for at in 0..specs.len() {
            let at = (at + round) % specs.len();
            let (Some(spec), Some(contestant)) = (specs.get(at), contestants.get_mut(at)) else {
                continue;
            };
            if contestant.unavailable.is_some() {
                continue;
            }
            progress.step(&format!("round {} of {rounds}: {}", round + 1, spec.label));
            match run(php, spec)? {
                Answer::Figures(round) => {
                    progress.result(&format!("{} orders/s", number(round.rate())));
                    contestant.rounds.push(round);
                }
                Answer::Unavailable(why) => {
                    progress.result("not available");
                    contestant.unavailable = Some(why);
                }
            }
        }
    }
    Ok(contestants)
}

fn empty(spec: &Spec) -> Contestant {
    Contestant {
        name: spec.name.to_owned(),
        label: spec.label.to_owned(),
        unavailable: None,
        rounds: Vec::new(),
    }
}

fn run(php: &Php, spec: &Spec) -> Result<Answer<Round>> {
    let mut task = json!({"contestant": spec.script, "orders": spec.orders, "batch": BATCH, "seed": 1});
    if let (Some(task), Some(settings)) = (task.as_object_mut(), spec.settings.as_object()) {
        task.extend(settings.clone());
    }
    php.ask("bench/throughput.php", &task)
}
