//! How often something may happen within an hour. The counts are stored, so that they hold after a
//! restart and on every node.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::identifier::Identifier;
use super::problem::{Kind, Outcome, Problem};
use crate::barrier::View;
use crate::core::fault::Fault;

const FOLDER: &str = "acme/count";
const HOUR: i64 = 3600;
/// Rows removed in one transaction.
const AT_ONCE: usize = 20;

/// What is counted, and how much of it an hour has.
#[derive(Clone, Copy)]
pub(super) enum Limit {
    /// Of one address, without an external account binding.
    NewAccounts,
    /// Of one account.
    NewOrders,
}

/// Failures of one identifier of an account, and its identifiers that failed, within an hour.
const FAILURES: u32 = 5;
const FAILED_NAMES: usize = 100;

/// Orders of one account that are open at a time.
pub(super) const OPEN_ORDERS: usize = 100;

impl Limit {
    fn name(self) -> &'static str {
        match self {
            Limit::NewAccounts => "accounts",
            Limit::NewOrders => "orders",
        }
    }

    fn most(self) -> u32 {
        match self {
            Limit::NewAccounts => 50,
            Limit::NewOrders => 300,
        }
    }

    fn row(self, of: &str, now: Timestamp) -> String {
        row(self.name(), of, now)
    }

    /// Refuses what would be too much.
    pub(super) async fn check(self, of: &str, now: Timestamp, view: &mut View<'_>) -> Outcome<()> {
        let count: u32 = view.get(&self.row(of, now)).await?.unwrap_or(0);
        match count < self.most() {
            true => Ok(()),
            false => Err(limited(
                match self {
                    Limit::NewAccounts => {
                        "too many new accounts from this address within the hour; an external account binding is not limited"
                    }
                    Limit::NewOrders => "too many new orders of this account within the hour",
                },
                rest(now),
            )
            .into()),
        }
    }

    pub(super) async fn count(
        self,
        of: &str,
        now: Timestamp,
        view: &mut View<'_>,
    ) -> Result<(), Fault> {
        let row = self.row(of, now);
        let count: u32 = view.get(&row).await?.unwrap_or(0);
        Ok(view.put(&row, &count.saturating_add(1)).await?)
    }
}

fn row(kind: &str, of: &str, now: Timestamp) -> String {
    let of = vault_crypto::sha256(of.as_bytes());
    let hour = now.as_second().div_euclid(HOUR);
    format!("{FOLDER}/{hour:09}/{kind}-{}", hex::encode(of))
}

/// Seconds of the hour that are left.
fn rest(now: Timestamp) -> i64 {
    HOUR - now.as_second().rem_euclid(HOUR)
}

/// How often each identifier of an account failed for good.
type Failures = BTreeMap<String, u32>;

/// Refuses orders for what failed too often.
pub(super) async fn check_failures(
    account: &str,
    identifiers: &[Identifier],
    now: Timestamp,
    view: &mut View<'_>,
) -> Outcome<()> {
    let found: Failures = view
        .get(&row("failures", account, now))
        .await?
        .unwrap_or_default();
    let often = |identifier: &Identifier| {
        let name = identifier.proved().text();
        found.get(&name).is_some_and(|count| *count >= FAILURES)
    };
    if found.len() >= FAILED_NAMES || identifiers.iter().any(often) {
        let text = "too many validations failed within the hour: make them succeed, and come back";
        return Err(limited(text, rest(now)).into());
    }
    Ok(())
}

pub(super) async fn count_failure(
    account: &str,
    identifier: &Identifier,
    now: Timestamp,
    view: &mut View<'_>,
) -> Result<(), Fault> {
    let row = row("failures", account, now);
    let mut found: Failures = view.get(&row).await?.unwrap_or_default();
    if found.len() < 2 * FAILED_NAMES {
        *found.entry(identifier.proved().text()).or_default() += 1;
    }
    Ok(view.put(&row, &found).await?)
}

pub(super) fn limited(detail: &str, seconds: i64) -> Problem {
    Problem::new(Kind::RateLimited, detail).retry_after(seconds)
}

/// Forgets the counts of hours that are over; true if there is more.
pub(super) async fn tidy(now: Timestamp, view: &mut View<'_>) -> Result<bool, Fault> {
    let present = format!("{:09}", now.as_second().div_euclid(HOUR));
    let Some(first) = view.list(FOLDER).await?.into_iter().next() else {
        return Ok(false);
    };
    let hour = first.trim_end_matches('/');
    if hour >= present.as_str() {
        return Ok(false);
    }
    let counts = view.list(&format!("{FOLDER}/{hour}")).await?;
    for count in counts.iter().take(AT_ONCE) {
        view.delete(&format!("{FOLDER}/{hour}/{count}")).await?;
    }
    Ok(!counts.is_empty())
}
