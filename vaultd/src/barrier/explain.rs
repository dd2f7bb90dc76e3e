//! Why the sum of a bucket is off: which single change of which row makes it right again.
//!
//! Generations are never used twice, so a sum that comes out right names its row; a wrong row fits
//! with probability 2^-128. If more than one row of a bucket was touched, nothing fits, and the rows
//! of the bucket cannot be told apart.

use bytes::Bytes;
use vault_crypto::Prf;

use super::presence::element;
use super::verify::Problem;

/// How many elements are tried for one bucket.
const TRIES: u64 = 2_000_000;

/// The rows that a sum is about.
pub struct Bucket<'r> {
    prf: &'r Prf,
    /// The stored sum without the rows that opened.
    rest: u128,
    opened: Vec<(&'r Bytes, u64)>,
    /// Rows that did not open, with the generation that they claim.
    altered: Vec<(&'r Bytes, u128)>,
    /// Rows that are not there and may have been.
    absent: Vec<&'r Bytes>,
}

pub enum Cause<'r> {
    /// Of a row that opened.
    Row(&'r Bytes, Problem),
    /// The rows that did not open.
    Altered,
    Absent(&'r Bytes),
    Unknown,
}

impl<'r> Bucket<'r> {
    pub fn new(prf: &'r Prf, sum: u128) -> Bucket<'r> {
        Bucket {
            prf,
            rest: sum,
            opened: Vec::new(),
            altered: Vec::new(),
            absent: Vec::new(),
        }
    }

    pub fn opened(&mut self, key: &'r Bytes, generation: u64) {
        self.rest = self.rest.wrapping_sub(element(self.prf, key, generation));
        self.opened.push((key, generation));
    }

    pub fn altered(&mut self, key: &'r Bytes, claimed: Option<u64>) {
        let element = claimed.map_or(0, |generation| element(self.prf, key, generation));
        self.altered.push((key, element));
    }

    pub fn absent(&mut self, key: &'r Bytes) {
        self.absent.push(key);
    }

    /// Rows of which any may be wrong if the cause is unknown.
    pub fn members(&self) -> impl Iterator<Item = &'r Bytes> {
        self.opened.iter().map(|(key, _)| *key)
    }

    /// `None` if the sum is right. `newest` is the last generation given out.
    pub fn explain(&self, newest: u64) -> Option<Cause<'r>> {
        // Rows that did not open count as what they claim: most often only their content is broken.
        let off = self
            .altered
            .iter()
            .fold(self.rest, |rest, (_, element)| rest.wrapping_sub(*element));
        if off == 0 {
            return None;
        }
        if self.rest == 0 {
            return Some(Cause::Altered);
        }
        let rows = self.opened.len() + self.altered.len() + self.absent.len();
        let depth = (TRIES / rows.max(1) as u64).min(newest);
        // Newest first: what was written lately is searched at once.
        let fits = |key: &Bytes, wanted: u128, oldest: u64| {
            (oldest..=newest)
                .rev()
                .any(|generation| element(self.prf, key, generation) == wanted)
        };
        let oldest = newest - depth;
        for (key, claimed) in &self.altered {
            if fits(key, off.wrapping_add(*claimed), oldest) {
                return Some(Cause::Altered);
            }
        }
        for (key, generation) in &self.opened {
            let own = element(self.prf, key, *generation);
            if off.wrapping_add(own) == 0 {
                return Some(Cause::Row(key, Problem::Foreign));
            }
            if fits(
                key,
                off.wrapping_add(own),
                oldest.max(generation.saturating_add(1)),
            ) {
                return Some(Cause::Row(key, Problem::Outdated));
            }
        }
        let absent = self.absent.iter().find(|key| fits(key, off, oldest));
        Some(absent.map_or(Cause::Unknown, |key| Cause::Absent(key)))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used)]
    use super::*;
    use vault_crypto::Key;

    const NEWEST: u64 = 1000;

    fn rows() -> Vec<Bytes> {
        ["one", "two", "three"]
            .map(|name| Bytes::from_static(name.as_bytes()))
            .to_vec()
    }

    fn prf() -> Prf {
        Prf::new(&Key::from_slice(&[7; 32]).unwrap())
    }

    /// A bucket whose rows have the generations 10, 20 and 30.
    fn sum(prf: &Prf, rows: &[Bytes]) -> u128 {
        rows.iter()
            .zip([10, 20, 30])
            .fold(0, |sum, (key, generation)| {
                sum.wrapping_add(element(prf, key, generation))
            })
    }

    fn cause(fill: impl for<'r> Fn(&mut Bucket<'r>, &'r [Bytes])) -> String {
        let (prf, rows) = (prf(), rows());
        let mut bucket = Bucket::new(&prf, sum(&prf, &rows));
        fill(&mut bucket, &rows);
        match bucket.explain(NEWEST) {
            None => "none".to_owned(),
            Some(Cause::Row(key, problem)) => {
                format!("{} {problem:?}", String::from_utf8_lossy(key))
            }
            Some(Cause::Altered) => "altered".to_owned(),
            Some(Cause::Absent(key)) => format!("{} absent", String::from_utf8_lossy(key)),
            Some(Cause::Unknown) => "unknown".to_owned(),
        }
    }

    #[test]
    fn one_change_names_its_row() {
        assert_eq!(
            cause(|b, r| [10, 20, 30]
                .iter()
                .zip(r)
                .for_each(|(g, k)| b.opened(k, *g))),
            "none"
        );
        assert_eq!(
            cause(|b, r| [10, 15, 30]
                .iter()
                .zip(r)
                .for_each(|(g, k)| b.opened(k, *g))),
            "two Outdated"
        );
        assert_eq!(
            cause(|b, r| {
                b.opened(&r[0], 10);
                b.opened(&r[2], 30);
                b.absent(&r[1]);
            }),
            "two absent"
        );
        assert_eq!(
            cause(|b, r| {
                b.opened(&r[0], 10);
                b.opened(&r[2], 30);
                b.altered(&r[1], Some(999));
            }),
            "altered"
        );
    }

    #[test]
    fn a_row_that_was_deleted_and_is_back_is_foreign() {
        let (prf, rows) = (prf(), rows());
        let mut bucket = Bucket::new(&prf, element(&prf, &rows[0], 10));
        bucket.opened(&rows[0], 10);
        bucket.opened(&rows[1], 20);
        assert!(
            matches!(bucket.explain(NEWEST), Some(Cause::Row(key, Problem::Foreign)) if *key == rows[1])
        );
    }

    #[test]
    fn two_changes_in_one_bucket_are_not_blamed_on_one_row() {
        assert_eq!(
            cause(|b, r| [10, 15, 25]
                .iter()
                .zip(r)
                .for_each(|(g, k)| b.opened(k, *g))),
            "unknown"
        );
        assert_eq!(cause(|b, r| b.opened(&r[0], 10)), "unknown");
    }
}
