//! What is due for a certificate, read from what is stored.

use super::account::{self, Account};
use super::cert::{self, Cert, Pair, Pending, Stage};
use super::dns::Provider;
use super::errand::{Errand, Task};
use super::name::Name;
use super::session::Access;
use super::trouble::Trouble;
use crate::barrier::View;
use crate::core::fault::Fault;

fn missing(what: &str, name: &Name) -> Task {
    Task::Impossible(Trouble::refused(
        format!("there is no {what} {} any more", name.as_str()),
        format!("write {what}/NAME again, or give the certificate another one"),
    ))
}

/// What is due for a certificate.
pub(super) async fn of_one(
    name: &Name,
    cert: Cert,
    now: jiff::Timestamp,
    view: &mut View<'_>,
) -> Result<Option<Errand>, Fault> {
    let mut lanes = vec![cert::row(name)];
    let cleans = cert
        .order
        .as_ref()
        .filter(|order| order.stage == Stage::Clean);
    let waits_until = cleans.map_or(cert.next, |order| order.clean_at);
    if waits_until > now || !(cert.is_busy() || cert.asks(now)) {
        return Ok(None);
    }
    let cleans = cleans.is_some();
    let found = Account::find(view, &cert.account).await?;
    let task = match found {
        _ if cleans => clean(&cert, view).await?,
        None => missing("account", &cert.account),
        Some(account) => match account.access()? {
            Some(access) => with_account(name, &cert, access, view).await?,
            None => {
                lanes.push(account::row(&cert.account));
                let (authority, asked) = account.registration()?;
                let account = cert.account.clone();
                Task::Register {
                    account,
                    authority,
                    asked: Box::new(asked),
                }
            }
        },
    };
    let cert = name.clone();
    Ok(Some(Errand { cert, task, lanes }))
}

async fn clean(cert: &Cert, view: &mut View<'_>) -> Result<Task, Fault> {
    let Some(order) = cert.order.clone() else {
        return Err(Fault::Internal("nothing to clean"));
    };
    let provider = match &order.dns {
        Some(dns) => Provider::find(view, dns).await?,
        None => None,
    };
    Ok(Task::Clean { provider, order })
}

async fn with_account(
    name: &Name,
    cert: &Cert,
    access: Access,
    view: &mut View<'_>,
) -> Result<Task, Fault> {
    let current = cert::pair_row(name, cert.current);
    let Some(order) = cert.order.clone() else {
        let pair: Option<Pair> = view.get(&current).await?;
        let chain = pair.map(|pair| pair.chain);
        return Ok(match (cert.wanted, chain) {
            (false, Some(chain)) => Task::Ask {
                access,
                version: cert.current,
                chain,
            },
            (_, replaces) => Task::Order {
                access,
                names: cert.names.clone(),
                key_type: cert.key_type,
                profile: cert.profile.clone(),
                replaces,
            },
        });
    };
    Ok(match order.stage {
        Stage::Answer => Task::Answer { access, order },
        Stage::Validate => Task::Validate { access, order },
        Stage::Clean => Task::Clean {
            provider: None,
            order,
        },
        Stage::Publish => match &order.dns {
            Some(dns) => match Provider::find(view, dns).await? {
                Some(provider) => Task::Publish { provider, order },
                None => missing("dns", dns),
            },
            None => Task::Impossible(
                Trouble::refused("no dns is set", "set dns of the certificate").of_order(),
            ),
        },
        Stage::Finish => {
            let pending: Option<Pending> = view.get(&cert::pending_row(name)).await?;
            match pending {
                Some(pending) => {
                    let names = cert.names.clone();
                    Task::Finish {
                        access,
                        order,
                        pending,
                        names,
                    }
                }
                None => Task::Impossible(
                    Trouble::passing("the order's key is gone", "nothing: a new order is made")
                        .of_order(),
                ),
            }
        }
    })
}
