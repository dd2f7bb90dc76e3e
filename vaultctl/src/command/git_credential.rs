//! `git-credential`: a credential helper of git (gitcredentials(7)) that hands out a token of a GitHub
//! App for the repository that git asks about. Nothing is kept: `store` and `erase` do nothing.

use std::collections::BTreeMap;
use std::io::Read;

use serde_json::json;
use vault_sdk::Call;

use crate::error::{Outcome, local, plain};
use crate::output;
use crate::session::{Session, text};

/// What git says is short.
const INPUT_MAX: u64 = 64 << 10;
/// The name does not matter to GitHub.
const USER: &str = "x-access-token";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The forge, as the sshkeys engine names it
    #[arg(long, value_name = "NAME")]
    forge: String,
    /// Answer for this host alone
    #[arg(long, value_name = "HOST", default_value = "github.com")]
    host: String,
    /// Let the token push, too
    #[arg(long)]
    write: bool,
    /// This repository, whatever git says
    #[arg(long, value_name = "OWNER/NAME")]
    repository: Option<String>,
    /// Where the sshkeys engine is mounted
    #[arg(long, default_value = "sshkeys", value_name = "PATH")]
    mount: String,
    /// Given by git
    #[arg(value_enum)]
    operation: Operation,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Operation {
    Get,
    Store,
    Erase,
}

pub(crate) async fn run(session: &Session, args: &Args) -> Outcome {
    let mut input = String::new();
    let read = std::io::stdin().take(INPUT_MAX).read_to_string(&mut input);
    read.map_err(|error| plain(format!("cannot read what git says: {error}")))?;
    let asked = fields(&input);
    let is_ours = asked.get("protocol") == Some(&"https")
        && asked
            .get("host")
            .is_some_and(|host| host.eq_ignore_ascii_case(&args.host));
    // Of other hosts another helper may know.
    if args.operation != Operation::Get || !is_ours {
        return Ok(());
    }
    let repository = match &args.repository {
        Some(repository) => repository.clone(),
        None => repository(&asked).ok_or_else(|| {
            local(
                "git does not say which repository it wants",
                format!(
                    "let it: git config --global credential.https://{}.useHttpPath true",
                    args.host
                ),
            )
        })?,
    };
    let level = if args.write { "write" } else { "read" };
    let body = json!({ "repository": repository, "permissions": { "contents": level } });
    let path = format!(
        "{}/forges/{}/token",
        args.mount.trim_matches('/'),
        args.forge
    );
    let answer = session.send(Call::post(path, body)).await?;
    let token = text(answer.data(), "token")?;
    if token.contains(['\n', '\0']) {
        return Err(plain("the server's token is none"));
    }
    let mut lines = format!("username={USER}\npassword={token}\n");
    let end = text(answer.data(), "expires_at").unwrap_or_default();
    if let Ok(end) = end.parse::<jiff::Timestamp>() {
        lines += &format!("password_expiry_utc={}\n", end.as_second());
    }
    output::stdout(lines.as_bytes())
}

/// `key=value` lines, up to an empty one.
fn fields(input: &str) -> BTreeMap<&str, &str> {
    let lines = input.lines().take_while(|line| !line.is_empty());
    lines.filter_map(|line| line.split_once('=')).collect()
}

/// `owner/name` from a path such as `owner/name.git/info/lfs`.
fn repository(asked: &BTreeMap<&str, &str>) -> Option<String> {
    let mut parts = asked.get("path")?.trim_matches('/').split('/');
    let (owner, name) = (parts.next()?, parts.next()?);
    let name = name.strip_suffix(".git").unwrap_or(name);
    (!owner.is_empty() && !name.is_empty()).then(|| format!("{owner}/{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_is_in_the_path() {
        let of = |path: &str| repository(&BTreeMap::from([("path", path)]));
        for path in [
            "org/app.git",
            "org/app",
            "/org/app.git/",
            "org/app.git/info/lfs",
        ] {
            assert_eq!(of(path).as_deref(), Some("org/app"), "{path}");
        }
        for path in ["", "org", "/", "org/", "org/.git"] {
            assert_eq!(of(path), None, "{path}");
        }
        assert_eq!(repository(&BTreeMap::new()), None);
        let input = fields("protocol=https\nhost=h\n\nhost=other\n");
        assert_eq!(input.get("host"), Some(&"h"));
    }
}
