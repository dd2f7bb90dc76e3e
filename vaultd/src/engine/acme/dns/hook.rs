//! A program that writes records. Only the server's config names programs; it is called without a shell,
//! as `PROGRAM add|remove NAME VALUE`, with nothing of our environment but PATH.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use super::Deed;
use crate::engine::acme::trouble::Trouble;

const PATIENCE: Duration = Duration::from_secs(120);

/// `name` and `value` hold nothing but letters, digits, `-`, `_` and dots: both are made of what was
/// checked, and of a hash in base64url.
pub(super) async fn run(
    hooks: &BTreeMap<String, PathBuf>,
    hook: &str,
    deed: Deed,
    name: &str,
    value: &str,
) -> Result<(), Trouble> {
    let Some(program) = hooks.get(hook) else {
        return Err(Trouble::refused(
            "the server's config has no such hook",
            "name the program in [acme.hooks] of the server's config, and start the server anew",
        ));
    };
    let word = match deed {
        Deed::Add => "add",
        Deed::Remove => "remove",
    };
    let mut command = Command::new(program);
    command.args([word, name, value]);
    command
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin");
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true);
    let hint = "run the hook by hand as `PROGRAM add _acme-challenge.NAME VALUE`; what it says on stderr is \
                in the server's log";
    match tokio::time::timeout(PATIENCE, command.status()).await {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(Trouble::passing(
            format!("the hook ends with {status} for {word} {name}"),
            hint,
        )),
        Ok(Err(error)) => Err(Trouble::refused(
            format!("the hook cannot be started: {}", error.kind()),
            "check the path in [acme.hooks] of the server's config, and that the server's user may run it",
        )),
        Err(_) => Err(Trouble::passing(
            "the hook was not done after two minutes, and was stopped",
            hint,
        )),
    }
}
