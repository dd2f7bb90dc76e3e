//! One pass over bytes: at each position two look-ups in small tables, and only where one of them
//! says so a closer look.

use serde_json::{Value, json};

use super::known::Known;
use super::shapes::{SHAPES, Shape};

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    /// A stored value, by number.
    Known(usize),
    /// Something of this shape, by number.
    Shape(usize),
}

pub(super) struct Matcher {
    known: Option<Known>,
    /// One bit for each hash of the first four bytes of a shape.
    starts: Vec<u64>,
}

impl Matcher {
    pub(super) fn new(known: Option<Known>) -> Matcher {
        let mut starts = vec![0; (1 << 16) / 64];
        for shape in SHAPES {
            let mut first = [0; 4];
            first.copy_from_slice(&shape.prefix.as_bytes()[..4]);
            let hash = start_hash(u32::from_le_bytes(first));
            starts[hash / 64] |= 1u64 << (hash % 64);
        }
        Matcher { known, starts }
    }

    /// Calls `found` for each place where something begins.
    pub(super) fn scan(&self, text: &[u8], mut found: impl FnMut(usize, What)) {
        for (at, window) in text.array_windows::<8>().enumerate() {
            let window = u64::from_le_bytes(*window);
            let hash = start_hash(window as u32);
            if self.starts[hash / 64] >> (hash % 64) & 1 == 1
                && let Some(shape) = Shape::at(text, at)
            {
                found(at, What::Shape(shape));
            }
            if let Some(known) = &self.known
                && let Some(bucket) = known.candidate(window)
            {
                for value in known.confirm(bucket, &text[at..]) {
                    found(at, What::Known(value));
                }
            }
        }
    }

    /// The same for all forms of a value.
    pub(super) fn subject(&self, what: What) -> &str {
        match (what, &self.known) {
            (What::Known(number), Some(known)) => &known.get(number).reference,
            (What::Known(_), None) => "",
            (What::Shape(number), _) => SHAPES[number].name,
        }
    }

    pub(super) fn describe(&self, what: What) -> String {
        match (what, &self.known) {
            (What::Known(number), Some(known)) => {
                let known = known.get(number);
                match known.form.as_str() {
                    "plain" => format!("the value of {}", known.reference),
                    form => format!("the value of {} ({form})", known.reference),
                }
            }
            _ => format!("looks like: {}", self.subject(what)),
        }
    }

    pub(super) fn json(&self, what: What) -> Value {
        match (what, &self.known) {
            (What::Known(number), Some(known)) => {
                let known = known.get(number);
                json!({"kind": "value", "secret": known.reference, "form": known.form})
            }
            _ => json!({"kind": "shape", "shape": self.subject(what)}),
        }
    }

    /// What was looked for.
    pub(super) fn scope(&self) -> String {
        match &self.known {
            None => "looked for shapes of tokens only".to_owned(),
            Some(known) if known.skipped > 0 => format!(
                "looked for values of {} secrets, without {} that are too short or guessable",
                known.secrets, known.skipped
            ),
            Some(known) => format!("looked for values of {} secrets", known.secrets),
        }
    }
}

#[inline]
fn start_hash(first: u32) -> usize {
    (first.wrapping_mul(0x9E37_79B1) >> 16) as usize
}
