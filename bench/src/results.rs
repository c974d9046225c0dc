//! The figures of one server, and their file in `target/bench/`.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::effort::Form;
use crate::machine::Machine;
use crate::probes::{Finding, Found};
use crate::stats::Summary;

/// The servers, in the order of the report.
const KINDS: [&str; 2] = ["mariadb", "mysql"];

/// All that was measured on a server.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Figures {
    /// The machine and the server.
    pub machine: Machine,
    /// How long the measurements took.
    pub form: Form,
    /// Persisted orders per second.
    #[serde(default)]
    pub throughput: Vec<Contestant>,
    /// The same with a slow network.
    #[serde(default)]
    pub network: Vec<Contestant>,
    /// Nanoseconds of `add()` per pair.
    #[serde(default)]
    pub add_ns: Vec<Measured>,
    /// Instructions of `add()` per pair.
    #[serde(default)]
    pub add_instructions: Vec<Measured>,
    /// `add()` at fixed rates.
    #[serde(default)]
    pub latency: Vec<Latency>,
    /// Bytes per buffered pair.
    #[serde(default)]
    pub memory: Vec<Measured>,
    /// What changes with the number of something.
    #[serde(default)]
    pub growth: Vec<Curve>,
    /// Matched orders per second of the exchange.
    #[serde(default)]
    pub exchange: Vec<Measured>,
    /// What single programs found, by their sections.
    #[serde(default)]
    pub probes: Vec<Found>,
}

/// A figure, measured once or more.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Measured {
    /// Short, stable.
    pub name: String,
    /// For people.
    pub label: String,
    /// In the order in which they were measured.
    pub values: Vec<f64>,
}

/// How long `add()` took at a fixed rate of orders.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Latency {
    /// Short, stable.
    pub name: String,
    /// For people.
    pub label: String,
    /// In the order in which they were run.
    pub rounds: Vec<Percentiles>,
}

/// One round's percentiles.
#[expect(clippy::struct_field_names, reason = "units are part of names")]
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Percentiles {
    /// Half of all calls were not slower.
    pub p50_us: f64,
    /// All but a hundredth.
    pub p99_us: f64,
    /// All but a thousandth.
    pub p999_us: f64,
    /// The slowest.
    pub max_us: f64,
}

/// A figure that depends on another.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Curve {
    /// Short, stable.
    pub name: String,
    /// What it shows.
    pub title: String,
    /// What grows.
    pub x: String,
    /// What is measured, with its unit.
    pub y: String,
    /// Those that are compared.
    pub lines: Vec<Line>,
}

/// A line of a curve.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Line {
    /// For people.
    pub label: String,
    /// What grows, and the median of what was measured.
    pub points: Vec<(f64, f64)>,
}

impl Measured {
    /// Of all its values.
    pub fn median(&self) -> Option<f64> {
        Some(Summary::of(self.values.iter().copied())?.median)
    }
}

impl Latency {
    /// The median of a percentile.
    pub fn median(&self, percentile: impl Fn(&Percentiles) -> f64) -> Option<f64> {
        Some(Summary::of(self.rounds.iter().map(percentile))?.median)
    }
}

/// A way to write rows, and how it did.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Contestant {
    /// Short, stable.
    pub name: String,
    /// For people.
    pub label: String,
    /// Why there are no rounds.
    pub unavailable: Option<String>,
    /// In the order in which they were run.
    pub rounds: Vec<Round>,
}

/// What one process measured.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Round {
    /// How many orders, each with a trade.
    pub orders: u64,
    /// From the first add until the last commit.
    pub elapsed_s: f64,
    /// CPU time of PHP's thread.
    pub thread_us: f64,
    /// CPU time of the process, all threads.
    pub process_us: f64,
    /// CPU time of the server, all threads.
    pub server_us: f64,
    /// Resident memory before, including the rows to write.
    pub rss_before_kib: f64,
    /// Its peak.
    pub rss_peak_kib: f64,
}

impl Round {
    /// Orders per second.
    pub fn rate(&self) -> f64 {
        self.orders as f64 / self.elapsed_s
    }

    /// CPU time of PHP's thread per order.
    pub fn thread_us_an_order(&self) -> f64 {
        self.thread_us / self.orders as f64
    }

    /// CPU time of the process per order.
    pub fn process_us_an_order(&self) -> f64 {
        self.process_us / self.orders as f64
    }

    /// CPU time of the server per order.
    pub fn server_us_an_order(&self) -> f64 {
        self.server_us / self.orders as f64
    }
}

impl Contestant {
    /// Summarizes a figure of all rounds.
    pub fn summary(&self, figure: impl Fn(&Round) -> f64) -> Option<Summary> {
        Summary::of(self.rounds.iter().map(figure))
    }

    /// Summarizes a figure as a multiple of another contestant's, round by round: what slows a
    /// whole round counts on both sides.
    pub fn ratio(&self, other: &Self, figure: impl Fn(&Round) -> f64) -> Option<Summary> {
        let pairs = self.rounds.iter().zip(&other.rounds);
        Summary::of(pairs.map(|(mine, other)| figure(mine) / figure(other)))
    }
}

impl Figures {
    /// Loads the file of an earlier run of the same form, if any: sections can be measured one by
    /// one.
    pub fn load_or_new(folder: &Path, machine: Machine, form: Form) -> Result<Self> {
        let path = folder.join(format!("{}.json", machine.kind));
        if let Some(old) = Self::load(&path)?.filter(|old| old.form == form) {
            return Ok(Self { machine, ..old });
        }
        Ok(Self {
            machine,
            form,
            throughput: Vec::new(),
            network: Vec::new(),
            add_ns: Vec::new(),
            add_instructions: Vec::new(),
            latency: Vec::new(),
            memory: Vec::new(),
            growth: Vec::new(),
            exchange: Vec::new(),
            probes: Vec::new(),
        })
    }

    fn load(path: &Path) -> Result<Option<Self>> {
        if !path.exists() {
            return Ok(None);
        }
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        // The file of another version of this program is of no use.
        Ok(serde_json::from_str(&text).ok())
    }

    /// Loads the figures of each measured server.
    pub fn load_all(folder: &Path) -> Result<Vec<Self>> {
        let mut all = Vec::new();
        for kind in KINDS {
            all.extend(Self::load(&folder.join(format!("{kind}.json")))?);
        }
        Ok(all)
    }

    /// Writes them into their file.
    pub fn save(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let path = folder.join(format!("{}.json", self.machine.kind));
        let text = serde_json::to_string_pretty(self).context("cannot write JSON")?;
        fs::write(&path, text + "\n").with_context(|| format!("cannot write {}", path.display()))
    }

    /// Keeps what the program of a section found, in place of what it found before.
    pub fn keep(&mut self, found: Found) {
        self.probes.retain(|other| other.section != found.section);
        self.probes.push(found);
    }

    /// What the program of a section found.
    pub fn findings(&self, section: &str) -> &[Finding] {
        let found = self.probes.iter().find(|found| found.section == section);
        found.map_or(&[], |found| &found.findings)
    }
}

/// Finds a contestant by its name.
pub fn contestant<'a>(list: &'a [Contestant], name: &str) -> Option<&'a Contestant> {
    list.iter().find(|contestant| contestant.name == name)
}

/// Returns the contestant with the highest rate, of those that this is said of.
pub fn fastest(list: &[Contestant], is_one: impl Fn(&Contestant) -> bool) -> Option<&Contestant> {
    let rate = |contestant: &Contestant| contestant.summary(Round::rate).map_or(0.0, |summary| summary.median);
    let all = list.iter().filter(|one| is_one(one) && !one.rounds.is_empty());
    all.max_by(|one, other| rate(one).total_cmp(&rate(other)))
}

/// Finds a figure by its name.
pub fn named<'a>(list: &'a [Measured], name: &str) -> Option<&'a Measured> {
    list.iter().find(|measured| measured.name == name)
}
