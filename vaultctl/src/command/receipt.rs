//! `receipt verify`: whether a server really signed which versions a job was given.

use std::path::PathBuf;

use serde_json::json;
use vault_crypto::PublicKey;
use vault_sdk::proto::receipt::{Receipt, Signed, message};

use super::audit::verify::public_key;
use crate::error::{Outcome, file, local};
use crate::lock_file::LockFile;
use crate::output::{Format, Output};

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Check the signature, and show what was given to whom; needs no server
    Verify(Verify),
}

#[derive(clap::Args)]
pub(crate) struct Verify {
    /// As `run --receipt` wrote it
    file: PathBuf,
    /// The server's public audit key, 64 hex digits, or a file with it: the server logs it when it is
    /// unsealed, and its audit log shows it in every checkpoint
    #[arg(long, value_name = "HEX|FILE")]
    key: String,
    /// Also check that these were the versions
    #[arg(long, value_name = "FILE")]
    lock: Option<PathBuf>,
}

pub(crate) fn run(out: &Output, command: Command) -> Outcome {
    let Command::Verify(args) = command;
    let text = std::fs::read_to_string(&args.file).map_err(|e| file("read", &args.file, &e))?;
    let signed: Vec<Signed> = serde_json::from_str(&text).map_err(|_| unreadable(&args))?;
    let key = PublicKey::from_bytes(&public_key(&args.key)?)
        .map_err(|error| local(error.to_string(), "give the key that the server logs"))?;
    let receipts = signed
        .iter()
        .map(|signed| open(signed, &key, &args))
        .collect::<Outcome<Vec<Receipt>>>()?;
    if receipts.is_empty() {
        return Err(unreadable(&args));
    }
    if let Some(path) = &args.lock {
        compare(&LockFile::read(path)?, &receipts)?;
    }
    show(out, &receipts)
}

fn unreadable(args: &Verify) -> crate::error::Failure {
    local(
        format!("{} is no receipt", args.file.display()),
        "give the file that run --receipt wrote",
    )
}

fn open(signed: &Signed, key: &PublicKey, args: &Verify) -> Outcome<Receipt> {
    let signature = hex::decode(&signed.signature).unwrap_or_default();
    key.verify(&message(&signed.receipt), &signature)
        .map_err(|_| {
            let next = match signed.key == hex::encode(key.as_bytes()) {
                true => "it was changed, or never signed: do not trust it",
                false => "it names another key: is this the right server's?",
            };
            local(
                format!("{}: this key has not signed that", args.file.display()),
                next,
            )
        })?;
    serde_json::from_str(&signed.receipt).map_err(|_| unreadable(args))
}

/// Locked versions are by people's path, receipts by the API's.
fn compare(lock: &LockFile, receipts: &[Receipt]) -> Outcome {
    let given = receipts.iter().flat_map(|receipt| &receipt.secrets);
    let mut other = Vec::new();
    for given in given {
        let locked = lock.secrets.iter().find(|(path, _)| {
            let parts = given.path.split_once("/data/");
            let plain = parts.map(|(mount, rest)| format!("{mount}/{rest}"));
            plain.as_ref() == Some(path)
        });
        match locked {
            Some((_, version)) if *version == given.version => {}
            Some((path, version)) => other.push(format!(
                "{path}: version {} was given, {version} is locked",
                given.version
            )),
            None => other.push(format!("{}: not locked", given.path)),
        }
    }
    match other.is_empty() {
        true => Ok(()),
        false => Err(local(other.join("\n"), "was another lock file in use?")),
    }
}

fn show(out: &Output, receipts: &[Receipt]) -> Outcome {
    if out.format != Format::Table {
        return out.document(&json!(receipts));
    }
    let mut lines = Vec::new();
    for receipt in receipts {
        lines.push(format!(
            "{}: given to {} by cluster {}, request {}",
            receipt.time, receipt.display_name, receipt.cluster, receipt.request_id
        ));
        let known = receipt.metadata.iter();
        lines.extend(known.map(|(name, value)| format!("  {name} = {value}")));
        let given = receipt.secrets.iter();
        lines.extend(given.map(|given| format!("  {} version {}", given.path, given.version)));
    }
    out.line(&lines.join("\n"))
}
