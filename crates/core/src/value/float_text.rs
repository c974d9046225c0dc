//! A float's text.

/// A float as PHP shows it: its shortest digits, with an exponent if it is very large or small.
pub fn float_text(number: f64) -> String {
    /// `php_gcvt` with 17 digits.
    const WHOLE_DIGITS_MAX: i32 = 17;
    const ZEROS_MAX: i32 = 4;
    let shortest = format!("{number:e}");
    let Some((mantissa, exponent)) = shortest.split_once('e') else {
        return shortest;
    };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-ZEROS_MAX..WHOLE_DIGITS_MAX).contains(&exponent) {
        return number.to_string();
    }
    let fraction = if mantissa.contains('.') { "" } else { ".0" };
    format!("{mantissa}{fraction}E{exponent:+}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_shown_as_php_shows_them() {
        for (number, expected) in [
            (1.0, "1"),
            (-0.5, "-0.5"),
            (0.1, "0.1"),
            (0.0001, "0.0001"),
            (0.00001, "1.0E-5"),
            (1e15, "1000000000000000"),
            (1.5e25, "1.5E+25"),
            (1e25, "1.0E+25"),
            (123_456_789_012.345, "123456789012.345"),
        ] {
            assert_eq!(float_text(number), expected, "{number}");
        }
    }
}
