//! How much is measured. Pure.

use serde::{Deserialize, Serialize};

/// How long the measurements take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// Many rows, many rounds.
    Full,
    /// Some minutes, for a look: the figures are not worth keeping.
    Short,
}

/// The form of a run, and how often it repeats what it measures.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// Few rows or many.
    pub form: Form,
    /// The rounds of each section, if they were chosen.
    pub rounds: Option<usize>,
}

impl Effort {
    /// Returns one of two values, by the form.
    pub fn choose<T>(self, full: T, short: T) -> T {
        match self.form {
            Form::Full => full,
            Form::Short => short,
        }
    }

    /// Returns the number of rounds: the chosen one, or one of these by the form.
    pub fn rounds(self, full: usize, short: usize) -> usize {
        self.rounds.unwrap_or_else(|| self.choose(full, short))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chosen_rounds_go_before_those_of_the_form() {
        let short = Effort {
            form: Form::Short,
            rounds: None,
        };
        assert_eq!(short.rounds(7, 5), 5);
        let chosen = Effort {
            rounds: Some(3),
            ..short
        };
        assert_eq!(chosen.rounds(7, 5), 3);
        assert_eq!(chosen.choose(7, 5), 5);
    }
}
