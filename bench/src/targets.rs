//! What the extension is meant to reach, and whether it does. Pure.

use serde::Serialize;

use crate::growth::ROWS_CPU;
use crate::latency::STOPPED;
use crate::results::{Figures, Line, Measured, Round, named};
use crate::throughput::LIMIT;

/// A figure with its bound.
#[derive(Debug, Clone, Serialize)]
pub struct Target {
    /// What is compared.
    pub what: &'static str,
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

    /// Describes it for people.
    pub fn verdict(&self) -> &'static str {
        match self.is_reached() {
            Some(true) => "reached",
            Some(false) => "not reached",
            None => "not measured",
        }
    }
}

fn at_least(what: &'static str, bound: f64, value: Option<f64>) -> Target {
    Target {
        what,
        bound,
        at_least: true,
        value,
    }
}

fn at_most(what: &'static str, bound: f64, value: Option<f64>) -> Target {
    Target {
        at_least: false,
        ..at_least(what, bound, value)
    }
}

/// Returns all targets, with the figures of one server.
pub fn of(figures: &Figures) -> Vec<Target> {
    let is_mysql = figures.machine.kind == "mysql";
    let rates = |name: &str, to: &str| {
        let ratio = figures.contestant(name)?.ratio(figures.contestant(to)?, Round::rate)?;
        Some(ratio.median)
    };
    let cpu = || {
        let (native, laravel) = (figures.contestant("background")?, figures.contestant("laravel-upsert")?);
        Some(native.ratio(laravel, Round::thread_us_an_order)?.median)
    };
    let quotient =
        |list: &[Measured], name: &str, to: &str| Some(named(list, name)?.median()? / named(list, to)?.median()?);
    let stopped = figures.latency.iter().find(|latency| latency.name == STOPPED);
    let matched = |name: &str| named(&figures.exchange, name)?.median();
    let limits = if is_mysql { (1.0, 1.5) } else { (0.85, 1.3) };
    vec![
        at_least(
            "orders/s, background to the server alone",
            limits.0,
            rates("background", LIMIT),
        ),
        at_least(
            "orders/s, background with 4 lanes to the server alone on one connection",
            limits.1,
            rates("background-4", LIMIT),
        ),
        at_least(
            "orders/s, background to Laravel's upsert()",
            4.0,
            rates("background", "laravel-upsert"),
        ),
        at_least("orders/s, background to PDO", 2.0, rates("background", "pdo")),
        at_least(
            "orders/s, background to Eloquent",
            100.0,
            rates("background", "eloquent"),
        ),
        at_most(
            "CPU of PHP's thread an order, background to Laravel's upsert()",
            0.08,
            cpu(),
        ),
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
        at_most("a row's client CPU at 10,000,000 rows to 10,000", 1.1, growth(figures)),
        at_least(
            "matched orders/s of the exchange, WriteBuffer to Eloquent",
            20.0,
            quotient(&figures.exchange, "native", "eloquent"),
        ),
        at_least(
            "matched orders/s of the exchange, WriteBuffer",
            5_000.0,
            matched("native"),
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
    fn bounds_are_reached_from_their_side() {
        assert_eq!(at_least("", 2.0, Some(2.0)).is_reached(), Some(true));
        assert_eq!(at_least("", 2.0, Some(1.9)).is_reached(), Some(false));
        assert_eq!(at_most("", 2.0, Some(2.0)).is_reached(), Some(true));
        assert_eq!(at_most("", 2.0, Some(2.1)).is_reached(), Some(false));
        assert_eq!(at_most("", 2.0, None).is_reached(), None);
    }
}
