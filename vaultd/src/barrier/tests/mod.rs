//! The barrier as a whole, over rows in memory.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod commit;
mod keys;
mod listing;
mod model;
mod tamper;

use super::bed::{Bed, MOUNT};
use super::{BarrierError, Journal, Problem};
