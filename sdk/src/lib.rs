//! A client for apps and tools: log in, keep the token alive, read secrets.
//!
//! ```no_run
//! use std::time::Duration;
//! use vault_sdk::{Client, SecretString, Secrets, Startup};
//!
//! #[derive(Secrets)]
//! #[secrets(mount = "secret", path = "apps/billing/{env}")]
//! struct App {
//!     db_password: SecretString,
//!     #[secret(path = "apps/shared", key = "sentry_dsn", optional)]
//!     sentry: Option<SecretString>,
//! }
//!
//! # async fn start() -> Result<(), vault_sdk::Error> {
//! let wait = Startup::WaitForUnseal(Duration::from_secs(300));
//! let vault = Client::connect_from_env(wait).await?;
//! let app: App = vault.load().await?;
//! let password: &str = app.db_password.expose();
//! # Ok(())
//! # }
//! ```
//!
//! An app that must start while the server is sealed keeps its secrets on the host, encrypted and for
//! as long as the server allows: [`Builder::cache`] with [`Startup::CacheThenWait`].
//!
//! Secrets never print and are wiped on drop; no error holds one. What the
//! network stack copies on the way is out of reach.

mod batch;
mod builder;
mod bundle;
mod call;
mod changes;
mod client;
mod connect;
mod env;
mod error;
pub mod instance;
mod kv1;
mod kv2;
mod load;
mod login;
mod notify;
mod problem;
mod renew;
mod retry;
pub mod runner;
mod secret;
mod secrets;
mod ssh;
mod ssh_keys;
mod sys;
mod tls;
mod token;
mod transport;
mod typed;
mod watched;
mod wipe;

pub use batch::Many;
pub use builder::{Builder, Startup};
pub use bundle::{Cache, Fetched, HostKey, Kept};
pub use call::{Answer, Call, Ttl};
pub use changes::{Change, Changes};
pub use client::Client;
pub use error::Error;
pub use http::HeaderMap;
pub use kv1::Kv1;
pub use kv2::{Kv2, Kv2Secret};
pub use load::{Loaded, Obtained, wait_for_server};
pub use login::{Auth, SecretId};
pub use problem::{Cause, Problem};
pub use renew::{Event, Events};
pub use secret::{Secret, SecretString};
pub use secrets::{Found, FromSecret, SecretRef, Secrets};
#[doc(hidden)]
pub use secrets::{concat, total};
pub use ssh::SshKey;
pub use ssh_keys::{ManagedKey, SshKeys};
pub use sys::Sys;
pub use typed::SecretMap;
pub use vault_proto as proto;
pub use vault_sdk_derive::Secrets;
pub use watched::Watched;
