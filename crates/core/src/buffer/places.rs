//! Where rows are, by the hash of their key.

/// The places of hashes, in sorted runs. A new run is merged into the last one as long as that is
/// at most twice as long: so there are few runs, and each place is moved a few times. A map would
/// take four times the memory, and as much time for the first million of rows.
#[derive(Debug)]
pub struct Places<P> {
    runs: Vec<Vec<(u64, P)>>,
}

impl<P> Default for Places<P> {
    fn default() -> Self {
        Self { runs: Vec::new() }
    }
}

impl<P: Copy + Ord> Places<P> {
    /// The places of a hash.
    pub fn get(&self, hash: u64) -> impl Iterator<Item = P> {
        self.runs.iter().flat_map(move |run| {
            let first = run.partition_point(|(other, _)| *other < hash);
            let rest = run.iter().skip(first);
            rest.take_while(move |(other, _)| *other == hash)
                .map(|(_, place)| *place)
        })
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.runs.iter().map(Vec::len).sum()
    }

    /// Adds some, in any order.
    pub fn insert(&mut self, mut run: Vec<(u64, P)>) {
        while let Some(last) = self.runs.pop_if(|last| last.len() <= 2 * run.len()) {
            run.extend(last);
        }
        // Runs that are sorted already are merged by it.
        run.sort();
        self.runs.push(run);
    }

    /// Keeps those that are wanted.
    pub fn retain(&mut self, is_kept: impl Fn(P) -> bool) {
        for run in &mut self.runs {
            run.retain(|(_, place)| is_kept(*place));
            run.shrink_to_fit();
        }
        self.runs.retain(|run| !run.is_empty());
    }
}
