//! What can it do: each engine is async functions over a view.
//!
//! Adding one: a folder with `routes`, `model` and what it does; a variant of `core::mount::Kind`; an
//! arm in each match of `core::dispatch`. The compiler names every place.

pub mod acme;
pub mod cubbyhole;
pub mod ending;
pub mod kv1;
pub mod kv2;
pub mod pki;
mod secret;
pub mod sshca;
pub mod sshkeys;
mod template;
pub mod totp;
pub mod transit;

#[cfg(test)]
mod tests;
