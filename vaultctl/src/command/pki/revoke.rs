//! `pki revoke`: a certificate that is not to be believed any more.

use std::path::PathBuf;

use serde_json::{Value, json};
use vault_sdk::Call;

use super::private_key;
use crate::certificate::leaf::{Leaf, certificates, der};
use crate::certificate::record::Records;
use crate::error::{Outcome, file, local};
use crate::output::Content;
use crate::prompt;
use crate::session::Session;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// As it is called on this machine
    #[arg(required_unless_present_any = ["serial", "cert"])]
    name: Option<String>,
    /// Its number: 0a:1b:…
    #[arg(long, value_name = "NUMBER", conflicts_with_all = ["name", "cert"])]
    serial: Option<String>,
    /// Its file; the role need not have stored it
    #[arg(long, value_name = "FILE", conflicts_with = "name")]
    cert: Option<PathBuf>,
    /// Prove with its private key that it is yours: needs no right to revoke those of others
    #[arg(long, value_name = "FILE")]
    own_key: Option<PathBuf>,
    /// Where the authority is mounted [default: pki, or where it is from]
    #[arg(long, value_name = "PATH")]
    mount: Option<String>,
    #[command(flatten)]
    records: Records,
}

pub(super) async fn run(session: &Session, args: Args) -> Outcome {
    let mut mount = args.mount;
    let mut body = json!({});
    let shown = match (&args.name, &args.serial, &args.cert) {
        (Some(name), _, _) => {
            let entry = args.records.open(name, None)?;
            let leaf = entry.record.installed.ok_or_else(|| {
                local(
                    format!("{name} is not installed"),
                    "give --serial NUMBER or --cert FILE",
                )
            })?;
            mount.get_or_insert(entry.record.spec.wish.mount);
            body["serial_number"] = leaf.serial.as_str().into();
            leaf.serial
        }
        (_, Some(serial), _) => {
            body["serial_number"] = serial.as_str().into();
            serial.clone()
        }
        (_, _, Some(path)) => {
            let text = std::fs::read_to_string(path).map_err(|error| file("read", path, &error))?;
            let first = certificates(&text).into_iter().next().ok_or_else(|| {
                local(
                    format!("{} holds no certificate", path.display()),
                    "name a file in PEM",
                )
            })?;
            let leaf = Leaf::from_der(&der(&first)?)?;
            body["certificate"] = first.into();
            leaf.serial
        }
        _ => String::new(),
    };
    let verb = match &args.own_key {
        Some(path) => {
            body["private_key"] = Value::String(private_key(path)?.to_string());
            "revoke-with-key"
        }
        None => "revoke",
    };
    prompt::confirm(session.yes, &format!("revoke {shown}"), &shown)?;
    let mount = mount.unwrap_or_else(|| "pki".to_owned());
    let path = format!("{}/{verb}", mount.trim_matches('/'));
    session.show(Call::post(path, body), Content::Open).await
}
