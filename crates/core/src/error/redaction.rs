//! What a server says, without the values that it quotes.
//!
//! Neither server escapes what it quotes, so no rule about quotation marks can tell where a value
//! ends. Only what is known is kept:
//!
//! 1. The text has the form of one of its code's [templates](super::templates): the names in it are
//!    kept, and each value becomes `…`. A value is taken as long as the form allows, and a name has
//!    no quotation mark: so a value that looks like the end of the form is hidden with all of it.
//! 2. The code is listed as one that has nothing to do with a row's values: the text is kept up to
//!    its first quotation mark.
//! 3. Anything else may hold values anywhere, with quotation marks or without: the text of a
//!    trigger's SIGNAL with SQLSTATE 45000, whatever its code; a code that is not listed; a message
//!    in another language. All of it goes.
//!
//! One way is left: a trigger whose SIGNAL takes the code and the SQLSTATE of a lost race or of a
//! table says what it likes. It does so on purpose.

use super::codes;
use super::templates::{Part, templates_of};

/// What stands in a value's place.
const HIDDEN: &str = "…";

/// The text of an error without values of rows.
pub fn redact(code: u16, state: &str, said: &str) -> String {
    if said.is_empty() {
        return String::new();
    }
    let is_signalled = state == codes::SIGNALLED;
    for template in templates_of(code).filter(|_| !is_signalled) {
        let mut redacted = String::with_capacity(said.len());
        if matches(template, said, &mut redacted) {
            return redacted;
        }
    }
    if codes::is_about_no_row(code) && !is_signalled {
        return match said.find(['\'', '"']) {
            Some(start) => format!("{}{HIDDEN}", &said[..start]),
            None => said.to_owned(),
        };
    }
    format!("error {code}; its text may hold values of rows, so redactValues hides it")
}

/// Whether a text has the form of a template. Appends the text without its values.
fn matches(template: &str, said: &str, redacted: &mut String) -> bool {
    let (literal, part) = Part::split(template);
    let Some(rest) = said.strip_prefix(literal) else {
        return false;
    };
    let Some((part, template)) = part else {
        if rest.is_empty() {
            redacted.push_str(literal);
        }
        return rest.is_empty();
    };
    let length = redacted.len();
    redacted.push_str(literal);
    let kept = redacted.len();
    // A part ends where the next literal begins. The longest value first, the shortest name first.
    let next = Part::split(template).0;
    let ends = |end: &usize| rest[*end..].starts_with(next);
    let mut all = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
    let is_whole = if part == Part::Value {
        all.rev().filter(ends).any(|end| {
            redacted.truncate(kept);
            redacted.push_str(HIDDEN);
            matches(template, &rest[end..], redacted)
        })
    } else {
        let longest = rest.find(|next: char| !part.takes(next)).unwrap_or(rest.len());
        all.by_ref().take_while(|end| *end <= longest).filter(ends).any(|end| {
            redacted.truncate(kept);
            redacted.push_str(&rest[..end]);
            matches(template, &rest[end..], redacted)
        })
    };
    if !is_whole {
        redacted.truncate(length);
    }
    is_whole
}

#[cfg(test)]
mod tests {
    use super::super::templates::TEMPLATES;
    use super::*;
    use proptest::prelude::*;

    /// The cases, which the Laravel package's copy of these rules has to fulfil too.
    const CASES: &str = include_str!("redaction_cases.tsv");

    #[test]
    fn names_are_kept_and_values_are_not() {
        let mut count = 0;
        for line in CASES.lines().filter(|line| !line.starts_with('#')) {
            let [code, state, said, expected] = line.split('\t').collect::<Vec<_>>()[..] else {
                panic!("four fields: {line}");
            };
            assert_eq!(redact(code.parse().expect(line), state, said), expected, "{line}");
            count += 1;
        }
        assert!(count > 60, "{count}");
    }

    #[test]
    fn each_template_belongs_to_a_code_that_is_listed() {
        for (code, template) in TEMPLATES {
            assert!(codes::known(*code).is_some(), "{code}: {template}");
        }
        assert!(TEMPLATES.is_sorted_by_key(|(code, _)| *code), "by number");
    }

    fn filled(template: &str, name: &str, value: &str) -> String {
        let (literal, part) = Part::split(template);
        let Some((part, rest)) = part else {
            return literal.to_owned();
        };
        let filling = match part {
            Part::Value => value,
            Part::Digits => "12",
            Part::Name | Part::Names => name,
        };
        format!("{literal}{filling}{}", filled(rest, name, value))
    }

    proptest! {
        /// Whatever a value holds, also the rest of the template itself.
        #[test]
        fn no_value_is_left(
            at in 0..TEMPLATES.len(),
            other in 0..TEMPLATES.len(),
            before in ".{0,40}",
            quotes in "['\"` ]{0,4}",
        ) {
            let (code, template) = TEMPLATES[at];
            let forged = filled(TEMPLATES[other].1, "forged", "x");
            let again = filled(template, "forged", "x");
            for value in [
                format!("{before}SECRET{quotes}"),
                format!("SECRET{quotes}{forged}"),
                format!("{before}{quotes}{again}SECRET{quotes}{again}"),
            ] {
                let said = filled(template, "name", &value);
                let redacted = redact(code, "23000", &said);
                let without = template.contains("{v}");
                prop_assert!(!without || !redacted.contains("SECRET"), "{said} -> {redacted}");
            }
            prop_assert_eq!(redact(code, "", &filled(template, "name", "v")), filled(template, "name", HIDDEN));
        }

        /// A text cut off by its server, or one that nobody knows.
        #[test]
        fn what_is_not_known_goes(code in 0_u16..=u16::MAX, words in "[a-z ]{0,20}", value in ".{0,20}") {
            let said = format!("{words}'{value}SECRET");
            prop_assert!(!redact(code, "HY000", &said).contains("SECRET"));
            let signalled = format!("SECRET {words}");
            prop_assert!(!redact(code, "45000", &signalled).contains("SECRET"));
        }
    }
}
