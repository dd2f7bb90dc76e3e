//! The client against a server in this process that answers as Vault does.

#![allow(clippy::unwrap_used, clippy::allow_attributes)]

mod fake;
mod kv;
mod loading;
mod login;
mod renewal;
mod sending;
mod ssh_keys;
mod startup;
mod tls;
