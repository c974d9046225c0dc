//! The tables of the project's pages: a row a contestant or target, a column a server.

use crate::contestants::LIMIT;
use crate::report::table::Table;
use crate::results::{Contestant, Figures, Round, contestant};
use crate::stats::{number, whole};
use crate::targets::{self, Target};

/// Orders a second, and how that compares with the limit.
pub fn throughput(all: &[Figures]) -> Table {
    contestants(all, |figures| &figures.throughput, LIMIT)
}

/// Orders a second with a distant server, and how that compares with one of them.
pub fn network(all: &[Figures], reference: &str) -> Table {
    contestants(all, |figures| &figures.network, reference)
}

fn contestants(all: &[Figures], list: fn(&Figures) -> &[Contestant], reference: &str) -> Table {
    let lists: Vec<_> = all.iter().map(list).collect();
    let mut table = Table::new(&head("orders/s", all));
    for first in lists.first().copied().unwrap_or_default() {
        let cells = lists.iter().map(|list| cell(list, &first.name, reference));
        table.row(std::iter::once(first.label.clone()).chain(cells).collect());
    }
    table
}

fn cell(list: &[Contestant], name: &str, reference: &str) -> String {
    let found = contestant(list, name);
    let Some((one, rate)) = found.and_then(|one| Some((one, one.summary(Round::rate)?.median))) else {
        return "not measured".to_owned();
    };
    let ratio = contestant(list, reference).and_then(|limit| one.ratio(limit, Round::rate));
    let ratio = ratio.map_or_else(String::new, |ratio| format!(" ({:.2})", ratio.median));
    format!("{}{ratio}", whole(rate))
}

/// Every target with what each server reached.
pub fn targets(all: &[Figures]) -> Table {
    let lists: Vec<Vec<Target>> = all.iter().map(targets::of).collect();
    let mut table = Table::new(&head("target", all));
    let mut names: Vec<&str> = Vec::new();
    for target in lists.iter().flatten() {
        if !names.contains(&target.what.as_str()) {
            names.push(&target.what);
        }
    }
    for name in names {
        let found = lists.iter().map(|list| list.iter().find(|target| target.what == name));
        let cells = found.map(|target| target.map_or_else(String::new, described));
        table.row(std::iter::once(name.to_owned()).chain(cells).collect());
    }
    table
}

fn described(target: &Target) -> String {
    let value = target
        .value
        .map_or_else(String::new, |value| format!("{}, ", number(value)));
    let verdict = if target.is_reached() == Some(false) {
        "**not reached**"
    } else {
        target.verdict()
    };
    format!("{value}{}: {verdict}", target.described_bound())
}

fn head<'a>(first: &'a str, all: &'a [Figures]) -> Vec<&'a str> {
    let servers = all.iter().map(|figures| figures.machine.server.as_str());
    std::iter::once(first).chain(servers).collect()
}
