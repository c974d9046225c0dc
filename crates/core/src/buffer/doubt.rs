//! Which groups of a queue may be committed, although nobody has said so. Pure.
//!
//! A group is in doubt from the moment at which its COMMIT may be sent, until it is answered. If no
//! clear answer comes, it stays in doubt until it is settled: on a cluster such a COMMIT may still
//! be carried out after the ledger has been asked.
//!
//! Invariant: a group that is not in doubt is not in the database.

/// The numbers of some groups, from the first to the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    first: u64,
    last: u64,
}

impl Span {
    fn has(self, number: u64) -> bool {
        (self.first..=self.last).contains(&number)
    }

    fn hull(self, other: Self) -> Self {
        Self {
            first: self.first.min(other.first),
            last: self.last.max(other.last),
        }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub struct Doubt {
    /// The groups of the COMMIT that was begun last, unless it was answered.
    last: Option<Span>,
    /// Whether its answer is still awaited.
    is_awaited: bool,
    /// Those of earlier COMMITs without a clear answer, and what lies between them.
    earlier: Option<Span>,
}

impl Doubt {
    /// A COMMIT of these groups may be sent from now on.
    pub fn begin(&mut self, first: u64, last: u64) {
        self.unclear();
        self.last = Some(Span { first, last });
        self.is_awaited = true;
    }

    /// It was carried out: its groups are settled.
    pub fn committed(&mut self) {
        self.last = None;
        self.is_awaited = false;
    }

    /// It was answered, or never sent: it was not carried out.
    pub fn failed(&mut self) {
        self.committed();
    }

    /// Nobody knows what became of it.
    pub fn unclear(&mut self) {
        self.is_awaited = false;
        if let Some(last) = self.last.take() {
            self.earlier = Some(self.earlier.map_or(last, |earlier| earlier.hull(last)));
        }
    }

    /// Whether a COMMIT's answer is awaited.
    pub fn is_awaited(&self) -> bool {
        self.is_awaited
    }

    /// Whether a group that is not settled may be committed.
    pub fn covers(&self, number: u64) -> bool {
        [self.last, self.earlier]
            .into_iter()
            .flatten()
            .any(|span| span.has(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covered(doubt: &Doubt) -> Vec<u64> {
        (0..10).filter(|number| doubt.covers(*number)).collect()
    }

    #[test]
    fn what_was_not_answered_stays_in_doubt() {
        let mut doubt = Doubt::default();
        assert!(covered(&doubt).is_empty());
        doubt.begin(1, 2);
        assert_eq!((covered(&doubt), doubt.is_awaited()), (vec![1, 2], true));
        doubt.failed();
        assert_eq!((covered(&doubt), doubt.is_awaited()), (vec![], false));
        doubt.begin(1, 3);
        doubt.unclear();
        assert_eq!((covered(&doubt), doubt.is_awaited()), (vec![1, 2, 3], false));
        // The next attempt fails for certain: the one before it may be carried out all the same.
        doubt.begin(1, 2);
        doubt.failed();
        assert_eq!(covered(&doubt), [1, 2, 3]);
        // A panic amid a COMMIT tells nothing of its end.
        doubt.begin(5, 6);
        doubt.begin(8, 8);
        assert_eq!(covered(&doubt), [1, 2, 3, 4, 5, 6, 8]);
    }
}
