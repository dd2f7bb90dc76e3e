//! The audit file: how its lines are chained and signed, and how they are verified.
//!
//! A line is one JSON object that ends in `,"seq":N,"chain":"<64 hex>"}`. Its chain is
//! SHA-256(chain of the line before ‖ the line up to and excluding `,"chain"`). A checkpoint
//! line carries an Ed25519 signature over the chain so far.
//!
//! Promises: with the public key at hand, every edit, deletion, reordering and truncation
//! before the last checkpoint is found. Does not promise: anything about the lines after
//! the last checkpoint, about a file cut off right behind a checkpoint (tell the verifier the
//! sequence number to expect), or against an intruder who holds the signing key.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod chain;
mod line;
mod mark;
mod verify;

pub use chain::{Chain, Link};
pub use line::{Line, MAX_LINE, NotALine};
pub use mark::{Mark, VERSION};
pub use verify::{Kind, Options, Problem, Report, verify};
