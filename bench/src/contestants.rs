//! Who writes the rows: programs of `bench/contestants/`, with their settings. Pure.

use serde_json::{Value, json};

use crate::effort::Effort;
use crate::results::Contestant;

/// Rows a statement.
const BATCH: u64 = 100;

/// The contestant with which all others are compared.
pub const LIMIT: &str = "server-limit";

/// The server's own way to take many rows, on one connection and on four.
pub const LOADS_BY_ONE: [&str; 2] = ["load-data-1", "load-data-1-1000"];
/// See [`LOADS_BY_ONE`].
pub const LOADS_BY_FOUR: [&str; 2] = ["load-data-4", "load-data-4-1000"];

/// The one beside the server with which those behind a network are compared.
pub const NEAR: &str = "near-background";

/// A contestant before it has run.
pub struct Spec {
    /// Short, stable.
    pub name: &'static str,
    /// For people.
    pub label: &'static str,
    script: &'static str,
    orders: u64,
    settings: Value,
    /// Whether it reaches the server through the slow network.
    pub is_far: bool,
}

impl Spec {
    fn with(self, settings: Value) -> Self {
        Self { settings, ..self }
    }

    /// Its result, which has no rounds yet.
    pub fn empty(&self) -> Contestant {
        Contestant {
            name: self.name.to_owned(),
            label: self.label.to_owned(),
            unavailable: None,
            rounds: Vec::new(),
        }
    }

    /// What its process is asked to do.
    pub fn task(&self) -> Value {
        let mut task = json!({
            "contestant": self.script,
            "orders": self.orders,
            "batch": BATCH,
            "warm": (self.orders / 20).max(BATCH),
            "seed": 1,
        });
        if let (Some(task), Some(settings)) = (task.as_object_mut(), self.settings.as_object()) {
            task.extend(settings.clone());
        }
        task
    }
}

fn spec(name: &'static str, label: &'static str, script: &'static str, orders: u64) -> Spec {
    Spec {
        name,
        label,
        script,
        orders,
        settings: json!({}),
        is_far: false,
    }
}

fn native(name: &'static str, label: &'static str, orders: u64, lanes: u64) -> Spec {
    spec(name, label, "native", orders).with(json!({"background": true, "lanes": lanes}))
}

fn routed(name: &'static str, label: &'static str, orders: u64, lanes: u64) -> Spec {
    spec(name, label, "native", orders).with(json!({"background": true, "lanes": lanes, "route": true}))
}

fn load(name: &'static str, label: &'static str, orders: u64, connections: u64) -> Spec {
    spec(name, label, "load-data", orders).with(json!({"connections": connections}))
}

fn load_by_1000(name: &'static str, label: &'static str, orders: u64, connections: u64) -> Spec {
    spec(name, label, "load-data", orders).with(json!({"connections": connections, "commit": 1_000}))
}

/// Those beside the server, and the server alone.
pub fn near(effort: Effort) -> Vec<Spec> {
    let many = effort.choose(60_000, 6_000);
    let some = effort.choose(20_000, 6_000);
    vec![
        spec(
            "eloquent",
            "Eloquent, save() and create()",
            "eloquent",
            effort.choose(600, 150),
        ),
        spec(
            "laravel-upsert",
            "Laravel, upsert() of 100 rows",
            "laravel-upsert",
            effort.choose(8_000, 3_000),
        ),
        spec("php-buffer", "a pure-PHP batch buffer", "php-buffer", some),
        spec("pdo", "PDO, prepared 100-row upserts", "pdo", some),
        spec("foreground", "WriteBuffer, foreground", "native", many),
        native("background", "WriteBuffer, background", many, 1),
        native("background-2-runs", "WriteBuffer, 2 lanes", many, 2),
        native("background-4-runs", "WriteBuffer, 4 lanes", many, 4),
        native("background-auto", "WriteBuffer, lanes that open by themselves", many, 0),
        routed("background-2", "WriteBuffer, 2 lanes, by symbol", many, 2),
        routed("background-4", "WriteBuffer, 4 lanes, by symbol", many, 4),
        spec(LIMIT, "stored procedure, 100 a COMMIT", LIMIT, many),
        spec("server-limit-1000", "stored procedure, 1,000 a COMMIT", LIMIT, many).with(json!({"batch": 1_000})),
        load("load-data-1", "LOAD DATA, one COMMIT", many, 1),
        load_by_1000("load-data-1-1000", "LOAD DATA, 1,000 a COMMIT", many, 1),
        load("load-data-4", "LOAD DATA, 4 connections, one COMMIT", many, 4),
        load_by_1000("load-data-4-1000", "LOAD DATA, 4 connections, 1,000", many, 4),
    ]
}

/// Those whose server is a round trip away, and two that are near it, in the clear and under TLS.
pub fn far(effort: Effort) -> Vec<Spec> {
    let many = effort.choose(40_000, 4_000);
    let some = effort.choose(6_000, 2_000);
    let tls = || json!({"background": true, "tls": true});
    let far = |spec| Spec { is_far: true, ..spec };
    vec![
        native(NEAR, "near: WriteBuffer", many, 1),
        spec("near-tls", "near: WriteBuffer, TLS", "native", many).with(tls()),
        far(spec(
            "laravel-upsert",
            "Laravel, upsert() of 100 rows",
            "laravel-upsert",
            some,
        )),
        far(spec("php-buffer", "a pure-PHP batch buffer", "php-buffer", some)),
        far(spec("pdo", "PDO, prepared 100-row upserts", "pdo", some)),
        far(spec("foreground", "WriteBuffer, foreground", "native", some)),
        far(native("background", "WriteBuffer, background", many, 1)),
        far(spec("tls", "WriteBuffer, background, TLS", "native", many).with(tls())),
        far(native("background-4-runs", "WriteBuffer, 4 lanes", many, 4)),
        far(native(
            "background-auto",
            "WriteBuffer, lanes that open by themselves",
            many,
            0,
        )),
        far(spec(
            "eloquent",
            "Eloquent, save() and create()",
            "eloquent",
            effort.choose(200, 50),
        )),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::effort::Form;

    #[test]
    fn names_are_unique_and_those_compared_with_exist() {
        let effort = Effort {
            form: Form::Full,
            rounds: None,
        };
        for (specs, references) in [
            (near(effort), [&[LIMIT][..], &LOADS_BY_ONE, &LOADS_BY_FOUR].concat()),
            (far(effort), vec![NEAR]),
        ] {
            let names: BTreeSet<_> = specs.iter().map(|spec| spec.name).collect();
            assert_eq!(names.len(), specs.len());
            assert!(references.iter().all(|name| names.contains(name)));
        }
    }

    #[test]
    fn settings_go_before_the_common_ones() {
        let spec = spec("", "", "native", 400).with(json!({"batch": 7}));
        assert_eq!(
            spec.task(),
            json!({"contestant": "native", "orders": 400, "batch": 7, "warm": 100, "seed": 1})
        );
    }
}
