//! The benchmark's conductor: starts a PHP process for each measurement, one after the other,
//! collects their answers, and writes tables, plots and a report. `make bench` runs it;
//! `bench/README.md` says what is measured and how.
//!
//! ```text
//! write-buffer-bench measure [--short] [--only SECTION,…]   in scripts/with-mariadb or with-mysql
//! write-buffer-bench report                                 tables, JSON, report.html
//! write-buffer-bench markdown [PLOT.svg]                    docs/benchmark.md's tables, plot
//! ```
//!
//! Run it in the root of the project. Results are in `target/bench/`, a file for each server.
//!
//! | module | what it owns |
//! |---|---|
//! | [`php`] | PHP processes and their answers |
//! | [`machine`] | server, processors, file system |
//! | [`progress`] | what the terminal shows meanwhile |
//! | [`stats`] | medians and spreads |
//! | [`results`] | the figures of a server, in memory and in a file |
//! | [`throughput`] | contestants, in rounds |
//! | [`network`] | a proxy that delays |
//! | [`add`] | what `add()` costs: time, instructions, memory |
//! | [`latency`] | `add()` at fixed rates, and while the server is stopped |
//! | [`growth`] | what changes with rows, columns, batches, processes |
//! | [`exchange`] | the Laravel example, end to end |
//! | [`targets`] | what the extension is meant to reach |
//! | [`report`] | tables, JSON, the page |

mod add;
mod exchange;
mod growth;
mod latency;
mod machine;
mod network;
mod php;
mod progress;
mod report;
mod results;
mod stats;
mod targets;
mod throughput;

use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};

use crate::machine::Machine;
use crate::php::Php;
use crate::progress::Progress;
use crate::results::{Figures, Form};

/// The folder of the results.
const FOLDER: &str = "target/bench";

const SECTIONS: [&str; 7] = [
    "throughput",
    "add",
    "memory",
    "latency",
    "exchange",
    "network",
    "growth",
];

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "write-buffer-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let folder = Path::new(FOLDER);
    match arguments.as_slice() {
        ["measure", options @ ..] => measure(options, folder),
        ["report"] => say(&report::write(folder)?),
        ["markdown"] => say(&report::markdown(folder, None)?),
        ["markdown", plot] => say(&report::markdown(folder, Some(Path::new(plot)))?),
        _ => bail!("usage: write-buffer-bench measure [--short] [--only SECTION,…] | report | markdown [PLOT.svg]"),
    }
}

fn say(text: &str) -> Result<()> {
    writeln!(io::stdout().lock(), "{text}").context("cannot write to standard output")
}

fn measure(options: &[&str], folder: &Path) -> Result<()> {
    let mut form = Form::Full;
    let mut sections = SECTIONS.to_vec();
    let mut options = options.iter();
    while let Some(option) = options.next() {
        match *option {
            "--short" => form = Form::Short,
            "--only" => {
                let names = options.next().context("--only needs names of sections")?;
                sections = names.split(',').collect();
            }
            _ => bail!("no such option: {option}"),
        }
    }
    if let Some(name) = sections.iter().find(|name| !SECTIONS.contains(name)) {
        bail!("no section {name}; there are: {}", SECTIONS.join(", "));
    }
    let php = Php::in_current_folder()?;
    let machine = Machine::look(&php)?;
    let progress = Progress::new(&machine.server);
    progress.line(&machine.describe());
    let mut figures = Figures::load_or_new(folder, machine, form)?;
    for section in sections {
        match section {
            "throughput" => figures.throughput = throughput::measure(&php, &progress, form)?,
            "network" => figures.network = throughput::measure_network(&php, &progress, form)?,
            "add" => {
                figures.add_ns = add::nanoseconds(&php, &progress, form)?;
                figures.add_instructions = add::instructions(&php, &progress, folder)?;
            }
            "memory" => figures.memory = add::memory(&php, &progress, form)?,
            "latency" => figures.latency = latency::measure(&php, &progress, form)?,
            "growth" => figures.growth = growth::measure(&php, &progress, form)?,
            "exchange" => figures.exchange = exchange::measure(&php, &progress, form, folder)?,
            _ => bail!("the section {section} cannot be measured"),
        }
        // Keeps what was measured, even if a later section fails.
        figures.save(folder)?;
    }
    Ok(())
}
