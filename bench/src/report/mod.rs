//! All that is made of the figures: the table on the terminal, JSON, Markdown.
//!
//! | module | what it owns |
//! |---|---|
//! | [`table`] | tables, for terminals and in Markdown |

mod table;

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Result, bail};

use crate::report::table::Table;
use crate::results::{Contestant, Figures, Round};
use crate::stats::{Summary, number};
use crate::throughput::LIMIT;

fn load(folder: &Path) -> Result<Vec<Figures>> {
    let all = Figures::load_all(folder)?;
    if all.is_empty() {
        bail!("nothing was measured yet: run make bench");
    }
    Ok(all)
}

/// Writes the report, and says what belongs on the terminal.
pub fn write(folder: &Path) -> Result<String> {
    let mut text = String::new();
    for figures in load(folder)? {
        let table = throughput(&figures).for_terminal();
        let _ = write!(text, "\n{}\n\n{table}", figures.machine.describe());
    }
    Ok(text)
}

/// The README's table.
pub fn markdown(folder: &Path) -> Result<String> {
    let mut text = String::new();
    for figures in load(folder)? {
        let table = throughput(&figures).in_markdown();
        let _ = write!(text, "{}\n\n{table}\n", figures.machine.describe());
    }
    Ok(text)
}

fn throughput(figures: &Figures) -> Table {
    let mut table = Table::new(&[
        "contestant",
        "orders/s",
        "spread",
        "to the limit",
        "PHP thread µs/order",
        "process µs/order",
        "peak RSS MiB",
        "RSS growth MiB",
    ]);
    let limit = figures.contestant(LIMIT);
    for contestant in &figures.throughput {
        table.row(throughput_row(contestant, limit));
    }
    table
}

fn throughput_row(contestant: &Contestant, limit: Option<&Contestant>) -> Vec<String> {
    let Some(rate) = contestant.summary(Round::rate) else {
        return vec![contestant.label.clone(), "not available".to_owned()];
    };
    let median = |figure: fn(&Round) -> f64| {
        contestant
            .summary(figure)
            .map_or(0.0, |summary: Summary| summary.median)
    };
    let ratio = limit.and_then(|limit| contestant.ratio(limit, Round::rate));
    vec![
        contestant.label.clone(),
        number(rate.median),
        format!("{}–{}", number(rate.min), number(rate.max)),
        ratio.map_or_else(String::new, |ratio| format!("{:.3}", ratio.median)),
        number(median(Round::thread_us_an_order)),
        number(median(Round::process_us_an_order)),
        number(median(|round| round.rss_peak_kib / 1024.0)),
        number(median(|round| (round.rss_peak_kib - round.rss_before_kib) / 1024.0)),
    ]
}
