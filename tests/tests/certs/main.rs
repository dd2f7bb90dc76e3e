//! Certificates in the hands of real nginx and HAProxy: renewed under load, taken back when they are
//! not served.
#![expect(clippy::unwrap_used, reason = "tests")]

mod agent;
mod failures;
mod load;
mod server;
mod site;
mod timeline;
