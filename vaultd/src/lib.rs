//! vaultd: a sealed server for secrets that speaks the Vault HTTP API.
//!
//! ```text
//! http      bytes <-> typed requests; TLS, limits, the one status mapping. Decides nothing.
//! core      every request once: gate, authenticate, authorise, audit, engine, commit, audit
//! policy    text -> rules -> decision       audit   open before the effect, close before the answer
//! auth      who are you                     engine  what can it do
//! barrier   the only door to the disk: names and values encrypted, bound to place, counted
//! jose      signed tokens of others     outbound  requests to others
//! ```
//! Arrows only point down this list.

pub mod audit;
pub mod auth;
pub mod barrier;
pub mod command;
pub mod config;
pub mod core;
pub mod engine;
pub mod http;
pub mod jose;
pub mod log;
pub mod memory;
pub mod outbound;
pub mod served;
pub mod server;
pub mod stack;

pub use vault_policy as policy;
pub use vault_policy::hcl;
