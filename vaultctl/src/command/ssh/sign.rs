//! `ssh sign`: a certificate for a key that is there already.

use std::path::PathBuf;

use serde_json::{Map, Value};
use vault_sdk::Call;
use vault_ssh::Key;

use crate::atomic;
use crate::error::{Outcome, file, local, remote};
use crate::session::Session;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Role of the SSH CA that signs [default: VAULT_SSH_ROLE]
    #[arg(long, value_name = "NAME")]
    role: Option<String>,
    /// Where the SSH CA is mounted
    #[arg(long, default_value = "ssh", value_name = "PATH")]
    mount: String,
    /// User, or with --host the name of the host; may be repeated [default: the role's user]
    #[arg(long, value_name = "NAME")]
    principal: Vec<String>,
    /// How long the certificate is to be good [default: the role's]
    #[arg(long, value_name = "TIME")]
    ttl: Option<String>,
    /// Certificate of a host, not of a user
    #[arg(long)]
    host: bool,
    /// What sshd is to log, if the role allows to choose it
    #[arg(long, value_name = "TEXT")]
    key_id: Option<String>,
    /// Write the certificate here, or to stdout with - [default: beside the key]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The public key
    #[arg(value_name = "FILE.pub")]
    key: PathBuf,
}

pub(super) async fn run(session: &Session, args: Args) -> Outcome {
    let role = super::role(args.role)?;
    let text = std::fs::read_to_string(&args.key);
    let text = text.map_err(|error| file("read", &args.key, &error))?;
    if Key::from_line(&text).is_err() {
        return Err(local(
            format!("{} is no public key", args.key.display()),
            "name the .pub file of a key; the private key stays where it is",
        ));
    }
    let out = match args.out {
        Some(out) => out,
        None => beside(&args.key)?,
    };
    let mut asked = Map::new();
    asked.insert("public_key".into(), text.trim().into());
    if !args.principal.is_empty() {
        asked.insert("valid_principals".into(), args.principal.into());
    }
    if args.host {
        asked.insert("cert_type".into(), "host".into());
    }
    for (name, value) in [("ttl", args.ttl), ("key_id", args.key_id)] {
        if let Some(value) = value {
            asked.insert(name.into(), value.into());
        }
    }
    let path = super::below(&args.mount, &format!("sign/{role}"));
    let answer = session.send(Call::post(path, Value::Object(asked))).await?;
    let certificate = answer.data()["signed_key"].as_str().ok_or_else(|| {
        remote(
            "the answer holds no certificate",
            "check that an SSH CA is mounted there",
        )
    })?;
    if out.as_os_str() == "-" {
        return session.out.line(certificate.trim_end());
    }
    atomic::replace(&out, certificate.as_bytes(), 0o644)?;
    let serial = answer.data()["serial_number"].as_str().unwrap_or_default();
    let written = format!("Wrote {} (serial {serial} in hex)", out.display());
    session.out.done(&written)
}

/// Where ssh and sshd look for it.
fn beside(key: &std::path::Path) -> Outcome<PathBuf> {
    let name = key.file_name().and_then(|name| name.to_str());
    match name.and_then(|name| name.strip_suffix(".pub")) {
        Some(stem) => Ok(key.with_file_name(format!("{stem}-cert.pub"))),
        None => Err(local(
            format!("{} does not end in .pub", key.display()),
            "name the public key, or say with --out where the certificate goes",
        )),
    }
}
