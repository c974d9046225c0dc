//! Exact decimal numbers, as far as DECIMAL(65,30) goes and beyond. `sum`, `min`, `max` and a guard
//! compute with them.
//!
//! A price is never a float here. Numbers keep all their digits. They are rounded only to a
//! column's own scale, half away from zero, as the server rounds:
//! <https://dev.mysql.com/doc/refman/8.4/en/precision-math-rounding.html>.
//!
//! Bound: a number has at most [`MAX_DIGITS`] digits on either side of the point.

use std::cmp::Ordering;
use std::fmt;

use crate::value::Value;

/// The most digits on one side of the point. A column has at most 65, so sums of numbers that fit
/// have room.
pub const MAX_DIGITS: usize = 200;

/// A decimal number. Equal numbers are equal whatever digits they were written with: `1.0` is `1`.
#[derive(Debug, Clone)]
pub struct Decimal {
    negative: bool,
    /// Digits 0 to 9, the highest first, without the point. No leading zero.
    digits: Vec<u8>,
    /// How many of the digits stand behind the point.
    scale: usize,
}

impl Decimal {
    /// Reads `-12.50`, `+.5`, `5.`, `1.0E-7`, without spaces or separators: what the server reads
    /// as a number without a warning, and nothing else.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let (negative, unsigned) = match text.first()? {
            b'-' => (true, text.get(1..)?),
            b'+' => (false, text.get(1..)?),
            _ => (false, text),
        };
        let (mantissa, exponent) = match unsigned.iter().position(|byte| matches!(byte, b'e' | b'E')) {
            Some(at) => (unsigned.get(..at)?, parse_exponent(unsigned.get(at + 1..)?)?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = match mantissa.iter().position(|byte| *byte == b'.') {
            Some(at) => (mantissa.get(..at)?, mantissa.get(at + 1..)?),
            None => (mantissa, &[][..]),
        };
        let no_digit = whole.is_empty() && fraction.is_empty();
        if no_digit || whole.len() > MAX_DIGITS || fraction.len() > MAX_DIGITS {
            return None;
        }
        let mut digits = Vec::with_capacity(whole.len() + fraction.len());
        for byte in whole.iter().chain(fraction) {
            digits.push(byte.is_ascii_digit().then(|| byte - b'0')?);
        }
        let mut number = Self {
            negative,
            digits,
            scale: fraction.len(),
        };
        number.shift(exponent)?;
        number.normalize();
        Some(number)
    }

    /// Moves the point to the right (positive) or to the left.
    fn shift(&mut self, exponent: i32) -> Option<()> {
        let places = usize::try_from(exponent.unsigned_abs()).ok()?;
        if exponent < 0 {
            self.scale += places;
        } else if places <= self.scale {
            self.scale -= places;
        } else {
            let zeros = places - self.scale;
            self.digits.resize(self.digits.len() + zeros, 0);
            self.scale = 0;
        }
        (self.scale <= MAX_DIGITS && self.digits.len() <= 2 * MAX_DIGITS).then_some(())
    }

    /// Removes leading zeros, trailing zeros behind the point, and the sign of zero.
    fn normalize(&mut self) {
        while self.scale > 0 && self.digits.last() == Some(&0) {
            self.digits.pop();
            self.scale -= 1;
        }
        let zeros = self.digits.iter().take_while(|digit| **digit == 0).count();
        self.digits.drain(..zeros);
        if self.digits.is_empty() {
            self.negative = false;
            self.scale = 0;
        }
    }

    /// The number rounded to `scale` digits behind the point, half away from zero.
    #[must_use]
    pub fn round(mut self, scale: usize) -> Self {
        if self.scale <= scale {
            return self;
        }
        let cut = self.scale - scale;
        if cut > self.digits.len() {
            self.digits.clear();
        } else {
            let kept = self.digits.len() - cut;
            let up = self.digits.get(kept).is_some_and(|digit| *digit >= 5);
            self.digits.truncate(kept);
            if up {
                self.digits = add_digits(&self.digits, &[1]);
            }
        }
        self.scale = scale;
        self.normalize();
        self
    }

    /// The exact sum.
    #[must_use]
    pub fn add(&self, other: &Self) -> Self {
        let scale = self.scale.max(other.scale);
        let left = self.scaled_digits(scale);
        let right = other.scaled_digits(scale);
        let (negative, digits) = if self.negative == other.negative {
            (self.negative, add_digits(&left, &right))
        } else if compare_digits(&left, &right) == Ordering::Less {
            (other.negative, subtract_digits(&right, &left))
        } else {
            (self.negative, subtract_digits(&left, &right))
        };
        let mut sum = Self {
            negative,
            digits,
            scale,
        };
        sum.normalize();
        sum
    }

    fn scaled_digits(&self, scale: usize) -> Vec<u8> {
        let mut digits = self.digits.clone();
        digits.resize(digits.len() + scale - self.scale, 0);
        digits
    }

    /// How many digits stand before the point.
    pub fn whole_digits(&self) -> usize {
        self.digits.len().saturating_sub(self.scale)
    }

    /// Whether it is below zero.
    pub fn is_negative(&self) -> bool {
        self.negative
    }

    /// Whether it is zero.
    pub fn is_zero(&self) -> bool {
        self.digits.is_empty()
    }

    /// The number with the other sign.
    #[must_use]
    pub fn negated(mut self) -> Self {
        self.negative = !self.negative && !self.digits.is_empty();
        self
    }

    /// The number as an `i64`, if it is a whole one that fits.
    pub fn to_i64(&self) -> Option<i64> {
        (self.scale == 0).then(|| self.to_string().parse().ok())?
    }

    /// The number as an `i128`, if it is a whole one that fits.
    pub fn to_i128(&self) -> Option<i128> {
        (self.scale == 0).then(|| self.to_string().parse().ok())?
    }
}

impl From<i64> for Decimal {
    fn from(number: i64) -> Self {
        let mut magnitude = number.unsigned_abs();
        let mut digits = Vec::with_capacity(19);
        while magnitude > 0 {
            digits.push(u8::try_from(magnitude % 10).unwrap_or(0));
            magnitude /= 10;
        }
        digits.reverse();
        Self {
            negative: number < 0,
            digits,
            scale: 0,
        }
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.negative, other.negative) {
            (false, true) => return Ordering::Greater,
            (true, false) => return Ordering::Less,
            _ => {}
        }
        let scale = self.scale.max(other.scale);
        let order = compare_digits(&self.scaled_digits(scale), &other.scaled_digits(scale));
        if self.negative { order.reverse() } else { order }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Decimal {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Decimal {}

impl fmt::Display for Decimal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.negative {
            formatter.write_str("-")?;
        }
        let whole = self.digits.len().saturating_sub(self.scale);
        if whole == 0 {
            formatter.write_str("0")?;
        }
        for digit in self.digits.iter().take(whole) {
            write!(formatter, "{digit}")?;
        }
        if self.scale > 0 {
            formatter.write_str(".")?;
            for _ in self.digits.len()..self.scale {
                formatter.write_str("0")?;
            }
            for digit in self.digits.iter().skip(whole) {
                write!(formatter, "{digit}")?;
            }
        }
        Ok(())
    }
}

/// Floats from here on may not be whole numbers that the server reads as they are.
const EXACT_FLOAT_MAX: f64 = 9_007_199_254_740_992.0;

/// A value as a number, if it is one.
pub fn number(value: &Value<'_>) -> Option<Decimal> {
    match value {
        Value::Int(number) => Some(Decimal::from(*number)),
        // The shortest digits that identify the float: what PHP shows.
        Value::Float(number) => Decimal::parse(format!("{number:e}").as_bytes()),
        Value::Bytes(bytes) => Decimal::parse(bytes),
        Value::Null | Value::DateTime(_) => None,
    }
}

/// A value as a number, if the server reads it as the same one: not a float with digits behind the
/// point, which the server rounds by rules of its own.
pub fn exact(value: &Value<'_>) -> Option<Decimal> {
    match value {
        Value::Float(float) if float.fract() != 0.0 || float.abs() >= EXACT_FLOAT_MAX => None,
        value => number(value),
    }
}

fn parse_exponent(text: &[u8]) -> Option<i32> {
    let text = std::str::from_utf8(text).ok()?;
    let exponent: i32 = text.parse().ok()?;
    let bound = i32::try_from(MAX_DIGITS).ok()?;
    (-bound..=bound).contains(&exponent).then_some(exponent)
}

/// Adds two numbers by their digits, the highest first.
fn add_digits(left: &[u8], right: &[u8]) -> Vec<u8> {
    let mut sum = Vec::with_capacity(left.len().max(right.len()) + 1);
    let mut carry = 0;
    let mut left = left.iter().rev();
    let mut right = right.iter().rev();
    loop {
        let (a, b) = (left.next(), right.next());
        if a.is_none() && b.is_none() && carry == 0 {
            break;
        }
        let digit = a.unwrap_or(&0) + b.unwrap_or(&0) + carry;
        sum.push(digit % 10);
        carry = digit / 10;
    }
    sum.reverse();
    sum
}

/// Subtracts; `left` is not smaller than `right`.
fn subtract_digits(left: &[u8], right: &[u8]) -> Vec<u8> {
    let mut difference = Vec::with_capacity(left.len());
    let mut borrow = 0;
    let mut right = right.iter().rev();
    for a in left.iter().rev() {
        let taken = right.next().unwrap_or(&0) + borrow;
        let (digit, borrowed) = if *a >= taken {
            (a - taken, 0)
        } else {
            (a + 10 - taken, 1)
        };
        difference.push(digit);
        borrow = borrowed;
    }
    difference.reverse();
    difference
}

fn compare_digits(left: &[u8], right: &[u8]) -> Ordering {
    let left = strip_zeros(left);
    let right = strip_zeros(right);
    left.len().cmp(&right.len()).then_with(|| left.cmp(right))
}

fn strip_zeros(digits: &[u8]) -> &[u8] {
    let zeros = digits.iter().take_while(|digit| **digit == 0).count();
    digits.get(zeros..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::parse(text.as_bytes()).unwrap_or_else(|| panic!("{text} is a number"))
    }

    #[test]
    fn reads_what_the_server_reads() {
        for (text, shown) in [
            ("0", "0"),
            ("-0.00", "0"),
            ("007", "7"),
            ("+1.50", "1.5"),
            (".5", "0.5"),
            ("5.", "5"),
            ("-0.001", "-0.001"),
            ("1.0E-7", "0.0000001"),
            ("12e3", "12000"),
            ("1.25E1", "12.5"),
            ("18446744073709551615", "18446744073709551615"),
            (
                "99999999999999999999999999999999999.999999999999999999999999999999",
                "99999999999999999999999999999999999.999999999999999999999999999999",
            ),
        ] {
            assert_eq!(decimal(text).to_string(), shown, "{text}");
        }
        for text in [
            "", "-", ".", "1,5", " 1", "1 ", "0x10", "1e", "1e999", "NaN", "1.2.3", "--1",
        ] {
            assert!(Decimal::parse(text.as_bytes()).is_none(), "{text:?} is no number");
        }
    }

    #[test]
    fn adds_exactly() {
        for (left, right, sum) in [
            ("0.1", "0.2", "0.3"),
            ("-1", "1", "0"),
            ("1", "-1.5", "-0.5"),
            ("999.99", "0.01", "1000"),
            ("-5", "-7", "-12"),
            (
                "99999999999999999999999999999999999.999999999999999999999999999999",
                "0.000000000000000000000000000001",
                "100000000000000000000000000000000000",
            ),
        ] {
            assert_eq!(decimal(left).add(&decimal(right)).to_string(), sum, "{left} + {right}");
        }
    }

    #[test]
    fn rounds_half_away_from_zero() {
        for (text, scale, rounded) in [
            ("0.005", 2, "0.01"),
            ("-0.005", 2, "-0.01"),
            ("0.0049", 2, "0"),
            ("9.995", 2, "10"),
            ("0.5", 0, "1"),
            ("0.04", 0, "0"),
            ("0.06", 1, "0.1"),
            ("1.5", 5, "1.5"),
        ] {
            assert_eq!(decimal(text).round(scale).to_string(), rounded, "{text} to {scale}");
        }
    }

    proptest! {
        #[test]
        fn agrees_with_integers(a in any::<i64>(), b in any::<i64>()) {
            let (a, b) = (i128::from(a), i128::from(b));
            let (da, db) = (decimal(&a.to_string()), decimal(&b.to_string()));
            prop_assert_eq!(da.add(&db).to_i128(), Some(a + b));
            prop_assert_eq!(da.cmp(&db), a.cmp(&b));
        }

        #[test]
        fn a_machine_number_is_its_text(number in any::<i64>()) {
            prop_assert_eq!(Decimal::from(number).to_string(), number.to_string());
            prop_assert_eq!(Decimal::from(number).to_i64(), Some(number));
        }

        #[test]
        fn scale_shifts_nothing(a in -10_i64.pow(15)..10_i64.pow(15), b in -10_i64.pow(15)..10_i64.pow(15)) {
            let point = |number: i64| decimal(&format!("{number}e-6"));
            prop_assert_eq!(point(a).add(&point(b)), point(a + b));
        }

        #[test]
        fn no_text_makes_it_panic(text in "[-+0-9.eE ]{0,24}") {
            if let Some(number) = Decimal::parse(text.as_bytes()) {
                prop_assert_eq!(Decimal::parse(number.to_string().as_bytes()), Some(number));
            }
        }
    }
}
