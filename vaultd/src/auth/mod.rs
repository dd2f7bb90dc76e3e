//! Who are you: each method turns evidence into a `Login`; core issues the token.

pub mod approle;
pub mod cert;
pub mod gcp;
pub mod github;
pub mod jwt;
pub mod kubernetes;
pub mod ldap;
pub mod ssh;
pub mod userpass;

mod name;
mod roles;
mod secret;
mod token_fields;
