//! Increments of one column, added up so that the server notices what it would have noticed between
//! them: a value beyond the column's range.
//!
//! Only the total would hide that: over a column that holds 100, of at most 105, `+10` is refused
//! and `-5` is taken; `+5` instead of both is taken. So a sum goes the whole way that its parts
//! went: up to the highest partial total, down to the lowest, and to the end. These are at most
//! three increments, however many there were, and one if all have the same sign.

use std::borrow::Cow;

use crate::table::bound::BoundColumns;
use crate::value::Value;
use crate::value::decimal::{Decimal, exact};

/// The way of a column's increments.
#[derive(Debug, Clone)]
pub struct SumPath {
    highest: Decimal,
    lowest: Decimal,
    total: Decimal,
}

impl SumPath {
    /// No increment yet.
    fn new() -> Self {
        let zero = || Decimal::from(0);
        Self {
            highest: zero(),
            lowest: zero(),
            total: zero(),
        }
    }

    /// The way of one increment. `None`: only the server can tell what it adds.
    pub fn of(bound: &BoundColumns, at: usize, value: &Value<'_>) -> Option<Self> {
        Self::new().and(bound, at, value)
    }

    /// The same way, gone on by one increment. `None`: only the server can tell what it adds, or a
    /// step of the way is no value of the column.
    pub fn and(mut self, bound: &BoundColumns, at: usize, value: &Value<'_>) -> Option<Self> {
        if !bound.takes(at, value) {
            return None;
        }
        // The server rounds each increment to the column before it adds it.
        let increment = bound.kinds.get(at)?.round(exact(value)?);
        self.total = self.total.add(&increment);
        if self.total > self.highest {
            self.highest = self.total.clone();
        }
        if self.total < self.lowest {
            self.lowest = self.total.clone();
        }
        self.steps().iter().all(|step| bound.takes(at, step)).then_some(self)
    }

    /// The increments to write one after the other, at least one.
    pub fn steps(&self) -> Vec<Value<'static>> {
        let mut steps = Vec::with_capacity(3);
        let mut reached = Decimal::from(0);
        for goal in [&self.highest, &self.lowest, &self.total] {
            // The extremes that the end itself is need no step of their own.
            let is_extreme = !std::ptr::eq(goal, &raw const self.total);
            if is_extreme && (goal.is_zero() || *goal == self.total) {
                continue;
            }
            let step = goal.add(&reached.negated());
            if !step.is_zero() || (steps.is_empty() && !is_extreme) {
                steps.push(value_of(&step));
            }
            reached = goal.clone();
        }
        steps
    }
}

fn value_of(number: &Decimal) -> Value<'static> {
    match number.to_i64() {
        Some(number) => Value::Int(number),
        None => Value::Bytes(Cow::Owned(number.to_string().into_bytes())),
    }
}

/// An increment that adds nothing.
pub const NOTHING: Value<'static> = Value::Int(0);

#[cfg(test)]
mod tests {
    use super::*;

    fn path(increments: &[i64]) -> SumPath {
        increments.iter().fold(SumPath::new(), |mut path, increment| {
            path.total = path.total.add(&Decimal::from(*increment));
            path.highest = path.highest.max(path.total.clone());
            path.lowest = path.lowest.min(path.total.clone());
            path
        })
    }

    #[test]
    fn a_sum_touches_what_its_parts_touched() {
        for (increments, steps) in [
            (&[5][..], &[5][..]),
            (&[5, 7], &[12]),
            (&[-5, -7], &[-12]),
            (&[10, -5], &[10, -5]),
            (&[-5, 10], &[-5, 10]),
            (&[10, -15], &[10, -15]),
            (&[10, -15, 3], &[10, -15, 3]),
            (&[-15, 20, -3], &[5, -20, 17]),
            (&[10, -10], &[10, -10]),
            (&[0], &[0]),
            (&[0, 0], &[0]),
        ] {
            let found: Vec<Value<'_>> = path(increments).steps();
            let expected: Vec<Value<'_>> = steps.iter().map(|step| Value::Int(*step)).collect();
            assert_eq!(found, expected, "{increments:?}");
        }
    }
}
