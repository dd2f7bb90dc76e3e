//! Certificates that end soon: of the CA file, of this machine, of the server, of its authorities.

use jiff::Timestamp;
use serde_json::Value;

use super::Check;
use crate::args::Globals;
use crate::certificate::install::chain_of;
use crate::certificate::leaf::Leaf;
use crate::certificate::probe::{Probe, Target};
use crate::certificate::record::Records;
use crate::command::pki::expiring;
use crate::session::{Session, setting};

const DAY: i64 = 86_400;
/// What is renewed by hand has to be thought of in time; what renews itself does so before this.
const SOON: i64 = 30 * DAY;
const NAME: &str = "ends";

/// The CA file, and what is installed on this machine.
pub(super) fn files(globals: &Globals) -> Vec<Check> {
    let mut checks = Vec::new();
    let path = globals.ca_cert.clone();
    if let Some(path) = path.or_else(|| setting("CACERT").map(Into::into))
        && let Ok(chain) = chain_of(&path)
    {
        let leaves = chain.iter().filter_map(|der| Leaf::from_der(der).ok());
        // Any of them may vouch for the server.
        if let Some(last) = leaves.max_by_key(|leaf| leaf.not_after) {
            let what = path.display().to_string();
            checks.push(judge(&what, &last, "get the server's CA file anew"));
        }
    }
    checks.extend(installed(&Records::at(None)));
    checks
}

fn installed(records: &Records) -> Vec<Check> {
    // Those of another user are his.
    let names = records.names().unwrap_or_default();
    let mut checks = Vec::new();
    for name in names {
        let Ok(Some(record)) = records.read(&name) else {
            continue;
        };
        let fix = format!("vaultctl pki renew {name}");
        match (&record.failure, &record.installed) {
            (Some(said), _) => checks.push(Check::warn(
                NAME,
                format!("{name}: the last try failed: {}", said.what),
                fix,
            )),
            (None, Some(leaf)) => checks.push(judge(&name, leaf, &fix)),
            (None, None) => {}
        }
    }
    checks
}

/// What the server shows, whoever vouches for it.
pub(super) async fn listener(address: &str) -> Option<Check> {
    let rest = address.strip_prefix("https://")?;
    let place = rest.split('/').next().unwrap_or_default();
    let with_port = match place.rsplit_once(':') {
        Some((_, port)) if port.parse::<u16>().is_ok() => place.to_owned(),
        _ => format!("{place}:443"),
    };
    let target: Target = with_port.parse().ok()?;
    let name = target.host().to_owned();
    let probe = Probe {
        targets: vec![target],
        ..Probe::default()
    };
    let seen = probe.look(&name).await.ok()?;
    let chains = seen.iter().filter_map(|seen| seen.chain.as_ref().ok());
    let leaves = chains.filter_map(|chain| Leaf::from_der(chain.first()?).ok());
    let first = leaves.min_by_key(|leaf| leaf.not_after)?;
    let fix = "give the listener a new certificate, and send vaultd SIGHUP";
    Some(judge("the server's certificate", &first, fix))
}

/// Authorities, and certificates that the server keeps renewed, as far as the token may read them.
pub(super) async fn authorities(session: &Session) -> Vec<Check> {
    if session.client.token().is_none() {
        return Vec::new();
    }
    let Ok(rows) = expiring::collect(session, "30d", None).await else {
        return Vec::new();
    };
    // Leaves are for those who hold them.
    let ours = rows.iter().filter(|row| row["kind"] != "certificate");
    ours.filter_map(authority).collect()
}

fn authority(row: &Value) -> Option<Check> {
    let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
    let what = format!("{}{}", text("mount"), text("name"));
    match (row["kind"].as_str(), text("last_error").as_str()) {
        (Some("issuer"), _) => Some(Check::warn(
            NAME,
            format!("the issuer {what} ends {}", text("not_after")),
            "make another one, and let it become the default: root/rotate, intermediate/generate",
        )),
        (_, "") => None,
        (_, error) => Some(Check::warn(
            NAME,
            format!("{what}: the last renewal failed: {error}"),
            format!("vaultctl read {}certs/{}", text("mount"), text("name")),
        )),
    }
}

fn judge(what: &str, leaf: &Leaf, fix: &str) -> Check {
    let now = Timestamp::now().as_second();
    let life = leaf.not_after.as_second() - leaf.not_before.as_second();
    let left = leaf.not_after.as_second() - now;
    let text = format!("{what} ends {}", leaf.not_after);
    match left {
        ..=0 => Check::fail(NAME, format!("{what} ended {}", leaf.not_after), fix),
        left if left < SOON.min(life / 4) => Check::warn(NAME, text, fix),
        _ => Check::pass(NAME, text),
    }
}
