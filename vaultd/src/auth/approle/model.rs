//! What the AppRole method stores, and under which names.
//!
//! Promises: a secret id is never stored, only a keyed fingerprint of it; a fingerprint holds for one
//! generation of one role, so that deleting a role kills all of its secret ids at once. Does not
//! promise: that a custom secret id is hard to guess.

use std::collections::BTreeMap;

use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use vault_crypto::Prf;
use zeroize::Zeroizing;

pub(super) use crate::auth::name::RoleName;
use crate::core::fault::Fault;
use crate::core::login::TokenParams;

/// A role. Durations in seconds; 0 means no limit.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Role {
    /// Random and new with each creation; part of every row and fingerprint of its secret ids.
    pub generation: String,
    pub role_id: String,
    pub bind_secret_id: bool,
    pub secret_id_bound_cidrs: Vec<IpNet>,
    pub secret_id_num_uses: u64,
    pub secret_id_ttl: u64,
    pub local_secret_ids: bool,
    pub token: TokenParams,
    /// Set through the old names `policies` and `period`, which are then shown too.
    pub old_policies: bool,
    pub old_period: bool,
}

/// What the row of a role id holds.
#[derive(Serialize, Deserialize)]
pub(super) struct RoleRef {
    pub name: String,
}

/// What is known of a secret id. `num_uses` 0 and `ttl` 0 mean no limit; `ttl` in seconds.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct SecretId {
    pub accessor: String,
    pub num_uses: u64,
    pub ttl: u64,
    pub created: Timestamp,
    pub updated: Timestamp,
    pub expires: Option<Timestamp>,
    pub metadata: BTreeMap<String, String>,
    pub cidr_list: Vec<IpNet>,
    pub token_bound_cidrs: Vec<IpNet>,
}

impl SecretId {
    pub(super) fn expired(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }
}

/// What the row of an accessor holds.
#[derive(Serialize, Deserialize)]
pub(super) struct AccessorRef {
    pub fingerprint: String,
}

/// A role id or a secret id as a client gave it. Never printed, wiped after use.
pub(super) struct Credential(Zeroizing<String>);

impl Credential {
    const MAX: usize = 4096;

    /// White space around it is dropped: it comes from files that end in a newline. `None` if
    /// nothing is left.
    pub(super) fn parse(text: String, field: &str) -> Result<Option<Credential>, Fault> {
        let text = Zeroizing::new(text);
        let trimmed = text.trim();
        if trimmed.len() > Credential::MAX {
            return Err(Fault::invalid(format!(
                "{field} is longer than {} bytes",
                Credential::MAX
            )));
        }
        if trimmed.chars().any(char::is_control) {
            return Err(Fault::invalid(format!("{field} holds control characters")));
        }
        Ok((!trimmed.is_empty()).then(|| Credential(Zeroizing::new(trimmed.to_owned()))))
    }

    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

/// The row that leads from a role id to its role. The id is the view's key material only as a
/// fingerprint, so that its length and characters are free.
pub(super) fn role_id_row(prf: &Prf, role_id: &str) -> String {
    format!(
        "role-id/{}",
        hex::encode(prf.tag(&[b"approle role id", role_id.as_bytes()]))
    )
}

pub(super) fn fingerprint(prf: &Prf, generation: &str, secret_id: &Credential) -> String {
    hex::encode(prf.tag(&[
        b"approle secret id",
        generation.as_bytes(),
        secret_id.expose().as_bytes(),
    ]))
}

pub(super) fn secret_id_row(generation: &str, fingerprint: &str) -> String {
    format!("secret-id/{generation}/{fingerprint}")
}

/// The directory of a role's accessors: one role cannot even name an accessor of another one.
pub(super) fn accessors(generation: &str) -> String {
    format!("accessor/{generation}")
}

/// `None` for a text that is not an accessor of ours, which then cannot become part of a path.
pub(super) fn accessor_row(generation: &str, accessor: &str) -> Option<String> {
    let fits = accessor.len() == 36
        && accessor
            .bytes()
            .all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    fits.then(|| format!("accessor/{generation}/{accessor}"))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn role_names_have_one_spelling() {
        assert_eq!(RoleName::parse("Web-App.1").unwrap().as_str(), "web-app.1");
        for odd in [
            "",
            " a",
            "a ",
            "-a",
            "a.",
            "..",
            "a b",
            "a%2fb",
            "a\0",
            "é",
            "a*",
            "+",
            "ａ",
            &"a".repeat(129),
        ] {
            assert!(RoleName::parse(odd).is_err(), "{odd:?}");
        }
    }

    #[test]
    fn credentials_are_trimmed_and_bounded() {
        let parse = |text: &str| Credential::parse(text.to_owned(), "secret_id");
        assert_eq!(parse(" abc\n").unwrap().unwrap().expose(), "abc");
        assert!(parse(" \n").unwrap().is_none());
        assert!(parse("a\0b").is_err());
        assert!(parse(&"a".repeat(4097)).is_err());
    }

    #[test]
    fn accessors_cannot_leave_their_directory() {
        for odd in [
            "",
            "..",
            "../x",
            "a/b",
            "00000000-0000-0000-0000-00000000000/",
        ] {
            assert!(accessor_row("g", odd).is_none(), "{odd:?}");
        }
    }
}
