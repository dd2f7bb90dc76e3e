//! Lines for hosts that ask by their AuthorizedKeysCommand (sshd_config(5)).

use serde_json::json;

use super::authorized_keys::line;
use super::index;
use super::key::Key;
use super::name;
use super::place::Place;
use super::target::Step;
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;

/// Every key that is good for that user there.
pub(super) async fn read(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let host = name::host(&ctx.body().required("host")?)?;
    let user = name::account(&ctx.body().required("user")?)?;
    let mut lines = Vec::new();
    for name in index::names(&index::of_command(&host, &user), view).await? {
        let Some(key) = Key::find(view, &name).await? else {
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
