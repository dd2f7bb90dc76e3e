//! What hosts need: lines for sshd_config and known_hosts, and files that a timer keeps fresh.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use vault_sdk::Call;

use crate::atomic::{Fresh, Looks, is_so};
use crate::error::{Outcome, local, remote};
use crate::output::Output;
use crate::session::Session;

const KEYS: &str = "trusted_user_ca_keys";
const LIST: &str = "revoked_keys";
const FOLDER: &str = "/etc/ssh/vaultd";

#[derive(clap::Args)]
pub(super) struct Trust {
    /// Where the SSH CA of the hosts is mounted
    #[arg(long, default_value = "ssh", value_name = "PATH")]
    mount: String,
    /// Its hosts: names with * and ?, separated by commas
    #[arg(value_name = "PATTERN")]
    hosts: String,
}

pub(super) async fn trust(session: &Session, args: Trust) -> Outcome {
    if args.hosts.is_empty()
        || args
            .hosts
            .contains(|c: char| c.is_whitespace() || c.is_control())
    {
        return Err(local(
            "there is a blank in the pattern",
            "separate patterns by commas",
        ));
    }
    for key in super::authorities(session, &args.mount).await? {
        session
            .out
            .line(&format!("@cert-authority {} {key}", args.hosts))?;
    }
    Ok(())
}

#[derive(clap::Args)]
pub(super) struct Config {
    /// The folder that `vaultctl ssh fetch` writes
    #[arg(long, default_value = FOLDER, value_name = "FOLDER")]
    dir: PathBuf,
    /// The certificate of the host's key, if it has one; may be repeated
    #[arg(long, value_name = "FILE")]
    host_certificate: Vec<PathBuf>,
}

pub(super) fn config(out: &Output, args: &Config) -> Outcome {
    let dir = args.dir.display();
    out.line(&format!("TrustedUserCAKeys {dir}/{KEYS}"))?;
    out.line(&format!("RevokedKeys {dir}/{LIST}"))?;
    for certificate in &args.host_certificate {
        out.line(&format!("HostCertificate {}", certificate.display()))?;
    }
    Ok(())
}

#[derive(clap::Args)]
pub(super) struct Fetch {
    /// Where the SSH CA of the users is mounted
    #[arg(long, default_value = "ssh", value_name = "PATH")]
    mount: String,
    /// Take a list of what is revoked that is older than the present one, too
    #[arg(long)]
    older: bool,
    /// The folder, which is made if it is not there
    #[arg(default_value = FOLDER, value_name = "FOLDER")]
    dir: PathBuf,
}

/// Both files are what was fetched now, or both are as they were.
pub(super) async fn fetch(session: &Session, args: Fetch) -> Outcome {
    let mut keys = super::authorities(session, &args.mount).await?.join("\n");
    keys.push('\n');
    let call = Call::get(super::below(&args.mount, "krl")).query("format", "base64");
    let list = super::public(session, call).await?;
    let list = STANDARD.decode(list.trim()).ok();
    let list = list.filter(|list| list.starts_with(b"SSHKRL\n\0"));
    let list = list.ok_or_else(|| {
        remote(
            "the list of what is revoked is none",
            "check that the address is that of vaultd",
        )
    })?;
    let present = std::fs::read(args.dir.join(LIST)).unwrap_or_default();
    if !args.older && version(&list) < version(&present) {
        return Err(remote(
            "the list of what is revoked is older than the present one: it may have forgotten something",
            "if the server was restored from a backup, revoke again what was revoked since; if the mount \
             is a new one, add --older",
        ));
    }
    std::fs::create_dir_all(&args.dir)
        .map_err(|error| crate::error::file("create", &args.dir, &error))?;
    // sshd reads them as root, and anybody may.
    let looks = Looks {
        mode: 0o644,
        ..Looks::default()
    };
    let mut fresh = Vec::new();
    for (name, content) in [(KEYS, keys.as_bytes()), (LIST, &list)] {
        let path = args.dir.join(name);
        if !is_so(&path, content, looks) {
            fresh.push(Fresh::write(&path, content, looks)?);
        }
    }
    let changed = fresh.len();
    for one in &mut fresh {
        one.put()?;
    }
    fresh.into_iter().for_each(Fresh::keep);
    session.out.done(match changed {
        0 => "Nothing changed.",
        _ => "Written. sshd reads both files at each login: it needs no reload.",
    })
}

/// Of a list (PROTOCOL.krl): after the magic and the version of the format. 0 if it is none.
fn version(list: &[u8]) -> u64 {
    let bytes = list.get(12..20).and_then(|bytes| bytes.try_into().ok());
    bytes.map_or(0, u64::from_be_bytes)
}
