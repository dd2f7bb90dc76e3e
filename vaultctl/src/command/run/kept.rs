//! `run --cache`: secrets are kept encrypted on this host, so that the command starts while the server is
//! sealed or away, for as long as the server's own signed statement allows.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;
use vault_sdk::{Cache, Error, HostKey};

use super::fetch::{self, Paths, Read};
use crate::error::{Outcome, local};
use crate::output::clean;
use crate::session::Session;

#[derive(clap::Args)]
pub(crate) struct Keep {
    /// Keep the secrets on this host, encrypted, and start with them while the server does not answer.
    /// Only secrets with max_stale=DURATION in their custom metadata, or their engine's config, are kept
    #[arg(long, conflicts_with = "receipt")]
    cache: bool,
    /// Nothing older, whatever the server allows: 12h
    #[arg(long, value_name = "DURATION", requires = "cache", value_parser = duration)]
    max_stale: Option<Duration>,
    /// Wait this long for the server to answer and to be unsealed; with --cache only if nothing kept may
    /// be used
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    wait: Option<Duration>,
    #[command(flatten)]
    place: Place,
}

/// Where things are kept, and under which key.
#[derive(clap::Args)]
pub(crate) struct Place {
    /// A key in a file of mode 0600, made if missing [default: systemd's credential vaultd-bundle-key].
    /// Weaker: whoever copies the disk has the key too
    #[arg(long, value_name = "FILE")]
    cache_key: Option<PathBuf>,
    /// A key in the kernel's user keyring, made if missing. Never on a disk; gone after a reboot, and
    /// what was kept with it
    #[arg(
        long,
        value_name = "NAME",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "vaultd-bundle-key",
        conflicts_with = "cache_key"
    )]
    cache_keyring: Option<String>,
    /// Keep them here [default: $CACHE_DIRECTORY, else ~/.cache/vaultctl]
    #[arg(long, value_name = "DIR")]
    cache_dir: Option<PathBuf>,
}

impl Place {
    pub(crate) fn open(&self, session: &Session, max_stale: Option<Duration>) -> Outcome<Cache> {
        let no_key = |failure: Error| {
            let next = "without systemd, keep the key in the kernel: --cache-keyring, or in a file: --cache-key FILE";
            local(failure.to_string(), next)
        };
        let key = match (&self.cache_key, &self.cache_keyring) {
            (Some(file), _) => HostKey::from_file(file)?,
            (None, Some(name)) => HostKey::from_keyring(name)?,
            (None, None) => HostKey::from_credentials().map_err(no_key)?,
        };
        // One folder for each server: each has a signing key of its own.
        let address = session.client.addr();
        let server: String = address
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
            .collect();
        Ok(Cache::new(self.folder()?.join(server), key, max_stale)?)
    }

    fn folder(&self) -> Outcome<PathBuf> {
        if let Some(folder) = &self.cache_dir {
            return Ok(folder.clone());
        }
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        if let Some(folders) = set("CACHE_DIRECTORY") {
            return Ok(std::env::split_paths(&folders).take(1).collect());
        }
        let base = set("XDG_CACHE_HOME").map(PathBuf::from);
        let base = base.or_else(|| Some(PathBuf::from(set("HOME")?).join(".cache")));
        base.map(|base| base.join("vaultctl")).ok_or_else(|| {
            local(
                "there is no folder to keep secrets in",
                "name one: --cache-dir DIR, or set HOME",
            )
        })
    }
}

impl Keep {
    /// Without a cache there is nothing to start with before the server is unsealed.
    pub(super) async fn wait_for_unseal(&self, session: &Session) -> Outcome {
        match self.wait {
            Some(limit) if !self.cache => Ok(session.client.wait_for_unseal(limit).await?),
            _ => Ok(()),
        }
    }
}

/// Reads what the command needs, from the server or from what is kept.
pub(super) async fn all(
    session: &Session,
    wanted: &Paths,
    args: &Keep,
) -> Outcome<BTreeMap<String, Read>> {
    if !args.cache {
        return fetch::all(session, wanted).await;
    }
    let cache = args.place.open(session, args.max_stale)?;
    let asked: Vec<_> = wanted
        .iter()
        .map(|(path, version)| (path.clone(), *version))
        .collect();
    let deadline = Instant::now() + args.wait.unwrap_or_default();
    let obtained = loop {
        match session.client.read_or_kept(&cache, &asked).await {
            Ok(obtained) => break obtained,
            Err(failure @ Error::Cache(_)) if Instant::now() < deadline => {
                vault_sdk::wait_for_server(&failure).await;
            }
            Err(failure @ Error::Cache(_)) => return Err(failure.into()),
            // Asked one by one it says what is wrong; a server without bundles is used as ever.
            Err(_) => return fetch::all(session, wanted).await,
        }
    };
    if !obtained.refused.is_empty() {
        return fetch::all(session, wanted).await;
    }
    if let Some(reason) = &obtained.stale {
        eprintln!(
            "warning: {}: starting with secrets that were kept",
            clean(&reason.to_string())
        );
    }
    if let Some(reason) = &obtained.not_kept {
        eprintln!(
            "warning: not kept for an outage: {}",
            clean(&reason.to_string())
        );
    }
    let read = obtained.secrets.into_iter().filter_map(|(path, kept)| {
        let version = kept.version();
        match kept.into_values() {
            Value::Object(data) => Some((path, Read { data, version })),
            _ => None,
        }
    });
    Ok(read.collect())
}

pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().map(Duration::from_secs);
    let span = || text.parse::<jiff::SignedDuration>().ok();
    seconds
        .or_else(|| span().and_then(|span| Duration::try_from(span).ok()))
        .ok_or_else(|| "write a duration, such as 12h or 30m".to_owned())
}
