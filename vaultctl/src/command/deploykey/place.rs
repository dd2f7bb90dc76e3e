//! Where a key is to be good, from the command line.

use serde_json::{Value, json};

use crate::error::{Outcome, local};

#[derive(clap::Args)]
pub(super) struct Place {
    /// As a deploy key at this forge
    #[arg(long, value_name = "NAME", requires = "repository", conflicts_with_all = ["server", "host"])]
    forge: Option<String>,
    /// Of this repository: OWNER/NAME
    #[arg(long, value_name = "OWNER/NAME", requires = "forge")]
    repository: Option<String>,
    /// Let it push, too
    #[arg(long, requires = "forge")]
    write: bool,
    /// In the authorized_keys of a user on this server
    #[arg(long, value_name = "NAME", requires = "user", conflicts_with = "host")]
    server: Option<String>,
    /// For a host that asks with AuthorizedKeysCommand
    #[arg(long, value_name = "HOST", requires = "user")]
    host: Option<String>,
    /// The account there
    #[arg(long)]
    user: Option<String>,
    /// The file there [default: the server's]
    #[arg(long, requires = "server")]
    path: Option<String>,
    /// In front of the key there, as sshd(8) has them: restrict,command="…"
    #[arg(long, requires = "user")]
    options: Option<String>,
    /// Name of the target [default: made from the place]
    #[arg(long)]
    id: Option<String>,
}

impl Place {
    pub(super) fn is_none(&self) -> bool {
        self.forge.is_none() && self.server.is_none() && self.host.is_none()
    }

    /// The id of the target, and what says where it is.
    pub(super) fn body(&self) -> Outcome<(String, Value)> {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let user = text(&self.user);
        let (made, body) = match (&self.forge, &self.server, &self.host) {
            (Some(forge), ..) => {
                let repository = text(&self.repository);
                let body = json!({
                    "forge": forge,
                    "repository": repository,
                    "read_only": !self.write,
                });
                (format!("{forge}-{repository}"), body)
            }
            (_, Some(server), _) => {
                let mut body = json!({ "server": server, "user": user });
                if let Some(path) = &self.path {
                    body["path"] = path.clone().into();
                }
                (format!("{server}-{user}"), body)
            }
            (_, _, Some(host)) => (
                format!("{host}-{user}"),
                json!({ "host": host, "user": user }),
            ),
            _ => {
                return Err(local(
                    "where is the key to be good?",
                    "add --forge NAME --repository OWNER/NAME, --server NAME --user USER, or --host HOST --user USER",
                ));
            }
        };
        let mut body = body;
        if let Some(options) = &self.options {
            body["options"] = options.clone().into();
        }
        Ok((self.id.clone().unwrap_or_else(|| id_of(&made)), body))
    }
}

/// Of letters, digits, `.`, `_` and `-`, with neither of the last at an end.
fn id_of(text: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let id: String = text
        .chars()
        .map(|c| if fits(c) { c } else { '-' })
        .collect();
    id.trim_matches(['-', '.']).to_owned()
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_id_is_made_from_the_place() {
        for (text, id) in [
            ("github-org/app.js", "github-org-app.js"),
            ("[::1]:2222-git", "1--2222-git"),
        ] {
            assert_eq!(super::id_of(text), id);
        }
    }
}
