//! Audit records that are committed with an effect, until they are durable elsewhere.

use std::sync::PoisonError;

use super::storage::{Engine, Item, Op, Storage, Txn};
use super::{Barrier, BarrierError, committer, envelope};

impl Barrier {
    /// Audit records that were committed with an effect and may have been lost elsewhere.
    ///
    /// Rows that do not open are counted, not an error: the secrets must stay reachable.
    pub async fn journalled(&self) -> Result<(Vec<Vec<u8>>, usize), BarrierError> {
        let keyring = self.shared.keyring.load();
        let mut text = Vec::new();
        let mut damaged = 0;
        for item in journal_rows(&self.shared.storage).await? {
            match envelope::open(&keyring, 0, &item.key, &item.val) {
                Ok((plain, _)) => text.extend_from_slice(&plain),
                Err(_) => damaged += 1,
            }
        }
        let lines = text.split(|byte| *byte == b'\n');
        let lines = lines.filter(|line| !line.is_empty());
        Ok((lines.map(<[u8]>::to_vec).collect(), damaged))
    }

    /// Drops every journal row: all of them are in the audit log now.
    pub async fn clear_journal(&self) -> Result<(), BarrierError> {
        let rows = journal_rows(&self.shared.storage).await?;
        let ops = rows.into_iter().map(|item| Op::Del(item.key)).collect();
        let txn = Txn {
            conds: Vec::new(),
            ops,
        };
        self.shared
            .storage
            .commit(vec![txn], Box::new(|_| Vec::new()))
            .await?;
        Ok(())
    }

    /// The audit ticket that the newest journal row waits for.
    pub fn journal_ticket(&self) -> Option<u64> {
        self.shared
            .journal
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .newest_ticket()
    }

    /// Audit records up to this ticket are durable: their journal rows go with the next commit.
    pub fn journal_durable(&self, ticket: u64) {
        self.shared
            .journal
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .durable(ticket);
    }
}

/// Oldest first.
async fn journal_rows(storage: &Engine) -> Result<Vec<Item>, BarrierError> {
    let (lo, hi) = ([committer::JOURNAL], [committer::JOURNAL + 1]);
    let mut rows: Vec<Item> = Vec::new();
    loop {
        let after = rows.last().map(|item| item.key.clone());
        let page = storage.scan(&lo, &hi, after.as_deref(), 1000).await?;
        rows.extend(page.items);
        if !page.more {
            return Ok(rows);
        }
    }
}

pub(super) async fn newest_journal(storage: &Engine) -> Result<u64, BarrierError> {
    let rows = journal_rows(storage).await?;
    let newest = rows
        .last()
        .and_then(|item| item.key.get(1..9)?.try_into().ok());
    Ok(newest.map_or(0, u64::from_be_bytes))
}
