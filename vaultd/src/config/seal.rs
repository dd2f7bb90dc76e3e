//! The seal section, in both formats, and the environment that goes with it.
//!
//! `VAULT_TRANSIT_SEAL_*` wins over the file; the variables of every Vault client (`VAULT_ADDR`,
//! `VAULT_TOKEN`, …) fill in what neither of them says.

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::core::autoseal::{Hidden, TransitSettings};

/// As written. Fields are named as in Vault's `seal "transit"`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Section {
    r#type: Option<String>,
    address: Option<String>,
    token: Option<String>,
    token_file: Option<String>,
    key_name: Option<String>,
    mount_path: Option<String>,
    namespace: Option<String>,
    tls_ca_cert: Option<String>,
    tls_client_cert: Option<String>,
    tls_client_key: Option<String>,
    tls_server_name: Option<String>,
    tls_skip_verify: bool,
    disable_renewal: bool,
    disabled: bool,
}

/// Where a key of the HCL form goes.
pub enum Setting {
    Text(fn(&mut Section) -> &mut Option<String>),
    Flag(fn(&mut Section) -> &mut bool),
    /// It orders several seals; there is one here.
    Ignored,
}

impl Setting {
    pub fn named(name: &str) -> Option<Setting> {
        Some(match name {
            "address" => Setting::Text(|to| &mut to.address),
            "token" => Setting::Text(|to| &mut to.token),
            "token_file" => Setting::Text(|to| &mut to.token_file),
            "key_name" => Setting::Text(|to| &mut to.key_name),
            "mount_path" => Setting::Text(|to| &mut to.mount_path),
            "namespace" => Setting::Text(|to| &mut to.namespace),
            "tls_ca_cert" => Setting::Text(|to| &mut to.tls_ca_cert),
            "tls_client_cert" => Setting::Text(|to| &mut to.tls_client_cert),
            "tls_client_key" => Setting::Text(|to| &mut to.tls_client_key),
            "tls_server_name" => Setting::Text(|to| &mut to.tls_server_name),
            "tls_skip_verify" => Setting::Flag(|to| &mut to.tls_skip_verify),
            "disable_renewal" => Setting::Flag(|to| &mut to.disable_renewal),
            "disabled" => Setting::Flag(|to| &mut to.disabled),
            "name" | "priority" | "key_id_prefix" => Setting::Ignored,
            _ => return None,
        })
    }
}

impl Section {
    /// `None` if the section is disabled: the store then goes back to its shares.
    pub fn settings(self) -> Result<Option<TransitSettings>> {
        self.settings_with(|name| std::env::var(name).ok())
    }

    fn settings_with(
        self,
        env: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<TransitSettings>> {
        match self.r#type.as_deref() {
            None | Some("transit") => {}
            Some("shamir") => return Ok(None),
            Some(_) => bail!("seal.type: expected \"shamir\" or \"transit\""),
        }
        if self.disabled {
            return Ok(None);
        }
        let env = |name: &str| env(name).filter(|value| !value.is_empty());
        let pick = |own: &str, given: Option<String>, general: &str| {
            env(&format!("VAULT_TRANSIT_SEAL_{own}"))
                .or(given.filter(|given| !given.is_empty()))
                .or_else(|| env(general))
        };
        let is_true = |value: String| matches!(value.as_str(), "1" | "t" | "true" | "TRUE");
        let settings = TransitSettings {
            address: pick("ADDRESS", self.address, "VAULT_ADDR")
                .context("seal.address: the address of the transit server is missing")?,
            token_file: self.token_file.as_ref().map(Into::into),
            token: match self.token_file {
                Some(_) => None,
                None => pick("TOKEN", self.token, "VAULT_TOKEN")
                    .map(|token| Hidden(Zeroizing::new(token))),
            },
            key_name: pick("KEY_NAME", self.key_name, "")
                .context("seal.key_name: the name of the transit key is missing")?,
            mount_path: pick("MOUNT_PATH", self.mount_path, "").unwrap_or_else(|| "transit".into()),
            namespace: pick("NAMESPACE", self.namespace, "VAULT_NAMESPACE"),
            ca_cert: pick("CACERT", self.tls_ca_cert, "VAULT_CACERT").map(Into::into),
            client_cert: pick("CLIENT_CERT", self.tls_client_cert, "VAULT_CLIENT_CERT")
                .map(Into::into),
            client_key: pick("CLIENT_KEY", self.tls_client_key, "VAULT_CLIENT_KEY").map(Into::into),
            server_name: pick(
                "TLS_SERVER_NAME",
                self.tls_server_name,
                "VAULT_TLS_SERVER_NAME",
            ),
            skip_verify: self.tls_skip_verify
                || env("VAULT_TRANSIT_SEAL_SKIP_VERIFY").is_some_and(is_true),
            disable_renewal: self.disable_renewal
                || env("VAULT_TRANSIT_SEAL_DISABLE_RENEWAL").is_some_and(is_true),
        };
        if settings.token.is_none() && settings.token_file.is_none() {
            bail!("seal.token: missing; give token_file, or VAULT_TRANSIT_SEAL_TOKEN");
        }
        if settings.client_cert.is_some() != settings.client_key.is_some() {
            bail!("seal: tls_client_cert and tls_client_key belong together");
        }
        Ok(Some(settings))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used)]
    use super::*;

    fn section(text: &str) -> Section {
        toml::from_str(text).unwrap()
    }

    const WHOLE: &str = "address = 'https://a:1'\ntoken = 'hvs.written'\nkey_name = 'k'";

    #[test]
    fn the_environment_of_the_seal_wins_and_that_of_clients_fills_in() {
        let env = |name: &str| match name {
            "VAULT_TRANSIT_SEAL_KEY_NAME" => Some("other".to_owned()),
            "VAULT_TOKEN" => Some("client".to_owned()),
            "VAULT_CACERT" => Some("/ca".to_owned()),
            _ => None,
        };
        let found = section(WHOLE).settings_with(env).unwrap().unwrap();
        assert_eq!(found.key_name, "other");
        assert_eq!(found.token.as_ref().unwrap().0.as_str(), "hvs.written");
        assert_eq!(found.ca_cert.unwrap().to_str(), Some("/ca"));
        assert_eq!(found.mount_path, "transit");
    }

    #[test]
    fn what_is_missing_is_named_and_the_token_never_shown() {
        let none = |_: &str| None;
        for (without, named) in [
            ("address", "address"),
            ("token", "token"),
            ("key_name", "key_name"),
        ] {
            let kept = WHOLE.lines().filter(|line| !line.starts_with(without));
            let text = kept.collect::<Vec<_>>().join("\n");
            let error = section(&text).settings_with(none).unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
        let whole = section(WHOLE).settings_with(none).unwrap();
        assert!(!format!("{whole:?}").contains("hvs.written"), "{whole:?}");
        let off = format!("{WHOLE}\ndisabled = true");
        assert!(section(&off).settings_with(none).unwrap().is_none());
        assert!(toml::from_str::<Section>("key = 1").is_err());
    }
}
