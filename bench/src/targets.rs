//! What the extension is meant to reach, and whether it does. Pure.

use serde::Serialize;

use crate::contestants::{LIMIT, LOADS_BY_FOUR, LOADS_BY_ONE, NEAR};
use crate::growth::ROWS_CPU;
use crate::latency::STOPPED;
use crate::probes;
use crate::results::{Contestant, Figures, Line, Measured, Round, contestant, fastest, named};
use crate::stats::number;

/// A figure with its bound.
#[derive(Debug, Clone, Serialize)]
pub struct Target {
    /// What is compared.
    pub what: String,
    /// The bound.
    pub bound: f64,
    /// Whether it is a lower bound.
    pub at_least: bool,
    /// What was measured, if it was.
    pub value: Option<f64>,
}

impl Target {
    /// Whether it is reached; `None` without a figure.
    pub fn is_reached(&self) -> Option<bool> {
        let value = self.value?;
        Some(if self.at_least {
            value >= self.bound
        } else {
            value <= self.bound
        })
    }

    /// Describes its bound for people.
    pub fn described_bound(&self) -> String {
        let sign = if self.at_least { "≥" } else { "≤" };
        format!("{sign} {}", number(self.bound))
    }

    /// Describes it for people.
    pub fn verdict(&self) -> &'static str {
        match self.is_reached() {
            Some(true) => "reached",
            Some(false) => "not reached",
            None => "not measured",
        }
    }
}

fn at_least(what: &str, bound: f64, value: Option<f64>) -> Target {
    Target {
        what: what.to_owned(),
        bound,
        at_least: true,
        value,
    }
}

fn at_most(what: &str, bound: f64, value: Option<f64>) -> Target {
    Target {
        at_least: false,
        ..at_least(what, bound, value)
    }
}

/// Returns all targets, with the figures of one server.
pub fn of(figures: &Figures) -> Vec<Target> {
    let mut all = of_throughput(figures);
    all.extend(of_network(&figures.network));
    all.extend(of_add(figures));
    all.extend(of_growth_and_exchange(figures));
    for section in probes::sections() {
        for finding in figures.findings(section) {
            let value = finding.summary().map(|summary| summary.median);
            all.extend(finding.bound.map(|bound| Target {
                at_least: finding.at_least,
                ..at_least(&finding.label, bound, value)
            }));
        }
    }
    all
}

/// A figure of one contestant to that of another: the median of the rounds' own ratios.
fn ratio(one: Option<&Contestant>, other: Option<&Contestant>, figure: impl Fn(&Round) -> f64) -> Option<f64> {
    Some(one?.ratio(other?, figure)?.median)
}

fn of_throughput(figures: &Figures) -> Vec<Target> {
    let list = &figures.throughput;
    let named = |name: &str| contestant(list, name);
    let rates = |one, other| ratio(one, other, Round::rate);
    let best = fastest(list, |one| one.name.starts_with("background"));
    let loads = |names: [&str; 2]| fastest(list, move |one| names.contains(&one.name.as_str()));
    let limit = named(LIMIT);
    let (two, four) = if figures.machine.kind == "mysql" {
        (1.6, 1.8)
    } else {
        (1.5, 1.5)
    };
    let (one_lane, four_lanes) = (named("background"), named("background-4-runs"));
    let laravel = named("laravel-upsert");
    vec![
        at_least(
            "orders/s, 1 lane to LOAD DATA on one connection",
            0.95,
            rates(one_lane, loads(LOADS_BY_ONE)),
        ),
        at_least(
            "orders/s, 2 lanes to the stored procedure, 100 a COMMIT",
            two,
            rates(named("background-2-runs"), limit),
        ),
        at_least(
            "orders/s, 4 lanes to the stored procedure, 100 a COMMIT",
            four,
            rates(four_lanes, limit),
        ),
        at_least(
            "orders/s, the best to LOAD DATA on four connections",
            0.9,
            rates(best, loads(LOADS_BY_FOUR)),
        ),
        at_least("orders/s, the best to Laravel's upsert()", 4.5, rates(best, laravel)),
        at_least("orders/s, the best to PDO", 2.4, rates(best, named("pdo"))),
        at_least("orders/s, the best to Eloquent", 130.0, rates(best, named("eloquent"))),
        at_most(
            "the server's CPU an order, 4 lanes to 1 lane",
            1.1,
            ratio(four_lanes, one_lane, Round::server_us_an_order),
        ),
        at_most(
            "CPU of PHP's thread an order, 1 lane to Laravel's upsert()",
            0.08,
            ratio(one_lane, laravel, Round::thread_us_an_order),
        ),
    ]
}

fn of_network(list: &[Contestant]) -> Vec<Target> {
    let rates = |one: &str, other: &str| ratio(contestant(list, one), contestant(list, other), Round::rate);
    vec![
        at_least("orders/s, TLS to plain, near", 0.85, rates("near-tls", NEAR)),
        at_least(
            "orders/s, TLS to plain, a round trip of 1 ms away",
            0.85,
            rates("tls", "background"),
        ),
        at_least(
            "orders/s, plain, a round trip of 1 ms away to near",
            0.9,
            rates("background", NEAR),
        ),
    ]
}

fn quotient(list: &[Measured], name: &str, to: &str) -> Option<f64> {
    // Noise may make nothing, or less, of a time from which that of an empty loop is subtracted.
    let to = named(list, to)?.median().filter(|to| *to > 0.0)?;
    Some(named(list, name)?.median()? / to)
}

fn of_add(figures: &Figures) -> Vec<Target> {
    let stopped = figures.latency.iter().find(|latency| latency.name == STOPPED);
    vec![
        at_most(
            "add() of two arrays to a PHP method that only stores them",
            1.0,
            quotient(&figures.add_ns, "native-arrays", "php-arrays"),
        ),
        at_most(
            "add() of two arrays that are made for it, to such a method that keeps them",
            1.0,
            quotient(&figures.add_ns, "native-made", "php-made"),
        ),
        at_most(
            "add() p99.9 at 20,000 orders/s, the server stopped for 2 s, µs",
            50.0,
            stopped.and_then(|latency| latency.median(|percentiles| percentiles.p999_us)),
        ),
        at_most(
            "memory of a buffered pair to PHP arrays",
            0.5,
            quotient(&figures.memory, "native", "php"),
        ),
    ]
}

fn of_growth_and_exchange(figures: &Figures) -> Vec<Target> {
    vec![
        at_most("a row's client CPU at 10,000,000 rows to 10,000", 1.1, growth(figures)),
        at_least(
            "matched orders/s of the exchange, WriteBuffer to Eloquent",
            20.0,
            quotient(&figures.exchange, "native", "eloquent"),
        ),
        at_least(
            "matched orders/s of the exchange, WriteBuffer",
            5_000.0,
            named(&figures.exchange, "native").and_then(Measured::median),
        ),
    ]
}

/// Returns the cost of the last step relative to that of the first, for the worst line. Returns
/// `None` if no line reached 10,000,000 rows.
fn growth(figures: &Figures) -> Option<f64> {
    let curve = figures.growth.iter().find(|curve| curve.name == ROWS_CPU)?;
    let last = |line: &Line| line.points.last().copied();
    let furthest = curve
        .lines
        .iter()
        .filter_map(last)
        .map(|(rows, _)| rows)
        .reduce(f64::max)?;
    if furthest < 1e7 {
        return None;
    }
    let quotient = |line: &Line| Some(last(line)?.1 / line.points.first()?.1);
    curve.lines.iter().filter_map(quotient).reduce(f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_no_quotient() {
        let measured = |name: &str, value| Measured {
            name: name.to_owned(),
            label: String::new(),
            values: vec![value],
        };
        let list = [measured("one", 3.0), measured("two", 2.0), measured("noise", -1.0)];
        assert_eq!(quotient(&list, "one", "two"), Some(1.5));
        assert_eq!(quotient(&list, "one", "noise"), None);
        assert_eq!(quotient(&list, "one", "missing"), None);
    }

    #[test]
    fn bounds_are_reached_from_their_side() {
        assert_eq!(at_least("", 2.0, Some(2.0)).is_reached(), Some(true));
        assert_eq!(at_least("", 2.0, Some(1.9)).is_reached(), Some(false));
        assert_eq!(at_most("", 2.0, Some(2.0)).is_reached(), Some(true));
        assert_eq!(at_most("", 2.0, Some(2.1)).is_reached(), Some(false));
        assert_eq!(at_most("", 2.0, None).is_reached(), None);
    }
}
