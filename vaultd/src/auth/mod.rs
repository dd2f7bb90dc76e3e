//! Who are you: each method turns evidence into a `Login`; core issues the token.

pub mod approle;
pub mod userpass;
