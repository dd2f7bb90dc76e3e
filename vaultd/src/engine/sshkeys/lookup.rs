//! What an agent needs to know: the key for a host, an account or a repository, and the keys of the host.

use std::collections::BTreeSet;

use serde_json::json;

use super::forge::Forge;
use super::key::Key;
use super::name::{self, Name};
use super::place::Place;
use super::servers::Server;
use super::target::Target;
use super::{index, known_hosts, show};
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;

/// What is to be opened.
struct Wanted {
    host: String,
    user: Option<String>,
    repository: Option<String>,
    write: bool,
}

pub(super) async fn lookup(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let body = ctx.body();
    let text = |field: &str| Ok::<_, Fault>(body.string(field)?.filter(|text| !text.is_empty()));
    let host = text("host")?.map(|host| name::host(&host)).transpose()?;
    let (name, others) = match (text("key")?, host.clone()) {
        (Some(key), _) => (Name::parse(&key)?, Vec::new()),
        (None, Some(host)) => {
            let wanted = Wanted {
                host,
                user: text("user")?.map(|user| name::account(&user)).transpose()?,
                repository: text("repository")?,
                write: body.bool("write")?.unwrap_or(false),
            };
            let mut found = candidates(&wanted, view).await?;
            if found.is_empty() {
                return Err(Fault::Missing);
            }
            (found.remove(0), found)
        }
        (None, None) => return Err(Fault::invalid("missing key, or host")),
    };
    let key = Key::find(view, &name).await?.ok_or(Fault::Missing)?;
    if key.retired {
        return Err(Fault::invalid("the key is retired: no target accepts it"));
    }
    let version = key.versions.get(&key.current).ok_or(Fault::Missing)?;
    let mut lines = Vec::new();
    for host in hosts_for(&key, host, view).await? {
        lines.extend(known_hosts::lines(view, &host).await?);
    }
    let others: Vec<&str> = others.iter().map(Name::as_str).collect();
    Ok(Reply::json(json!({
        "key": name.as_str(),
        "version": key.current,
        "public_key": show::line(&key, version),
        "known_hosts": lines,
        "others": others,
    })))
}

/// The hosts of the targets; a key without any is good for whatever host is asked for.
async fn hosts_for(
    key: &Key,
    host: Option<String>,
    view: &mut View<'_>,
) -> Result<BTreeSet<String>, Fault> {
    let hosts = hosts(key, view).await?;
    match host {
        None => Ok(hosts),
        Some(host) if hosts.is_empty() || hosts.contains(&host) => Ok(BTreeSet::from([host])),
        Some(_) => Err(Fault::invalid(
            "the key has no target at that host: add one, or use another key",
        )),
    }
}

/// The hosts of all targets, as known_hosts names them.
pub(super) async fn hosts(key: &Key, view: &mut View<'_>) -> Result<BTreeSet<String>, Fault> {
    let mut found = BTreeSet::new();
    for target in key.targets.values() {
        found.extend(host_of(&target.place, view).await?);
    }
    Ok(found)
}

async fn host_of(place: &Place, view: &mut View<'_>) -> Result<Option<String>, Fault> {
    Ok(match place {
        Place::Repository { forge, .. } => {
            let forge = Forge::find(view, forge).await?;
            forge.map(|forge| forge.destination().host())
        }
        Place::Server { server, user, .. } => {
            let server = Server::find(view, server).await?;
            server.map(|server| server.destination(user).host())
        }
        Place::Command { host, .. } => Some(host.clone()),
    })
}

/// Keys that are good there, the best first: proved before not yet proved, and with no more rights than
/// are needed.
async fn candidates(wanted: &Wanted, view: &mut View<'_>) -> Result<Vec<Name>, Fault> {
    let mut found = Vec::new();
    for directory in directories(wanted, view).await? {
        for name in index::names(&directory, view).await? {
            let Some(key) = Key::find(view, &name).await?.filter(|key| !key.retired) else {
                continue;
            };
            let mut best = None;
            for target in key.targets.values().filter(|target| !target.leaving) {
                let is_there = host_of(&target.place, view).await?.as_ref() == Some(&wanted.host);
                if is_there && let Some(access) = wanted.access(target) {
                    let rank = (!target.has_proved(key.current), access != wanted.write);
                    best = best.min(Some(rank)).or(Some(rank));
                }
            }
            found.extend(best.map(|rank| (rank, name)));
        }
    }
    found.sort();
    found.dedup();
    Ok(found.into_iter().map(|(_, name)| name).collect())
}

/// Where candidates are listed. A host that is no forge may have repositories too.
async fn directories(wanted: &Wanted, view: &mut View<'_>) -> Result<Vec<String>, Fault> {
    let mut found = Vec::new();
    if let Some(repository) = &wanted.repository {
        for forge in view.list("forges").await? {
            let at = Forge::find(view, &forge).await?;
            if at.is_some_and(|at| at.destination().host() == wanted.host) {
                found.push(index::of_repository(&forge, repository));
            }
        }
    }
    let Some(user) = wanted.user.as_deref().filter(|_| found.is_empty()) else {
        return Ok(found);
    };
    for server in view.list("servers").await? {
        let at = Server::find(view, &server).await?;
        if at.is_some_and(|at| at.destination(user).host() == wanted.host) {
            found.push(index::of_server(&server, user));
        }
    }
    found.push(index::of_command(&wanted.host, user));
    Ok(found)
}

impl Wanted {
    /// Whether the target lets one write; `None` if it is another one, or does not let one do what is
    /// wanted.
    fn access(&self, target: &Target) -> Option<bool> {
        match &target.place {
            Place::Repository {
                repository,
                read_only,
                ..
            } => {
                let wanted = self.repository.as_ref()?;
                let fits = repository.eq_ignore_ascii_case(wanted) && !(self.write && *read_only);
                fits.then_some(!read_only)
            }
            Place::Server { user, .. } | Place::Command { user, .. } => {
                (self.user.as_ref() == Some(user)).then_some(self.write)
            }
        }
    }
}
