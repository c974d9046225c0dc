//! Contestants write the same rows. Each round runs all of them, each in its own process on empty
//! tables; their order rotates from round to round.

use std::time::Duration;

use anyhow::Result;

use crate::contestants::{self, Spec};
use crate::effort::Effort;
use crate::network::SlowNetwork;
use crate::php::{Answer, Php};
use crate::progress::Progress;
use crate::results::{Contestant, Round};
use crate::stats::number;

/// How long the far ones wait for the answer to a packet, if the server needs no time.
pub const ROUND_TRIP: Duration = Duration::from_millis(1);

/// Measures all contestants beside the server, and the server alone.
pub fn measure(php: &Php, progress: &Progress, effort: Effort) -> Result<Vec<Contestant>> {
    let specs = contestants::near(effort);
    in_rounds(php, php, progress, &specs, effort.rounds(7, 3))
}

/// Measures contestants whose server is a round trip away.
pub fn measure_network(php: &Php, progress: &Progress, effort: Effort) -> Result<Vec<Contestant>> {
    let network = SlowNetwork::start(ROUND_TRIP / 2)?;
    let far = php.with_variable("BENCH_PORT", &network.port().to_string());
    let specs = contestants::far(effort);
    in_rounds(php, &far, progress, &specs, effort.rounds(5, 1))
}

fn in_rounds(near: &Php, far: &Php, progress: &Progress, specs: &[Spec], rounds: usize) -> Result<Vec<Contestant>> {
    let mut contestants: Vec<Contestant> = specs.iter().map(Spec::empty).collect();
    for round in 0..rounds {
        for at in 0..specs.len() {
            let at = (at + round) % specs.len();
            let (Some(spec), Some(contestant)) = (specs.get(at), contestants.get_mut(at)) else {
                continue;
            };
            if contestant.unavailable.is_some() {
                continue;
            }
            progress.step(&format!("round {} of {rounds}: {}", round + 1, spec.label));
            let php = if spec.is_far { far } else { near };
            match php.ask::<Round>("bench/throughput.php", &spec.task())? {
                Answer::Figures(round) => {
                    progress.result(&format!("{} orders/s", number(round.rate())));
                    contestant.rounds.push(round);
                }
                Answer::Unavailable(why) => {
                    progress.result("not available");
                    contestant.unavailable = Some(why);
                }
            }
        }
    }
    Ok(contestants)
}
