//! `pki expiring`: what ends soon, of every mount that the caller may read.

use jiff::Timestamp;
use serde_json::{Value, json};
use vault_sdk::Call;

use crate::duration;
use crate::error::{Failure, Outcome, local, remote};
use crate::output::{Format, columns};
use crate::session::Session;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// What ends within this time
    #[arg(long, default_value = "30d", value_name = "TIME")]
    within: String,
    /// Of this mount alone [default: all that you may read]
    #[arg(long, value_name = "PATH")]
    mount: Option<String>,
    /// The same as --format json
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(session: &Session, args: &Args) -> Outcome {
    seconds(&args.within)?;
    let rows = collect(session, &args.within, args.mount.as_deref()).await?;
    if args.json || session.out.format != Format::Table {
        let mut out = session.out.clone();
        if args.json {
            out.format = Format::Json;
        }
        return out.document(&json!(rows));
    }
    if rows.is_empty() {
        return session
            .out
            .done(&format!("Nothing ends within {}.", args.within));
    }
    let now = Timestamp::now();
    let head = [
        "Ends",
        "Left",
        "What",
        "Mount",
        "Name",
        "Number",
        "Last error",
    ];
    let mut lines = vec![head.map(str::to_owned).to_vec()];
    for row in &rows {
        let cell = |key: &str| row[key].as_str().unwrap_or("").to_owned();
        let mut line = vec![cell("not_after"), left(row, now)];
        line.extend(["kind", "mount", "name", "serial_number", "last_error"].map(cell));
        lines.push(line);
    }
    session.out.line(columns(&lines).trim_end())
}

fn left(row: &Value, now: Timestamp) -> String {
    let end = row["not_after"]
        .as_str()
        .and_then(|text| text.parse::<Timestamp>().ok());
    let seconds = end.map_or(0, |end| end.as_second() - now.as_second());
    match u64::try_from(seconds) {
        Ok(0) | Err(_) => "over".to_owned(),
        Ok(seconds) if seconds >= 86_400 => format!("{}d", seconds / 86_400),
        Ok(seconds) => duration::show(seconds / 60 * 60),
    }
}

/// Sorted by their end; each has kind, mount, name and `not_after`.
pub(crate) async fn collect(
    session: &Session,
    within: &str,
    mount: Option<&str>,
) -> Outcome<Vec<Value>> {
    let mut mounts = mounts(session).await?;
    if let Some(wanted) = mount {
        let wanted = format!("{}/", wanted.trim_matches('/'));
        mounts.retain(|(path, _)| *path == wanted);
    }
    if mounts.is_empty() {
        return Err(local(
            "there is no authority there that you may see",
            "vaultctl secrets list; vaultctl secrets enable pki",
        ));
    }
    let mut all = Vec::new();
    let mut refused = None;
    for (path, kind) in &mounts {
        let found = match kind.as_str() {
            "acme" => obtained(session, path, within).await,
            _ => issued(session, path, within).await,
        };
        match found {
            Ok(rows) => all.extend(rows.into_iter().map(|mut row| {
                row["mount"] = path.as_str().into();
                row
            })),
            Err(Failure::Call(error)) if matches!(*error, vault_sdk::Error::Denied { .. }) => {
                refused = Some(Failure::Call(error));
            }
            Err(failure) => return Err(failure),
        }
    }
    match refused {
        Some(failure) if mounts.len() == 1 => return Err(failure),
        Some(_) => eprintln!("note: of some mounts your token may not read what ends"),
        None => {}
    }
    all.sort_by(|one, other| one["not_after"].as_str().cmp(&other["not_after"].as_str()));
    Ok(all)
}

/// Of an authority's mount.
async fn issued(session: &Session, mount: &str, within: &str) -> Outcome<Vec<Value>> {
    let call = Call::get(format!("{mount}expiring")).query("within", within);
    let answer = session.send(call).await?;
    session.out.warnings(&answer.body);
    let rows = answer.data()["certificates"].as_array();
    Ok(rows.cloned().unwrap_or_default())
}

/// Of a mount that has certificates from elsewhere.
async fn obtained(session: &Session, mount: &str, within: &str) -> Outcome<Vec<Value>> {
    let seconds = seconds(within)?;
    let call = Call::list(format!("{mount}certs")).accept(&[404]);
    let answer = session.send(call).await?;
    let until = Timestamp::now().as_second().saturating_add(seconds);
    let mut rows = Vec::new();
    for (name, info) in answer.data()["key_info"].as_object().into_iter().flatten() {
        let end = info["not_after"].as_str();
        let end = end.and_then(|text| text.parse::<Timestamp>().ok());
        // What was never obtained is of interest, too.
        if end.is_none_or(|end| end.as_second() <= until) {
            rows.push(json!({
                "kind": "acme",
                "name": name,
                "serial_number": info["serial_number"],
                "not_after": info["not_after"],
                "last_error": info["last_error"],
            }));
        }
    }
    Ok(rows)
}

/// `30d`, `12h`, `90m`, `60s`, or seconds.
fn seconds(text: &str) -> Outcome<i64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match &text[digits.len()..] {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 7 * 86_400,
        _ => 0,
    };
    let number = digits.parse::<i64>().ok().filter(|number| *number >= 0);
    match number.and_then(|number| number.checked_mul(factor)) {
        Some(seconds) if factor > 0 => Ok(seconds),
        _ => Err(local(
            format!("{text} is no time"),
            "write it like 30d, 12h or 90m",
        )),
    }
}

/// Mounts that have certificates, with their kind, as far as the caller sees them.
async fn mounts(session: &Session) -> Outcome<Vec<(String, String)>> {
    let answer = session.send(Call::get("sys/internal/ui/mounts")).await?;
    let Some(found) = answer.data()["secret"].as_object() else {
        return Err(remote(
            "the server does not say what is mounted",
            "check that VAULT_ADDR is the server itself",
        ));
    };
    let kind = |mount: &Value| mount["type"].as_str().unwrap_or_default().to_owned();
    let all = found
        .iter()
        .map(|(path, mount)| (path.clone(), kind(mount)));
    Ok(all
        .filter(|(_, kind)| matches!(kind.as_str(), "pki" | "acme"))
        .collect())
}
