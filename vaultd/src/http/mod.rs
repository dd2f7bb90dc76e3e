//! Bytes <-> typed requests. Decides nothing.
//!
//! Order at the edge, so that the cheap refusals come first: connections, headers, path, size, JSON.

mod alarm;
mod client_cert;
mod cors;
mod json;
mod listener;
mod proof;
mod query;
mod receive;
mod respond;
mod stream;
pub mod tls;
mod workers;

pub use listener::{Listener, Shutdown, bind};
pub use proof::ProofListener;
pub use workers::Workers;
