//! Medians of rounds, and how they are printed.

use std::time::Duration;

use super::Round;

pub const HEADING: &str = "
what                        clients      req/s        p50        p99   server CPU/req";

/// The rounds of one side.
#[derive(Default)]
pub struct Series(Vec<Round>);

impl Series {
    pub fn add(&mut self, round: Round) {
        self.0.push(round);
    }

    fn median<T: PartialOrd + Copy>(&self, of: impl Fn(&Round) -> T) -> T {
        median(self.0.iter().map(of).collect())
    }

    pub fn per_second(&self) -> f64 {
        self.median(|round| round.per_second)
    }

    /// The median of the rounds' medians.
    pub fn typical(&self) -> Duration {
        self.median(|round| round.p50)
    }

    /// What the server's processor needs for one request.
    pub fn cpu(&self) -> Duration {
        self.median(|round| round.cpu)
    }

    pub fn row(&self, name: &str, clients: usize) -> String {
        format!(
            "{name:<28}{clients:>7} {:>10.0} {:>10} {:>10} {:>16}",
            self.per_second(),
            micros(self.median(|round| round.p50)),
            micros(self.median(|round| round.p99)),
            micros(self.median(|round| round.cpu)),
        )
    }

    /// Pair by pair, so that whatever disturbs the machine for a while disturbs both sides.
    fn ratios(&self, reference: &Series) -> Vec<f64> {
        let pairs = self.0.iter().zip(&reference.0);
        pairs
            .map(|(ours, theirs)| ours.per_second / theirs.per_second)
            .collect()
    }

    pub fn ratio(&self, reference: &Series, name: &str, clients: usize, target: f64) -> String {
        let mut ratios = self.ratios(reference);
        ratios.sort_by(f64::total_cmp);
        let (low, high) = (ratios[0], ratios[ratios.len() - 1]);
        let goal = if clients == 64 {
            format!(", target {target}")
        } else {
            String::new()
        };
        format!(
            "{name:<12} {clients} clients: {:.2} (from {low:.2} to {high:.2}{goal})\n",
            median(ratios)
        )
    }

    /// How many times the other's rate this is.
    pub fn times(&self, other: &Series, what: &str, clients: usize) -> String {
        let times = median(self.ratios(other));
        format!("TIMES VAULT  {clients} clients, {what}: {times:.1}\n")
    }
}

fn median<T: PartialOrd + Copy>(mut values: Vec<T>) -> T {
    values.sort_by(|one, two| one.partial_cmp(two).unwrap_or(std::cmp::Ordering::Equal));
    values[values.len() / 2]
}

fn micros(time: Duration) -> String {
    match time.as_micros() {
        0 => "-".to_owned(),
        _ => format!("{:.1} us", time.as_secs_f64() * 1e6),
    }
}
