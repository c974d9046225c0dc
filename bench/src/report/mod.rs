//! What becomes of the figures: tables on the terminal, JSON, an HTML page, Markdown.
//!
//! | module | what it owns |
//! |---|---|
//! | [`table`] | tables as plain text, Markdown and HTML |
//! | [`sections`] | which figures are in which table |
//! | [`plots`] | SVG |
//! | [`html`] | the page |

mod html;
mod plots;
mod sections;
mod table;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde_json::json;

use crate::report::sections::SHORT;
use crate::results::{Figures, Form};
use crate::targets;

fn load(folder: &Path) -> Result<Vec<Figures>> {
    let all = Figures::load_all(folder)?;
    if all.is_empty() {
        bail!("nothing was measured yet: run make bench");
    }
    Ok(all)
}

/// Writes the report and the merged figures, and returns the text for the terminal.
pub fn write(folder: &Path) -> Result<String> {
    let all = load(folder)?;
    let mut text = String::new();
    for figures in &all {
        let _ = write!(text, "\n{}\n", figures.machine.describe());
        if figures.form == Form::Short {
            let _ = writeln!(text, "{SHORT}");
        }
        for section in sections::of(figures) {
            let _ = write!(text, "\n{}\n{}", section.title, section.table.for_terminal());
        }
    }
    let results: Vec<_> = all
        .iter()
        .map(|figures| json!({"figures": figures, "targets": targets::of(figures)}))
        .collect();
    let json = serde_json::to_string_pretty(&results).context("cannot write JSON")?;
    put(&folder.join("results.json"), &(json + "\n"))?;
    let report = folder.join("report.html");
    put(&report, &html::page(&all)?)?;
    let _ = write!(text, "\nThe report, with plots: {}", report.display());
    Ok(text)
}

/// Returns the tables of `docs/benchmark.md`, and writes its plot into a file.
pub fn markdown(folder: &Path, plot: Option<&Path>) -> Result<String> {
    let all = load(folder)?;
    if let Some(path) = plot {
        put(path, &plots::throughput(&all)?)?;
    }
    let mut text = String::new();
    for figures in &all {
        if figures.form == Form::Short {
            let _ = writeln!(text, "{SHORT}\n");
        }
        let table = sections::throughput(&figures.throughput).in_markdown();
        let _ = writeln!(text, "{}\n\n{table}", figures.machine.describe());
        let _ = writeln!(text, "{}", sections::targets(figures).in_markdown());
    }
    Ok(text.trim_end().to_owned())
}

fn put(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
