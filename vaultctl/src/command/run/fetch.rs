//! Reading what `run` needs: in one request, with one error for all that is missing.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use vault_sdk::proto::receipt::Signed;

use crate::command::kv;
use crate::error::{Failure, Outcome, local, remote};
use crate::mount::{Located, locate};
use crate::session::Session;

/// One secret as it was read.
pub(crate) struct Read {
    pub(crate) data: Map<String, Value>,
    /// 0 where the engine keeps no versions.
    pub(crate) version: u64,
}

/// By path, as people write it: `secret/app`; a version if not the newest one.
pub(crate) type Paths = BTreeMap<String, Option<u64>>;

/// Reads every path.
pub(crate) async fn all(session: &Session, wanted: &Paths) -> Outcome<BTreeMap<String, Read>> {
    gather(session, wanted, &mut None).await
}

/// Reads every path, and has the server sign which versions it gave.
pub(crate) async fn with_receipts(
    session: &Session,
    wanted: &Paths,
) -> Outcome<(BTreeMap<String, Read>, Vec<Signed>)> {
    let mut receipts = Some(Vec::new());
    let read = gather(session, wanted, &mut receipts).await?;
    match receipts.filter(|receipts| !receipts.is_empty()) {
        Some(receipts) => Ok((read, receipts)),
        None => Err(remote(
            "the server gives no receipts",
            "leave out --receipt, or ask its operators for a newer vaultd",
        )),
    }
}

async fn gather(
    session: &Session,
    wanted: &Paths,
    receipts: &mut Option<Vec<Signed>>,
) -> Outcome<BTreeMap<String, Read>> {
    let (mut found, mut problems) = (BTreeMap::new(), Vec::new());
    let mut places: Vec<(&String, Option<u64>, Located)> = Vec::new();
    for (path, version) in wanted {
        let known = places.iter().find_map(|(_, _, place)| place.of(path));
        let place = match known {
            Some(place) => Ok(place),
            None => locate(session, None, path).await,
        };
        match place.and_then(|place| version.map_or(Ok(()), |_| place.needs_v2()).map(|()| place)) {
            Ok(place) => places.push((path, *version, place)),
            Err(failure) => problems.push((path.clone(), failure)),
        }
    }
    let mut at_once = at_once(session, &places, receipts).await?;
    for (path, version, place) in places {
        let read = match at_once.remove(path) {
            Some(read) => Ok(read),
            // Alone it says why it failed.
            None => kv::fetch(session, &place, version)
                .await
                .map(|secret| Read {
                    version: secret.version(),
                    data: secret.data,
                }),
        };
        match read {
            Ok(read) => drop(found.insert(path.clone(), read)),
            Err(failure) => problems.push((path.clone(), failure)),
        }
    }
    match problems.is_empty() {
        true => Ok(found),
        false => Err(told(problems)),
    }
}

/// What one request for all of them answers; those that are refused or missing are left out.
async fn at_once(
    session: &Session,
    places: &[(&String, Option<u64>, Located)],
    receipts: &mut Option<Vec<Signed>>,
) -> Outcome<BTreeMap<String, Read>> {
    let mut found = BTreeMap::new();
    if places.is_empty() || (places.len() == 1 && receipts.is_none()) {
        return Ok(found);
    }
    let paths: Vec<_> = places
        .iter()
        .map(|(_, version, place)| (place.data(), *version))
        .collect();
    let asked = session.client.read_many(&paths, receipts.is_some()).await?;
    let Some(many) = asked else {
        return Ok(found);
    };
    if let Some(receipts) = receipts {
        receipts.extend(many.receipts);
    }
    for ((path, _, place), result) in places.iter().zip(many.results) {
        if let Some(read) = result.ok().and_then(|data| read(place, data)) {
            found.insert((*path).clone(), read);
        }
    }
    Ok(found)
}

fn read(place: &Located, mut data: Value) -> Option<Read> {
    let version = match place.version {
        2 => data["metadata"]["version"].as_u64()?,
        _ => 0,
    };
    let values = match place.version {
        2 => data["data"].take(),
        _ => data,
    };
    match values {
        Value::Object(data) => Some(Read { data, version }),
        _ => None,
    }
}

fn told(mut problems: Vec<(String, Failure)>) -> Failure {
    if problems.len() == 1
        && let Some((_, failure)) = problems.pop()
    {
        return failure;
    }
    problems.sort_by(|a, b| a.0.cmp(&b.0));
    let lines: Vec<_> = problems
        .iter()
        .map(|(path, failure)| format!("  {path}: {failure}"))
        .collect();
    local(
        format!(
            "{} secrets cannot be read:\n{}",
            lines.len(),
            lines.join("\n")
        ),
        "check the paths and your policies: vaultctl whoami",
    )
}
