//! Where a key opens something.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::name::{self, Name};
use crate::core::body::Body;
use crate::core::fault::Fault;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Place {
    /// A deploy key of a repository.
    Repository {
        forge: String,
        repository: String,
        read_only: bool,
    },
    /// A line of a file on a server that vaultd edits.
    Server {
        server: String,
        user: String,
        /// Below the user's home, or absolute; `None` is the server's.
        path: Option<String>,
        /// In front of the key, as sshd(8) has them.
        options: String,
    },
    /// A host that asks vaultd by its AuthorizedKeysCommand.
    Command {
        /// As known_hosts names it.
        host: String,
        user: String,
        options: String,
    },
}

impl Place {
    pub(super) fn parse(body: &Body) -> Result<Place, Fault> {
        let text = |field: &str| Ok::<_, Fault>(body.string(field)?.filter(|t| !t.is_empty()));
        let options = options(text("options")?.unwrap_or_default())?;
        match (text("forge")?, text("server")?, text("host")?) {
            (Some(forge), None, None) => Ok(Place::Repository {
                forge: Name::parse(&forge)?.as_str().to_owned(),
                repository: name::repository(&body.required("repository")?)?,
                read_only: body.bool("read_only")?.unwrap_or(true),
            }),
            (None, Some(server), None) => Ok(Place::Server {
                server: Name::parse(&server)?.as_str().to_owned(),
                user: name::account(&body.required("user")?)?,
                path: text("path")?.map(path).transpose()?,
                options,
            }),
            (None, None, Some(host)) => Ok(Place::Command {
                host: name::host(&host)?,
                user: name::account(&body.required("user")?)?,
                options,
            }),
            _ => Err(Fault::invalid(
                "say where: forge and repository, or server and user, or host and user",
            )),
        }
    }

    pub(super) fn show(&self) -> Value {
        match self {
            Place::Repository {
                forge,
                repository,
                read_only,
            } => json!({
                "kind": "repository",
                "forge": forge,
                "repository": repository,
                "read_only": read_only,
            }),
            Place::Server {
                server,
                user,
                path,
                options,
            } => json!({
                "kind": "server",
                "server": server,
                "user": user,
                "path": path,
                "options": options,
            }),
            Place::Command {
                host,
                user,
                options,
            } => json!({
                "kind": "command",
                "host": host,
                "user": user,
                "options": options,
            }),
        }
    }

    /// For people, in one line.
    pub(super) fn text(&self) -> String {
        match self {
            Place::Repository {
                forge, repository, ..
            } => format!("{repository} at {forge}"),
            Place::Server { server, user, .. } => format!("{user} on {server}"),
            Place::Command { host, user, .. } => format!("{user} on {host} (command)"),
        }
    }

    /// Whether both open the same thing, so that one key can be there once.
    pub(super) fn is_same(&self, other: &Place) -> bool {
        match (self, other) {
            (
                Place::Repository {
                    forge, repository, ..
                },
                Place::Repository {
                    forge: other_forge,
                    repository: other_repository,
                    ..
                },
            ) => forge == other_forge && repository.eq_ignore_ascii_case(other_repository),
            (
                Place::Server {
                    server, user, path, ..
                },
                Place::Server {
                    server: other_server,
                    user: other_user,
                    path: other_path,
                    ..
                },
            ) => (server, user, path) == (other_server, other_user, other_path),
            (
                Place::Command { host, user, .. },
                Place::Command {
                    host: other_host,
                    user: other_user,
                    ..
                },
            ) => (host, user) == (other_host, other_user),
            _ => false,
        }
    }
}

/// One line of printable characters with closed quotes: nothing that would end the options early.
fn options(text: String) -> Result<String, Fault> {
    let mut inside = false;
    let mut escaped = false;
    for c in text.chars() {
        match c {
            _ if c.is_control() => inside = true,
            '"' if !escaped => inside = !inside,
            ' ' if !inside => {
                return Err(Fault::invalid(
                    "invalid options: a space outside of quotes ends them",
                ));
            }
            _ => {}
        }
        escaped = c == '\\';
    }
    let is_plain = text.chars().all(|c| !c.is_control());
    match is_plain && !inside && text.len() <= 2000 {
        true => Ok(text),
        false => Err(Fault::invalid(
            "invalid options: one line, separated by commas, with closed quotes",
        )),
    }
}

/// Of a file with keys.
pub(super) fn path(text: String) -> Result<String, Fault> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte);
    let dots = |part: &str| part == "." || part == "..";
    let odd = text.ends_with('/') || text.starts_with('-') || text.split('/').any(dots);
    match !text.is_empty() && text.len() <= 500 && text.bytes().all(fits) && !odd {
        true => Ok(text),
        false => Err(Fault::invalid(
            "invalid path: a file below the user's home, or an absolute path, of letters, digits, \
             '_', '-', '.' and '/', without '..'",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_end_where_they_seem_to_end() {
        for good in [
            "",
            "restrict",
            r#"restrict,command="git-shell -c \"$X\"""#,
            r#"from="a,b""#,
        ] {
            assert!(options(good.to_owned()).is_ok(), "{good}");
        }
        for odd in ["a b", "command=\"a", "a\nb", "\"a\\\"", "command=\"a\nb\""] {
            assert!(options(odd.to_owned()).is_err(), "{odd:?}");
        }
        for odd in ["", "a/", "../a", "a/../b", "-a", "a b", "a;b", "~/a", "./a"] {
            assert!(path(odd.to_owned()).is_err(), "{odd:?}");
        }
        assert!(path(".ssh/authorized_keys".to_owned()).is_ok());
    }
}
