//! Which figures are in which table.

use crate::contestants::{LIMIT, LOADS_BY_ONE, NEAR};
use crate::probes::{self, Finding, SWITCHES};
use crate::report::table::Table;
use crate::results::{Contestant, Curve, Figures, Latency, Measured, Percentiles, Round, contestant, fastest};
use crate::stats::{Summary, number, whole};
use crate::targets;
use crate::throughput::ROUND_TRIP;

/// A warning beside figures of the short form.
pub const SHORT: &str = "Short form: for a look. Its figures are not for keeping.";

/// A table with its title.
#[derive(Debug)]
pub struct Section {
    /// Its title.
    pub title: String,
    /// Its figures.
    pub table: Table,
}

/// Returns all tables of a server.
pub fn of(figures: &Figures) -> Vec<Section> {
    let mut all = Vec::new();
    let mut add = |title: &str, table: Table| {
        if !table.is_empty() {
            all.push(Section {
                title: title.to_owned(),
                table,
            });
        }
    };
    let list = &figures.throughput;
    let load = fastest(list, |one| LOADS_BY_ONE.contains(&one.name.as_str()));
    let references = [("to the procedure", contestant(list, LIMIT)), ("to LOAD DATA", load)];
    add("Throughput", throughput(list, &references));
    add("add() of a pair, nanoseconds", measured("ns", &figures.add_ns));
    add(
        "add() of a pair, instructions",
        measured("instructions", &figures.add_instructions),
    );
    add("A buffered pair's memory", measured("bytes", &figures.memory));
    add(
        "add() at fixed rates, from when an order was due, µs",
        latency(&figures.latency),
    );
    add(probes::title(SWITCHES), findings(figures.findings(SWITCHES)));
    add(
        "The exchange, matchOrders() from end to end",
        measured("orders/s", &figures.exchange),
    );
    let network = format!("Throughput with a round trip of {} ms", ROUND_TRIP.as_millis());
    let near = [("to near", contestant(&figures.network, NEAR))];
    add(&network, throughput(&figures.network, &near));
    for curve in &figures.growth {
        add(&format!("{}, {}", curve.title, curve.y), growth(curve));
    }
    for section in probes::sections().filter(|section| *section != SWITCHES) {
        add(probes::title(section), findings(figures.findings(section)));
    }
    add("Targets", targets(figures));
    all
}

/// Returns the table of a run's contestants, each also as a multiple of some of them.
fn throughput(contestants: &[Contestant], references: &[(&str, Option<&Contestant>)]) -> Table {
    let mut head = vec!["contestant", "orders/s", "lowest–highest"];
    head.extend(references.iter().map(|(head, _)| head));
    head.extend([
        "PHP thread µs/order",
        "process µs/order",
        "server µs/order",
        "peak RSS MiB",
        "RSS growth MiB",
    ]);
    let mut table = Table::new(&head);
    for contestant in contestants {
        table.row(throughput_row(contestant, references));
    }
    table
}

fn throughput_row(contestant: &Contestant, references: &[(&str, Option<&Contestant>)]) -> Vec<String> {
    let Some(rate) = contestant.summary(Round::rate) else {
        return vec![contestant.label.clone(), "not available".to_owned()];
    };
    let median = |figure: fn(&Round) -> f64| {
        let summary = contestant.summary(figure);
        summary.map_or_else(String::new, |summary| number(summary.median))
    };
    let ratio = |reference: &Contestant| {
        let ratio = contestant.ratio(reference, Round::rate);
        ratio.map_or_else(String::new, |ratio| format!("{:.3}", ratio.median))
    };
    let mut row = vec![
        contestant.label.clone(),
        number(rate.median),
        format!("{}–{}", number(rate.min), number(rate.max)),
    ];
    row.extend(
        references
            .iter()
            .map(|(_, reference)| reference.map_or_else(String::new, ratio)),
    );
    row.extend([
        median(Round::thread_us_an_order),
        median(Round::process_us_an_order),
        median(Round::server_us_an_order),
        median(|round| round.rss_peak_kib / 1024.0),
        median(|round| (round.rss_peak_kib - round.rss_before_kib) / 1024.0),
    ]);
    row
}

fn measured(unit: &str, list: &[Measured]) -> Table {
    let mut table = Table::new(&["", unit, "lowest–highest"]);
    for one in list {
        if let Some(summary) = Summary::of(one.values.iter().copied()) {
            let spread = format!("{}–{}", number(summary.min), number(summary.max));
            table.row(vec![one.label.clone(), number(summary.median), spread]);
        }
    }
    table
}

fn latency(list: &[Latency]) -> Table {
    let mut table = Table::new(&["", "p50", "p99", "p99.9", "max"]);
    for latency in list {
        let cell = |percentile: fn(&Percentiles) -> f64| latency.median(percentile).map_or_else(String::new, number);
        table.row(vec![
            latency.label.clone(),
            cell(|round| round.p50_us),
            cell(|round| round.p99_us),
            cell(|round| round.p999_us),
            cell(|round| round.max_us),
        ]);
    }
    table
}

fn growth(curve: &Curve) -> Table {
    let head: Vec<String> = curve
        .lines
        .first()
        .into_iter()
        .flat_map(|line| &line.points)
        .map(|(x, _)| whole(*x))
        .collect();
    let mut columns = vec![curve.x.as_str()];
    columns.extend(
        head.iter()
            .map(|cell| cell.trim_end_matches(".00").trim_end_matches(".0")),
    );
    let mut table = Table::new(&columns);
    for line in &curve.lines {
        let values = line.points.iter().map(|(_, y)| number(*y));
        table.row(std::iter::once(line.label.clone()).chain(values).collect());
    }
    table
}

fn findings(list: &[Finding]) -> Table {
    let mut table = Table::new(&["", "median", "lowest–highest", ""]);
    for one in list {
        if let Some(summary) = one.summary() {
            let spread = format!("{}–{}", number(summary.min), number(summary.max));
            table.row(vec![
                one.label.clone(),
                number(summary.median),
                spread,
                one.unit.clone(),
            ]);
        }
    }
    table
}

fn targets(figures: &Figures) -> Table {
    let mut table = Table::new(&["target", "bound", "measured", ""]);
    for target in targets::of(figures) {
        table.row(vec![
            target.what.clone(),
            target.described_bound(),
            target.value.map_or_else(String::new, number),
            target.verdict().to_owned(),
        ]);
    }
    table
}
