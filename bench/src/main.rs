//! The benchmark's conductor: starts a PHP process for each measurement, one after the other,
//! collects their answers, and writes tables, plots and a report. `make bench` runs it;
//! `bench/README.md` says what is measured and how.
//!
//! ```text
//! write-buffer-bench measure [--short] [--only SECTION,…] [--rounds N]
//! write-buffer-bench report                   tables, JSON, report.html
//! write-buffer-bench markdown [PLOT.svg]      the tables and the plot of the project's pages
//! ```
//!
//! Run it in the root of the project, `measure` in scripts/with-mariadb or scripts/with-mysql.
//! Results are in `target/bench/`, a file for each server.
//!
//! | module | what it owns |
//! |---|---|
//! | [`php`] | PHP processes and their answers |
//! | [`machine`] | server, processors, file system |
//! | [`progress`] | what the terminal shows meanwhile |
//! | [`stats`] | medians and spreads |
//! | [`results`] | the figures of a server, in memory and in a file |
//! | [`effort`] | how many rows and rounds |
//! | [`contestants`] | who writes the rows, and with which settings |
//! | [`throughput`] | contestants, in rounds |
//! | [`network`] | a relay that delays |
//! | [`probes`] | what single programs find |
//! | [`add`] | what `add()` costs: time, instructions, memory |
//! | [`latency`] | `add()` at fixed rates, and while the server is stopped |
//! | [`growth`] | what changes with rows, columns, batches, processes |
//! | [`exchange`] | the Laravel example, end to end |
//! | [`targets`] | what the extension is meant to reach |
//! | [`report`] | tables, JSON, the page |

mod add;
mod contestants;
mod effort;
mod exchange;
mod growth;
mod latency;
mod machine;
mod network;
mod php;
mod probes;
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

use crate::effort::{Effort, Form};
use crate::machine::Machine;
use crate::php::Php;
use crate::progress::Progress;
use crate::results::Figures;

/// The folder of the results.
const FOLDER: &str = "target/bench";

const USAGE: &str = "usage: write-buffer-bench measure [--short] [--only SECTION,…] [--rounds N]
       write-buffer-bench report
       write-buffer-bench markdown [PLOT.svg]";

/// In the order in which they are measured, before those of [`probes`].
const SECTIONS: [&str; 7] = [
    "throughput",
    "network",
    "add",
    "memory",
    "latency",
    "exchange",
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
        _ => bail!(USAGE),
    }
}

fn say(text: &str) -> Result<()> {
    writeln!(io::stdout().lock(), "{text}").context("cannot write to standard output")
}

/// The sections that were asked for, and how much of them.
fn parse<'a>(options: &[&'a str]) -> Result<(Vec<&'a str>, Effort)> {
    let mut effort = Effort {
        form: Form::Full,
        rounds: None,
    };
    let known: Vec<&str> = SECTIONS.into_iter().chain(probes::sections()).collect();
    let mut sections = known.clone();
    let mut options = options.iter();
    while let Some(option) = options.next() {
        match *option {
            "--short" => effort.form = Form::Short,
            "--only" => {
                let names = options.next().context("--only needs names of sections")?;
                sections = names.split(',').collect();
            }
            "--rounds" => {
                let rounds = options.next().and_then(|text| text.parse().ok());
                effort.rounds = Some(rounds.filter(|&rounds| rounds > 0).context("--rounds needs a number")?);
            }
            _ => bail!("no such option: {option}"),
        }
    }
    if let Some(name) = sections.iter().find(|name| !known.contains(name)) {
        bail!("no section {name}; there are: {}", known.join(", "));
    }
    Ok((sections, effort))
}

fn measure(options: &[&str], folder: &Path) -> Result<()> {
    let (sections, effort) = parse(options)?;
    let php = Php::in_current_folder()?;
    let machine = Machine::look(&php)?;
    let progress = Progress::new(&machine.server);
    progress.line(&machine.describe());
    let mut figures = Figures::load_or_new(folder, machine, effort.form)?;
    for section in sections {
        match section {
            "throughput" => figures.throughput = throughput::measure(&php, &progress, effort)?,
            "network" => figures.network = throughput::measure_network(&php, &progress, effort)?,
            "add" => {
                figures.add_ns = add::nanoseconds(&php, &progress, effort)?;
                figures.add_instructions = add::instructions(&php, &progress, folder)?;
            }
            "memory" => figures.memory = add::memory(&php, &progress, effort)?,
            "latency" => figures.latency = latency::measure(&php, &progress, effort)?,
            "growth" => figures.growth = growth::measure(&php, &progress, effort)?,
            "exchange" => figures.exchange = exchange::measure(&php, &progress, effort, folder)?,
            _ => figures.keep(probes::measure(&php, &progress, effort, section)?),
        }
        // Keeps what was measured, even if a later section fails.
        figures.save(folder)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_choose_sections_and_rounds() -> Result<()> {
        let (sections, effort) = parse(&["--only", "add,switches", "--rounds", "3"])?;
        assert_eq!(sections, ["add", "switches"]);
        assert_eq!((effort.form, effort.rounds), (Form::Full, Some(3)));
        for wrong in [
            &["--only", "nothing"][..],
            &["--rounds", "0"],
            &["--rounds"],
            &["--fast"],
        ] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
        Ok(())
    }
}
