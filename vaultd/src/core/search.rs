//! `sys/search`: names of secrets, below all folders at once.
//!
//! Promises: a name is told only if the caller may list its folder, and what is known of a secret only
//! if the caller may read its metadata: nothing that listing by hand would not show. Folders that
//! may be listed are found below ones that may not if a rule names their path. Work for one answer is
//! bounded; a cursor goes on. Not promised: one moment; each folder is listed as it is then.

mod filter;

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::caller::Caller;
use super::context::Ctx;
use super::fault::Fault;
use super::mount::{Kind, Mount};
use super::reply::Data;
use super::retry::ATTEMPTS;
use super::unsealed::Unsealed;
use crate::barrier::Window;
use crate::engine::kv2;
use crate::policy::{Acl, Ask, Capability, Limit};
use filter::Filter;

const RESULTS_MAX: usize = 1000;
/// Folders listed, and names looked at, for one answer.
const FOLDERS_MAX: usize = 1000;
const NAMES_MAX: usize = 50_000;

pub async fn search(vault: &Unsealed, ctx: &Ctx<'_>) -> Result<Data, Fault> {
    let caller = ctx.caller.ok_or(Fault::BadToken)?;
    let filter = Filter::parse(ctx.body())?;
    let mut walk = Walk {
        vault,
        caller,
        detailed: ctx.body().bool("detailed")?.unwrap_or(false),
        most: limit(ctx)?,
        cursor: ctx.body().string("cursor")?.unwrap_or_default(),
        filter,
        last: String::new(),
        folders: 0,
        names: 0,
        fresh: false,
        found: Vec::new(),
        info: Map::new(),
        stopped: None,
    };
    let mounts = vault.mounts.load_full();
    let kv = mounts
        .iter()
        .filter(|mount| matches!(mount.kind, Kind::Kv1 | Kind::Kv2));
    for mount in kv {
        if !walk.filter.mount(&mount.path) {
            continue;
        }
        walk.mount(mount).await?;
        if walk.stopped.is_some() {
            break;
        }
    }
    Ok(walk.answer())
}

fn limit(ctx: &Ctx<'_>) -> Result<usize, Fault> {
    let limit = ctx.body().int("limit")?.unwrap_or(0);
    let limit = usize::try_from(limit).map_err(|_| Fault::invalid("limit must not be negative"))?;
    Ok(if limit == 0 {
        RESULTS_MAX
    } else {
        limit.min(RESULTS_MAX)
    })
}

struct Walk<'a> {
    vault: &'a Unsealed,
    caller: &'a Caller,
    filter: Filter,
    detailed: bool,
    most: usize,
    /// Nothing up to this path is told again.
    cursor: String,
    /// The last entry that was looked at: a cursor.
    last: String,
    folders: usize,
    names: usize,
    /// A folder behind the cursor was listed.
    fresh: bool,
    found: Vec<String>,
    info: Map<String, Value>,
    /// Where to go on, if there is more.
    stopped: Option<String>,
}

impl Walk<'_> {
    /// Depth first, in the order of whole paths, so that a path is a cursor.
    async fn mount(&mut self, mount: &Mount) -> Result<(), Fault> {
        let named = named_folders(&self.caller.acl, mount);
        let mut open = vec![String::new()];
        while let Some(entry) = open.pop() {
            let whole = format!("{}{entry}", mount.path);
            let is_folder = entry.is_empty() || entry.ends_with('/');
            if is_folder && (self.is_behind(&whole) || !self.filter.reaches(&whole)) {
                continue;
            }
            if !is_folder && whole <= self.cursor {
                continue;
            }
            if (is_folder && self.is_spent()) || self.is_full() {
                self.stopped = Some(std::mem::take(&mut self.last));
                return Ok(());
            }
            self.last.clone_from(&whole);
            if is_folder {
                self.fresh |= whole > self.cursor;
                let children = self.children(mount, &entry, &named).await?;
                open.extend(children.into_iter().rev());
            } else {
                self.tell(mount, &entry, whole).await?;
            }
        }
        Ok(())
    }

    /// Whether all below a folder was told already.
    fn is_behind(&self, folder: &str) -> bool {
        folder < self.cursor.as_str() && !self.cursor.starts_with(folder)
    }

    /// Whether to stop before another folder. Never before one was listed that the cursor had not
    /// reached: otherwise large folders on the way to it would keep the search where it is.
    fn is_spent(&self) -> bool {
        let spent = self.folders >= FOLDERS_MAX || self.names >= NAMES_MAX;
        self.is_full() || (spent && self.fresh)
    }

    fn is_full(&self) -> bool {
        self.found.len() >= self.most
    }

    /// Entries of a folder, sorted, with the folders that rules name.
    async fn children(
        &mut self,
        mount: &Mount,
        folder: &str,
        named: &BTreeSet<String>,
    ) -> Result<BTreeSet<String>, Fault> {
        let below = named.iter().filter_map(|name| {
            let rest = name.strip_prefix(folder).filter(|rest| !rest.is_empty())?;
            let (first, _) = rest.split_once('/')?;
            Some(format!("{folder}{first}/"))
        });
        let mut children: BTreeSet<String> = below.collect();
        if !may_list(&self.caller.acl, mount, folder) {
            return Ok(children);
        }
        self.folders += 1;
        let listed = self.list(mount, folder).await?;
        self.names += listed.len();
        children.extend(listed.into_iter().map(|name| format!("{folder}{name}")));
        tokio::task::yield_now().await;
        Ok(children)
    }

    async fn list(&self, mount: &Mount, folder: &str) -> Result<Vec<String>, Fault> {
        let folder = folder.trim_end_matches('/');
        for _ in 0..ATTEMPTS {
            let mut tx = self.vault.barrier.begin();
            let mut view = tx.view(mount.number);
            let listed = match mount.kind {
                Kind::Kv2 => kv2::children(folder, &Window::default(), &mut view).await,
                _ => view.list(folder).await.map_err(Fault::from),
            };
            match listed {
                Err(Fault::Conflict) => tokio::task::yield_now().await,
                listed => return listed,
            }
        }
        Err(Fault::Internal("too many concurrent updates"))
    }

    async fn tell(&mut self, mount: &Mount, path: &str, whole: String) -> Result<(), Fault> {
        if !self.filter.matches(&whole) {
            return Ok(());
        }
        if self.detailed && mount.kind == Kind::Kv2 && may_read(&self.caller.acl, mount, path) {
            let mut tx = self.vault.barrier.begin();
            let mut view = tx.view(mount.number);
            if let Some(known) = kv2::known(path, &mut view).await? {
                self.info.insert(whole.clone(), known);
            }
        }
        self.found.push(whole);
        Ok(())
    }

    fn answer(self) -> Data {
        let mut map = Map::new();
        map.insert("keys".into(), self.found.into());
        if self.detailed {
            map.insert("key_info".into(), self.info.into());
        }
        map.insert("cursor".into(), self.stopped.unwrap_or_default().into());
        Data::Map(map)
    }
}

fn tree(mount: &Mount) -> String {
    match mount.kind {
        Kind::Kv2 => format!("{}metadata/", mount.path),
        _ => mount.path.clone(),
    }
}

fn may_list(acl: &Acl, mount: &Mount, folder: &str) -> bool {
    let path = format!("{}{folder}", tree(mount));
    let ask = Ask {
        limit: Limit::Max,
        ..Ask::new(&path, Capability::List)
    };
    acl.decide(&ask).allowed
}

fn may_read(acl: &Acl, mount: &Mount, path: &str) -> bool {
    let path = format!("{}{path}", tree(mount));
    acl.decide(&Ask::new(&path, Capability::Read)).allowed
}

/// Folders of a mount that rules name in plain text: where a walk may begin.
fn named_folders(acl: &Acl, mount: &Mount) -> BTreeSet<String> {
    let tree = tree(mount);
    let folder = |path: &str| {
        let plain = path.split(['+', '*']).next().unwrap_or_default();
        let below = plain.strip_prefix(&tree)?;
        // A rule for a list may be written without the trailing slash.
        let end = match plain.len() == path.len() {
            true => format!("{}/", below.trim_end_matches('/')),
            false => below[..below.rfind('/')? + 1].to_owned(),
        };
        (end != "/").then_some(end)
    };
    acl.rules()
        .iter()
        .filter(|rule| rule.capabilities.contains(Capability::List))
        .filter_map(|rule| folder(rule.pattern.as_str()))
        .collect()
}
