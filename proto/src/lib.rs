//! The wire types of the API, shared by server, SDK and command line.
//!
//! No I/O and no decisions. `path` holds the one rule that turns a request
//! path into its canonical text.

pub mod approle;
pub mod bundle;
pub mod encrypted;
mod envelope;
pub mod kv2;
pub mod mounts;
pub mod path;
pub mod receipt;
pub mod seal;
mod sensitive;
pub mod token;

pub use envelope::{Auth, Envelope, Errors, WrapInfo};
pub use path::{ApiPath, PathError};
pub use sensitive::Sensitive;

use serde::{Deserialize, Deserializer};

/// Clients and servers in the wild send `null` for an empty list.
fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
