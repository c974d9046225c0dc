//! What becomes of the figures: tables on the terminal, JSON, an HTML page, Markdown.
//!
//! | module | what it owns |
//! |---|---|
//! | [`table`] | tables as plain text, Markdown and HTML |
//! | [`sections`] | which figures are in which table |
//! | [`plots`] | SVG |
//! | [`html`] | the page |
//! | [`pages`] | the tables of the project's pages |

mod html;
mod pages;
mod plots;
mod sections;
mod table;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde_json::json;

use crate::contestants::NEAR;
use crate::effort::Form;
use crate::report::sections::SHORT;
use crate::results::Figures;
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

/// Returns the tables of the project's pages, and writes their plot into a file.
pub fn markdown(folder: &Path, plot: Option<&Path>) -> Result<String> {
    let all = load(folder)?;
    if let Some(path) = plot {
        put(path, &plots::throughput(&all)?)?;
    }
    let mut text = String::new();
    if all.iter().any(|figures| figures.form == Form::Short) {
        let _ = writeln!(text, "{SHORT}\n");
    }
    for figures in &all {
        let _ = writeln!(text, "{}\n", figures.machine.describe());
    }
    let tables = [
        pages::throughput(&all),
        pages::network(&all, NEAR),
        pages::targets(&all),
    ];
    for table in tables {
        let _ = writeln!(text, "{}", table.in_markdown());
    }
    Ok(text.trim_end().to_owned())
}

fn put(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
