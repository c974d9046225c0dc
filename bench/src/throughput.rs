//! Contestants write the same rows, in rounds: each round runs all of them, each in a process of its own on empty tables, in
//! an order that is rotated from round to round.

use anyhow::Result;
use serde_json::{Value, json};

use crate::php::{Answer, Php};
use crate::progress::Progress;
use crate::results::{Contestant, Form, Round};
use crate::stats::number;

/// Rows of a statement.
const BATCH: u64 = 100;

/// The name of the contestant that all others are compared with.
pub const LIMIT: &str = "server-limit";

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
    let many = form.choose(30_000, 6_000);
    let none = json!({});
    let lanes = |lanes: u64| json!({"background": true, "lanes": lanes});
    vec![
        spec(
            "eloquent",
            "Eloquent, save() and create()",
            "eloquent",
            form.choose(1_000, 150),
            none.clone(),
        ),
        spec(
            "laravel-upsert",
            "Laravel, upsert() of 100 rows",
            "laravel-upsert",
            form.choose(10_000, 3_000),
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
    let specs = specs(form);
    let mut contestants: Vec<Contestant> = specs.iter().map(empty).collect();
    let rounds = form.choose(7, 5);
    for round in 0..rounds {
        for at in 0..specs.len() {
            let at = (at + round) % specs.len();
            let (Some(spec), Some(contestant)) = (specs.get(at), contestants.get_mut(at)) else {
                continue;
            };
            if contestant.unavailable.is_some() {
                continue;
            }
            let figures = run(php, spec)?;
            let said = match &figures {
                Answer::Figures(round) => format!("{} orders/s", number(round.rate())),
                Answer::Unavailable(_) => "not available".to_owned(),
            };
            progress.step(&format!("round {} of {rounds}: {}: {said}", round + 1, spec.label));
            match figures {
                Answer::Figures(round) => contestant.rounds.push(round),
                Answer::Unavailable(why) => contestant.unavailable = Some(why),
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
