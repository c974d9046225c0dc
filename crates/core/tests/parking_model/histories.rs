//! The smallest histories that once failed.

use super::run;
use super::steps::{Step, add};

/// Whatever is probed by the first group fails at another table.
fn two_tables_in_the_way_of_one_group() -> Vec<Step> {
    vec![
        add("a0? b0"),
        add("a0?"),
        add("b1 c1+"),
        add("c0+"),
        Step::DropTable(0),
        Step::DropColumn(2),
        add("a0? a0?"),
        Step::Work(0, 1),
        Step::CreateTable(1),
        Step::CreateTable(1),
        Step::DropColumn(0),
        Step::DropTable(1),
        Step::DropColumn(0),
    ]
}

/// A table is back, and what waits for it has met another table that is gone.
fn a_table_that_is_back_behind_one_that_is_gone() -> Vec<Step> {
    vec![
        add("c0?"),
        add("a2? a0?"),
        add("a0?"),
        add("a0?"),
        add("c0 b0"),
        add("b0 a0"),
        Step::Rest,
        Step::DropTable(0),
        add("c2 c0 c0"),
        add("c1"),
        Step::Work(0, 1),
        add("a1"),
        Step::DropTable(2),
        Step::Pass(100),
        Step::CreateTable(0),
        Step::Work(2, 1),
        Step::CreateTable(0),
        Step::Flush,
    ]
}

/// The only probe of a table that is back meets another one that is gone.
fn a_table_that_is_back_behind_a_group_of_two() -> Vec<Step> {
    vec![
        add("a2"),
        Step::Pass(100),
        Step::Fail(0),
        add("a0 a3 c0"),
        Step::DropTable(0),
        add("c1"),
        Step::DropTable(2),
        add("a0? a0?"),
        Step::Rest,
        Step::CreateTable(2),
        Step::Flush,
    ]
}

/// Somebody waits for a parked group, while a later one is parked behind what is not due.
fn a_wait_for_a_group_before_one_that_waits_for_its_lane() -> Vec<Step> {
    vec![
        add("a1 c3"),
        add("b2? b0?"),
        add("b0? b0?"),
        add("a2?"),
        Step::DropColumn(2),
        Step::DropTable(1),
        add("c1+"),
        Step::WaitFor(1),
    ]
}

#[test]
fn a_wait_for_a_group_ends_whatever_comes_later() {
    run(a_wait_for_a_group_before_one_that_waits_for_its_lane(), false, false).expect("it ends");
}

#[test]
fn a_group_behind_two_tables_that_are_gone_rests() {
    run(two_tables_in_the_way_of_one_group(), true, false).expect("all rest");
}

#[test]
fn a_group_whose_table_is_back_is_written_behind_one_that_is_gone() {
    run(a_table_that_is_back_behind_one_that_is_gone(), false, false).expect("it is written");
    run(a_table_that_is_back_behind_a_group_of_two(), false, false).expect("it is written");
}
