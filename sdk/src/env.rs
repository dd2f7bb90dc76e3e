//! Settings from the environment: `BAO_*` first, then `VAULT_*`.

use std::path::PathBuf;
use std::time::Duration;

use crate::builder::read_file;
use crate::login::SecretId;
use crate::{Auth, Builder, Error, Secret};

/// Looks a variable up; a parameter so that tests need no real environment.
type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

impl Builder {
    /// The settings of [`crate::Client::from_env`].
    ///
    /// # Errors
    /// [`Error::Config`] names the variable that is wrong.
    pub fn from_env() -> Result<Self, Error> {
        Self::from_lookup(&|name| std::env::var(name).ok())
    }

    /// Adds the login of `VAULT_ROLE_ID` with `VAULT_SECRET_ID` or
    /// `VAULT_SECRET_ID_FILE` at `VAULT_APPROLE_MOUNT` (default `approle`),
    /// when a role id is set.
    #[must_use]
    pub fn login_from_env(self) -> Self {
        self.login_from_lookup(&|name| std::env::var(name).ok())
    }

    fn from_lookup(lookup: Lookup<'_>) -> Result<Self, Error> {
        let mut builder = Self::default();
        if let Some((_, addr)) = setting(lookup, "ADDR") {
            builder = builder.addr(addr);
        }
        if let Some((_, token)) = setting(lookup, "TOKEN") {
            builder = builder.token(token);
        } else if let Some((_, path)) = setting(lookup, "TOKEN_FILE") {
            builder = builder.token_file(path);
        }
        if let Some((_, pem)) = setting(lookup, "CACERT_BYTES") {
            builder = builder.ca_cert_pem(pem);
        } else if let Some((_, path)) = setting(lookup, "CACERT") {
            builder = builder.ca_cert_file(path);
        } else if let Some((_, path)) = setting(lookup, "CAPATH") {
            builder = builder.ca_folder(path);
        }
        builder = client_cert(builder, lookup)?;
        if let Some((name, skip)) = setting(lookup, "SKIP_VERIFY") {
            builder = builder.skip_verify(parse_bool(&name, &skip)?);
        }
        if let Some((_, name)) = setting(lookup, "TLS_SERVER_NAME") {
            builder = builder.tls_server_name(name);
        }
        if let Some((_, namespace)) = setting(lookup, "NAMESPACE") {
            builder = builder.namespace(namespace);
        }
        if let Some((name, limit)) = setting(lookup, "CLIENT_TIMEOUT") {
            builder = builder.timeout(parse_duration(&name, &limit)?);
        }
        if let Some((name, count)) = setting(lookup, "MAX_RETRIES") {
            let count = count
                .parse()
                .map_err(|_| Error::Config(format!("{name} must be a whole number")))?;
            builder = builder.max_retries(count);
        }
        Ok(builder)
    }

    fn login_from_lookup(self, lookup: Lookup<'_>) -> Self {
        let Some((_, role_id)) = setting(lookup, "ROLE_ID") else {
            return self;
        };
        let secret_id = match (
            setting(lookup, "SECRET_ID"),
            setting(lookup, "SECRET_ID_FILE"),
        ) {
            (Some((_, text)), _) => SecretId::Text(Secret::new(text)),
            (None, Some((_, path))) => SecretId::File(PathBuf::from(path)),
            (None, None) => SecretId::None,
        };
        let mount = setting(lookup, "APPROLE_MOUNT").map_or("approle".into(), |(_, mount)| mount);
        self.auth(Auth::AppRole {
            mount,
            role_id,
            secret_id,
        })
    }
}

fn client_cert(builder: Builder, lookup: Lookup<'_>) -> Result<Builder, Error> {
    match (
        setting(lookup, "CLIENT_CERT"),
        setting(lookup, "CLIENT_KEY"),
    ) {
        (Some((cert_name, cert)), Some((key_name, key))) => {
            let key = std::fs::read_to_string(&key).map_err(|cause| {
                Error::Config(format!("cannot read the file of {key_name}: {cause}"))
            })?;
            let what = format!("the file of {cert_name}");
            Ok(builder.client_cert(read_file(cert.as_ref(), &what)?, key))
        }
        (None, None) => Ok(builder),
        _ => Err(Error::Config(
            "VAULT_CLIENT_CERT and VAULT_CLIENT_KEY go together; set both or none".into(),
        )),
    }
}

/// The full name and the value; an empty variable counts as unset.
fn setting(lookup: Lookup<'_>, name: &str) -> Option<(String, String)> {
    ["BAO_", "VAULT_"].into_iter().find_map(|prefix| {
        let name = format!("{prefix}{name}");
        let value = lookup(&name).filter(|value| !value.is_empty())?;
        Some((name, value))
    })
}

fn parse_bool(name: &str, text: &str) -> Result<bool, Error> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(Error::Config(format!("{name} must be true or false"))),
    }
}

/// Seconds, or a number with a unit: `ms`, `s`, `m`, `h`.
fn parse_duration(name: &str, text: &str) -> Result<Duration, Error> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = match unit {
        "ms" => Some(1),
        "" | "s" => Some(1000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        _ => None,
    };
    number
        .parse::<u64>()
        .ok()
        .zip(factor)
        .and_then(|(number, factor)| number.checked_mul(factor))
        .map(Duration::from_millis)
        .ok_or_else(|| Error::Config(format!("{name} must be a time like 30s or 2m")))
}

#[cfg(test)]
#[expect(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn client(variables: &[(&str, &str)]) -> Result<crate::Client, Error> {
        let lookup = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Builder::from_lookup(&lookup)?
            .login_from_lookup(&lookup)
            .build()
    }

    #[test]
    fn bao_wins_over_vault_and_empty_counts_as_unset() {
        let client = client(&[
            ("VAULT_ADDR", "http://vault:8200"),
            ("BAO_ADDR", "http://bao:8200/"),
            ("BAO_TOKEN", ""),
            ("VAULT_TOKEN", "hvs.x"),
            ("VAULT_CLIENT_TIMEOUT", "90"),
            ("VAULT_MAX_RETRIES", "5"),
        ])
        .unwrap();
        assert_eq!(client.addr(), "http://bao:8200");
        assert_eq!(client.token().unwrap().expose(), "hvs.x");
        assert_eq!(client.inner.timeout, Duration::from_secs(90));
        assert_eq!(client.inner.max_retries, 5);
    }

    #[test]
    fn a_role_id_makes_a_login() {
        let client = client(&[
            ("VAULT_ADDR", "http://vault:8200"),
            ("VAULT_ROLE_ID", "rid"),
            ("VAULT_SECRET_ID_FILE", "/run/secret-id"),
            ("VAULT_APPROLE_MOUNT", "machines"),
        ])
        .unwrap();
        let Some(Auth::AppRole {
            mount,
            role_id,
            secret_id: SecretId::File(path),
        }) = &client.inner.auth
        else {
            panic!("no login");
        };
        assert_eq!((mount.as_str(), role_id.as_str()), ("machines", "rid"));
        assert_eq!(path, &PathBuf::from("/run/secret-id"));
    }

    #[test]
    fn wrong_variables_are_named_without_their_value() {
        for (name, value) in [
            ("VAULT_SKIP_VERIFY", "MARKER"),
            ("BAO_CLIENT_TIMEOUT", "MARKER"),
            ("VAULT_MAX_RETRIES", "MARKER"),
            ("VAULT_CLIENT_CERT", "MARKER"),
        ] {
            let failure = client(&[(name, value)]).err().unwrap().to_string();
            assert!(failure.contains(name), "{failure}");
            assert!(!failure.contains("MARKER"), "{failure}");
        }
    }

    #[test]
    fn times_have_units() {
        for (text, milliseconds) in [
            ("30", 30_000),
            ("30s", 30_000),
            ("2m", 120_000),
            ("1h", 3_600_000),
            ("250ms", 250),
        ] {
            assert_eq!(
                parse_duration("T", text).unwrap(),
                Duration::from_millis(milliseconds)
            );
        }
        for text in ["", "s", "-1s", "1d", "1.5s", "99999999999999999h"] {
            assert!(parse_duration("T", text).is_err(), "{text}");
        }
    }
}
