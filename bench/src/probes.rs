//! What single programs of `bench/` find by themselves, each in rounds of its own.

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::effort::{Effort, Form};
use crate::php::Php;
use crate::progress::Progress;
use crate::stats::Summary;

/// The probe of `add()` that never waits.
pub const SWITCHES: &str = "switches";

struct Probe {
    section: &'static str,
    title: &'static str,
}

const PROBES: [Probe; 5] = [
    Probe {
        section: SWITCHES,
        title: "What PHP's thread waits for in add()",
    },
    Probe {
        section: "partial",
        title: "Partial rows beside whole ones",
    },
    Probe {
        section: "deletions",
        title: "Deletions among upserts",
    },
    Probe {
        section: "journal",
        title: "A buffer with a journal",
    },
    Probe {
        section: "protocols",
        title: "Other ways to send the same rows",
    },
];

/// A figure that a program found.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Finding {
    /// For people, unique in its section.
    pub label: String,
    /// What it is counted in; empty for a ratio.
    pub unit: String,
    /// Of each round.
    pub values: Vec<f64>,
    /// What it is meant to reach, if anything.
    pub bound: Option<f64>,
    /// Whether that is a lower bound.
    pub at_least: bool,
}

impl Finding {
    /// Of all its rounds.
    pub fn summary(&self) -> Option<Summary> {
        Summary::of(self.values.iter().copied())
    }
}

/// The findings of a section.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Found {
    /// The section.
    pub section: String,
    /// In their order.
    pub findings: Vec<Finding>,
}

/// The sections, in the order of the report.
pub fn sections() -> impl Iterator<Item = &'static str> {
    PROBES.iter().map(|probe| probe.section)
}

/// What a section shows.
pub fn title(section: &str) -> &'static str {
    let probe = PROBES.iter().find(|probe| probe.section == section);
    probe.map_or("", |probe| probe.title)
}

/// Runs the program of a section.
pub fn measure(php: &Php, progress: &Progress, effort: Effort, section: &str) -> Result<Found> {
    progress.step(title(section));
    let task = json!({"rounds": effort.rounds, "short": effort.form == Form::Short});
    let findings: Vec<Finding> = php.ask(&format!("bench/{section}.php"), &task)?.figures()?;
    let first = findings.first().context("the program found nothing")?;
    progress.result(&format!("{}, and {} more", first.label, findings.len() - 1));
    Ok(Found {
        section: section.to_owned(),
        findings,
    })
}
