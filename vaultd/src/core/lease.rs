//! Leases: what ends by itself, found by where it came from.
//!
//! Engines' are in `promise`. Every token that ends has one: `<path that issued it>/h<fingerprint>`. The id leads to the token
//! without a row of its own; the row that lists it is the one that lists its accessor, so that a
//! login costs no more rows, and unsealing reads none of them.

pub mod promise;

use std::collections::BTreeMap;
use std::sync::Weak;

use super::fault::Fault;
use super::mount::{MountTable, reserved};
use super::quota::Scope;
use super::retry::committed;
use super::revoke::revoke_all;
use super::token::{self, Token};
use super::unsealed::Unsealed;
use crate::barrier::{Cursor, Tx, Window};

pub fn id_of(fingerprint: &str, token: &Token) -> String {
    format!("{}/h{fingerprint}", token.path.trim_matches('/'))
}

/// The token's fingerprint in the name of an entry.
pub fn fingerprint(entry: impl AsRef<str>) -> Option<String> {
    entry.as_ref().strip_prefix('h').map(str::to_owned)
}

/// The token of a lease id, with its fingerprint.
pub async fn find(tx: &mut Tx, lease: &str) -> Result<Option<(String, Token)>, Fault> {
    let lease = lease.trim_start_matches('/');
    let fingerprint = lease.rsplit_once("/h").map(|(_, tail)| tail);
    let Some(fingerprint) = fingerprint.filter(|tail| token::is_fingerprint(tail)) else {
        return Ok(None);
    };
    let found = token::get(tx, fingerprint).await?;
    let found = found
        .filter(|token| token.expires.is_some())
        .filter(|token| id_of(fingerprint, token) == lease);
    Ok(found.map(|token| (fingerprint.to_owned(), token)))
}

/// Where the leases below a path are listed.
pub fn folder(prefix: &str) -> String {
    match prefix.trim_matches('/') {
        "" => "lease".to_owned(),
        prefix => format!("lease/{prefix}"),
    }
}

/// What is directly below a path: leases, and folders that end in `/`.
pub async fn list(tx: &mut Tx, prefix: &str, window: &Window) -> Result<Vec<String>, Fault> {
    let mut view = tx.view(reserved::TOKENS);
    Ok(view.list_within(&folder(prefix), window).await?)
}

/// Live leases for each mount's path. Reads every entry, a page at a time.
pub async fn count(tx: &mut Tx, mounts: &MountTable) -> Result<BTreeMap<String, u64>, Fault> {
    let mut counts = BTreeMap::new();
    let mut walk = Walk::below("");
    while let Some((folder, names)) = walk.next(tx).await? {
        let path = folder.strip_prefix("lease/").unwrap_or_default();
        let mount = mounts
            .resolve(&format!("{path}/"))
            .map(|(mount, _)| &mount.path);
        let mount = mount.map_or_else(|| path.to_owned(), Clone::clone);
        *counts.entry(mount).or_default() += names.len() as u64;
    }
    Ok(counts)
}

/// Live leases that a quota is about. Reads every entry below its mount, a page at a time.
pub async fn live(vault: &Unsealed, scope: &Scope) -> Result<u64, Fault> {
    let mut walk = Walk::below(&scope.mount);
    let mut live = 0;
    while let Some((folder, names)) = walk.next(&mut vault.barrier.begin()).await? {
        let path = folder.strip_prefix("lease/").unwrap_or_default();
        if !scope.has_path(path) {
            continue;
        }
        if scope.role.is_empty() {
            live += names.len() as u64;
            continue;
        }
        for fingerprint in names.iter().filter_map(|name| name.strip_prefix('h')) {
            let token = token::find_by_id(&vault.barrier, fingerprint).await?;
            live += u64::from(token.is_some_and(|token| token.role == scope.role));
        }
    }
    Ok(live)
}

/// A way through the tree of leases that holds one page of it.
pub(super) struct Walk {
    folders: Vec<(String, Cursor)>,
}

impl Walk {
    pub(super) fn below(prefix: &str) -> Walk {
        Walk {
            folders: vec![(folder(prefix), Cursor::default())],
        }
    }

    /// Some leases of one folder; `None` at the end.
    pub(super) async fn next(
        &mut self,
        tx: &mut Tx,
    ) -> Result<Option<(String, Vec<String>)>, Fault> {
        while let Some((folder, mut cursor)) = self.folders.pop() {
            // There may be a million of them, and others want to be served.
            tokio::task::yield_now().await;
            let names = tx.view(reserved::TOKENS).page(&folder, &mut cursor).await?;
            if names.is_empty() {
                continue;
            }
            self.folders.push((folder.clone(), cursor));
            let (mut leases, mut below) = (Vec::new(), Vec::new());
            for name in names {
                match name.strip_suffix('/') {
                    Some(name) => below.push((format!("{folder}/{name}"), Cursor::default())),
                    None => leases.push(name),
                }
            }
            self.folders.append(&mut below);
            if !leases.is_empty() {
                return Ok(Some((folder, leases)));
            }
        }
        Ok(None)
    }
}

/// The revocation of all leases below a path. The mark stays until it is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    pub mark: String,
    pub prefix: String,
}

fn mark_row(mark: &str) -> String {
    format!("ending/{mark}")
}

/// Writes the mark.
pub async fn begin(tx: &mut Tx, ending: &Ending) -> Result<(), Fault> {
    let row = mark_row(&ending.mark);
    Ok(tx.view(reserved::TOKENS).put(&row, &ending.prefix).await?)
}

/// What was begun and not finished.
pub async fn unfinished(tx: &mut Tx) -> Result<Vec<Ending>, Fault> {
    let mut view = tx.view(reserved::TOKENS);
    let mut found = Vec::new();
    for mark in view.list("ending").await? {
        if let Some(prefix) = view.get(&mark_row(&mark)).await? {
            found.push(Ending { mark, prefix });
        }
    }
    Ok(found)
}

/// Revokes until nothing is left of what was there at the start.
pub async fn end(vault: &Unsealed, ending: &Ending) -> Result<(), Fault> {
    let mut walk = Walk::below(&ending.prefix);
    while end_some(vault, &mut walk).await? {}
    finish(vault, ending).await
}

/// The same without anybody waiting: sealing interrupts it, and unsealing takes it up again.
pub async fn end_later(vault: Weak<Unsealed>, ending: Ending) {
    let mut walk = Walk::below(&ending.prefix);
    while let Some(vault) = vault.upgrade() {
        let outcome = match end_some(&vault, &mut walk).await {
            Ok(true) => continue,
            Ok(false) => finish(&vault, &ending).await,
            Err(fault) => Err(fault),
        };
        if let Err(fault) = outcome {
            tracing::warn!(%fault, "revoking leases: will be taken up at the next unseal");
        }
        return;
    }
}

async fn end_some(vault: &Unsealed, walk: &mut Walk) -> Result<bool, Fault> {
    let Some((folder, leases)) = walk.next(&mut vault.barrier.begin()).await? else {
        return Ok(false);
    };
    let fingerprints: Vec<String> = leases.iter().filter_map(fingerprint).collect();
    revoke_all(vault, &fingerprints).await?;
    promise::end_all(vault, promise::below(&folder, &leases)).await?;
    Ok(true)
}

async fn finish(vault: &Unsealed, ending: &Ending) -> Result<(), Fault> {
    committed!(vault, |tx| Ok(tx
        .view(reserved::TOKENS)
        .delete(&mark_row(&ending.mark))
        .await?))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used)]
    use super::*;
    use crate::barrier::bed::Bed;
    use crate::core::token::{TokenKeys, plus};
    use jiff::Timestamp;
    use vault_crypto::{Label, Seeded};

    async fn issue(bed: &Bed, keys: &TokenKeys, path: &str, seed: u64) -> String {
        let token = Token {
            path: path.to_owned(),
            expires: Some(plus(Timestamp::UNIX_EPOCH, 60)),
            ..Token::new(Timestamp::UNIX_EPOCH)
        };
        let mut tx = bed.barrier.begin();
        let random = Seeded::new(seed);
        let issued = keys.issue(&mut tx, token, None, &random).await.unwrap();
        tx.commit().await.unwrap();
        id_of(&issued.id, &issued.token)
    }

    fn keys(bed: &Bed) -> TokenKeys {
        let keyring = bed.barrier.keyring();
        TokenKeys::new(keyring.prf(Label::Token), keyring.purpose_key(Label::Batch))
    }

    #[tokio::test]
    async fn a_login_costs_four_rows_and_gives_them_all_back() {
        let bed = Bed::new().await;
        let keys = keys(&bed);
        issue(&bed, &keys, "auth/a/login", 1).await;
        let before = bed.rows().await.len();
        let lease = issue(&bed, &keys, "auth/a/login", 2).await;
        // The token, its lease, the entry that lists it, its end.
        assert_eq!(bed.rows().await.len() - before, 4);
        let mut tx = bed.barrier.begin();
        let (id, token) = find(&mut tx, &lease).await.unwrap().unwrap();
        token::remove(&mut tx, &id, &token).await.unwrap();
        token::finished(&mut tx, &id).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(bed.rows().await.len(), before);
    }

    #[tokio::test]
    async fn a_lease_is_found_by_its_whole_id_only() {
        let bed = Bed::new().await;
        let lease = issue(&bed, &keys(&bed), "auth/a/login", 1).await;
        let mut tx = bed.barrier.begin();
        assert!(find(&mut tx, &lease).await.unwrap().is_some());
        let tail = lease.rsplit_once('/').unwrap().1;
        for other in [
            format!("auth/b/login/{tail}"),
            format!("auth/a/{tail}"),
            tail.to_owned(),
            lease[..lease.len() - 1].to_owned(),
            lease.to_uppercase(),
            format!("{lease}/"),
            String::new(),
            "/h../../h".to_owned(),
        ] {
            assert!(find(&mut tx, &other).await.unwrap().is_none(), "{other:?}");
        }
    }

    #[tokio::test]
    async fn a_walk_meets_every_lease_once() {
        let bed = Bed::new().await;
        let keys = keys(&bed);
        let mut made = Vec::new();
        for seed in 0..600 {
            let path =
                ["auth/a/login", "auth/u/login/bob", "auth/u/login/bob/x"][seed as usize % 3];
            made.push(issue(&bed, &keys, path, seed).await);
        }
        let (mut met, mut walk) = (Vec::new(), Walk::below("auth"));
        let mut tx = bed.barrier.begin();
        while let Some((folder, names)) = walk.next(&mut tx).await.unwrap() {
            let path = folder.strip_prefix("lease/").unwrap();
            met.extend(names.into_iter().map(|name| format!("{path}/{name}")));
        }
        made.sort();
        met.sort();
        assert_eq!(met, made);
        assert_eq!(
            crate::core::accessors::list(&mut tx, &Window::default())
                .await
                .unwrap()
                .len(),
            600
        );
    }
}
