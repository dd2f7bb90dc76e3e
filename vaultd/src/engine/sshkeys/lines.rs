//! Lines for hosts that ask by their AuthorizedKeysCommand (sshd_config(5)).

use serde_json::json;

use super::authorized_keys::line;
use super::key::Key;
use super::name::{self, Name};
use super::place::Place;
use super::target::Step;
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;

const FOLDER: &str = "command";

fn row(host: &str, user: &str, key: &Name) -> String {
    format!("{FOLDER}/{host}/{user}/{}", key.as_str())
}

/// So that a host's keys are found without looking at all keys.
pub(super) async fn index(place: &Place, key: &Name, view: &mut View<'_>) -> Result<(), Fault> {
    match place {
        Place::Command { host, user, .. } => Ok(view.put(&row(host, user, key), &true).await?),
        _ => Ok(()),
    }
}

pub(super) async fn forget(place: &Place, key: &Name, view: &mut View<'_>) -> Result<(), Fault> {
    match place {
        Place::Command { host, user, .. } => Ok(view.delete(&row(host, user, key)).await?),
        _ => Ok(()),
    }
}

/// Every key that is good for that user there.
pub(super) async fn read(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let host = name::host(&ctx.body().required("host")?)?;
    let user = name::account(&ctx.body().required("user")?)?;
    let mut lines = Vec::new();
    for key in view.list(&format!("{FOLDER}/{host}/{user}")).await? {
        let Some(key) = Key::find(view, &Name::parse(&key)?).await? else {
            continue;
        };
        for target in key.targets.values() {
            let Place::Command {
                host: at,
                user: account,
                options,
            } = &target.place
            else {
                continue;
            };
            if (at, account) != (&host, &user) {
                continue;
            }
            for (number, held) in &target.held {
                let version = key.versions.get(number);
                let version = version.filter(|_| matches!(held.step, Step::Prove | Step::Keep));
                lines.extend(version.map(|v| line(options, &v.public, &v.marker)));
            }
        }
    }
    // As the command is to print them.
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    Ok(Reply::json(
        json!({ "lines": lines, "authorized_keys": text }),
    ))
}
