//! Starts the real programs and talks to them over real sockets.
//!
//! ```no_run
//! let vault = vault_tests::Vault::ready();
//! let answer = vault.call("GET", "sys/mounts", Some(&vault.root), None);
//! assert_eq!(answer.status, 200);
//! ```

pub mod certificates;
pub mod forge;
pub mod google;
pub mod http;
pub mod issuer;
pub mod named;
pub mod pebble;
pub mod process;
pub mod responder;
pub mod slapd;
pub mod sshd;
mod vault;
mod vaultctl;
pub mod web;

pub use http::{Answer, Request};
pub use process::{Options, Process, program};
pub use vault::{Init, Vault};
pub use vaultctl::{Said, Vaultctl};
