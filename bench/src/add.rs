//! What `add()` of a pair costs: time, instructions and memory, beside a PHP method that only
//! stores the rows.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Deserialize;
use serde_json::json;

use crate::effort::Effort;
use crate::php::Php;
use crate::progress::Progress;
use crate::results::Measured;

/// Pairs in each loop under callgrind.
const PAIRS_COUNTED: u64 = 1_000;

/// The loops of `bench/lib/AddLoops.php`, without the empty ones.
const LOOPS: [(&str, &str); 6] = [
    ("php-arrays", "arrays, a PHP method that only stores them"),
    ("native-arrays", "arrays, WriteBuffer::add()"),
    ("php-made", "arrays made one by one, a PHP method that only stores them"),
    ("native-made", "arrays made one by one, WriteBuffer::add()"),
    (
        "php-models",
        "Eloquent models, a PHP method that only stores their attributes",
    ),
    ("native-models", "Eloquent models, WriteBuffer::add()"),
];

fn measured(name: &str, label: &str, values: Vec<f64>) -> Measured {
    Measured {
        name: name.to_owned(),
        label: label.to_owned(),
        values,
    }
}

/// Measures nanoseconds per pair.
pub fn nanoseconds(php: &Php, progress: &Progress, effort: Effort) -> Result<Vec<Measured>> {
    progress.step("add(): nanoseconds");
    let task = json!({"rounds": effort.choose(60, 15)});
    let mut loops: BTreeMap<String, Vec<f64>> = php.ask("bench/add.php", &task)?.figures()?;
    LOOPS
        .into_iter()
        .map(|(name, label)| {
            let values = loops
                .remove(name)
                .with_context(|| format!("add.php has no loop {name}"))?;
            Ok(measured(name, label, values))
        })
        .collect()
}

#[derive(Deserialize)]
struct Counted {
    names: Vec<String>,
    /// For each name, the same loop without `add()`.
    empty: Vec<String>,
}

/// Counts instructions per pair, less those of the same loop without `add()`. Callgrind's file
/// number 2n is the nth loop.
pub fn instructions(php: &Php, progress: &Progress, folder: &Path) -> Result<Vec<Measured>> {
    progress.step("add(): instructions, by callgrind");
    let out = php.root().join(folder).join("callgrind");
    remove_dumps(folder)?;
    fs::create_dir_all(folder).context("cannot make the folder of the results")?;
    let wrapper = php.root().join("bench/php-under-callgrind");
    let php = php
        .with_variable("PHP", &wrapper.to_string_lossy())
        .with_variable("CALLGRIND_OUT", &out.to_string_lossy());
    let counted: Counted = php
        .ask("bench/instructions.php", &json!({"pairs": PAIRS_COUNTED}))?
        .figures()?;
    let mut totals = BTreeMap::new();
    for (at, name) in counted.names.iter().enumerate() {
        let dump = fs::read_to_string(out.with_extension((2 * (at + 1)).to_string()))
            .with_context(|| format!("callgrind has not counted {name}"))?;
        let total = dump.lines().find_map(|line| line.strip_prefix("totals: "));
        let total: f64 = total
            .context("a dump without totals")?
            .trim()
            .parse()
            .context("totals")?;
        totals.insert(name.as_str(), total / PAIRS_COUNTED as f64);
    }
    remove_dumps(folder)?;
    let net = |name: &str| {
        let at = counted.names.iter().position(|other| other == name)?;
        Some(totals.get(name)? - totals.get(counted.empty.get(at)?.as_str())?)
    };
    LOOPS
        .into_iter()
        .map(|(name, label)| {
            let instructions = net(name).with_context(|| format!("instructions.php has no loop {name}"))?;
            Ok(measured(name, label, vec![instructions]))
        })
        .collect()
}

fn remove_dumps(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.context("cannot read the folder of the results")?.path();
        if path.file_stem().is_some_and(|stem| stem == "callgrind") {
            fs::remove_file(path).context("cannot remove a dump of callgrind")?;
        }
    }
    Ok(())
}

#[derive(Deserialize)]
struct Grown {
    rss_bytes: f64,
    accounted_bytes: Option<f64>,
}

/// Measures bytes per buffered pair.
pub fn memory(php: &Php, progress: &Progress, effort: Effort) -> Result<Vec<Measured>> {
    let pairs = effort.choose(100_000, 50_000);
    let ask = |contestant: &str| -> Result<Grown> {
        progress.step(&format!("memory of a buffered pair: {contestant}"));
        let task = json!({"contestant": contestant, "pairs": pairs});
        php.ask("bench/memory.php", &task)?.figures()
    };
    let (in_php, native) = (ask("php")?, ask("native")?);
    Ok(vec![
        measured("php", "PHP arrays, resident memory", vec![in_php.rss_bytes]),
        measured("native", "WriteBuffer, resident memory", vec![native.rss_bytes]),
        measured(
            "native-accounted",
            "WriteBuffer, bytes_pending of getMetrics()",
            native.accounted_bytes.into_iter().collect(),
        ),
    ])
}
