//! Which mount a path belongs to, and where KV keeps things below it.

use serde_json::Value;
use vault_sdk::Call;

use crate::error::{Failure, Outcome, remote};
use crate::session::{Session, text};

/// A path, split at its mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Located {
    /// With its trailing slash.
    pub(crate) mount: String,
    /// KV version: 1 or 2.
    pub(crate) version: u8,
    /// Below the mount, no slash at either end; may be empty.
    pub(crate) rest: String,
}

impl Located {
    /// The API path of a KV v2 sub-tree (`data`, `metadata`, `delete`, …).
    pub(crate) fn v2(&self, tree: &str) -> String {
        format!("{}{tree}/{}", self.mount, self.rest)
    }

    /// Where the values are.
    pub(crate) fn data(&self) -> String {
        if self.version == 2 {
            self.v2("data")
        } else {
            self.plain()
        }
    }

    /// Where folders are listed.
    pub(crate) fn folder(&self) -> String {
        let path = if self.version == 2 {
            self.v2("metadata")
        } else {
            self.plain()
        };
        format!("{}/", path.trim_end_matches('/'))
    }

    /// Mount and path as people write them.
    pub(crate) fn plain(&self) -> String {
        format!("{}{}", self.mount, self.rest)
    }

    /// Another path of the same mount.
    pub(crate) fn at(&self, rest: impl Into<String>) -> Self {
        Self {
            rest: rest.into(),
            ..self.clone()
        }
    }

    /// `path` in this mount, if it is in there: mounts do not nest.
    pub(crate) fn of(&self, path: &str) -> Option<Self> {
        let rest = path.strip_prefix(&self.mount).filter(|r| !r.is_empty())?;
        let pasted =
            self.version == 2 && (rest.starts_with("data/") || rest.starts_with("metadata/"));
        (!pasted).then(|| self.at(rest))
    }

    /// Refuses verbs that only KV v2 knows.
    pub(crate) fn needs_v2(&self) -> Outcome {
        if self.version == 2 {
            return Ok(());
        }
        Err(remote(
            format!("{} is KV version 1, which keeps no versions", self.mount),
            "mount a version 2 engine and copy it there: vaultctl secrets enable --path NEW kv-v2",
        ))
    }
}

/// Finds the mount of `path`; with `mount`, `path` is taken literally below it.
pub(crate) async fn locate(session: &Session, mount: Option<&str>, path: &str) -> Outcome<Located> {
    let path = path.trim_matches('/');
    let whole = match mount {
        Some(mount) => format!("{}/{path}", mount.trim_matches('/')),
        None => path.to_owned(),
    };
    let asked = mount.map_or(whole.as_str(), |m| m.trim_matches('/'));
    let (found, version) = preflight(session, asked).await?;
    let rest = format!("{whole}/");
    let rest = rest.strip_prefix(&found).unwrap_or(&rest).trim_matches('/');
    let located = Located {
        mount: found,
        version,
        rest: rest.to_owned(),
    };
    let pasted = version == 2 && mount.is_none() && !session.face.is_compat();
    Ok(if pasted {
        without_api_part(located)
    } else {
        located
    })
}

/// `secret/data/app` is the API's path; people paste it, and mean `secret/app`.
fn without_api_part(located: Located) -> Located {
    let parts = ["data/", "metadata/"];
    match parts
        .iter()
        .find_map(|part| located.rest.strip_prefix(part))
    {
        Some(rest) => {
            let mount = located.mount.trim_end_matches('/');
            eprintln!(
                "note: read as {mount}/{rest}; a secret whose name really starts so needs --mount {mount}"
            );
            located.at(rest)
        }
        None => located,
    }
}

async fn preflight(session: &Session, path: &str) -> Outcome<(String, u8)> {
    let call = Call::get(format!("sys/internal/ui/mounts/{path}"));
    let answer = match session.send(call).await {
        Ok(answer) => answer,
        // Servers without this endpoint have KV v1 only; the first part is the mount.
        Err(Failure::Call(e)) if matches!(*e, vault_sdk::Error::NotFound { .. }) => {
            let first = path.split('/').next().unwrap_or(path);
            return Ok((format!("{first}/"), 1));
        }
        Err(Failure::Call(e)) if matches!(*e, vault_sdk::Error::Denied { .. }) => {
            return Err(remote(
                format!("no mount that your token may use holds {path}"),
                "vaultctl secrets list shows the mounts, vaultctl token lookup your policies",
            ));
        }
        Err(other) => return Err(other),
    };
    let data = answer.data();
    let mount = text(data, "path")?.trim_matches('/');
    let version = data
        .get("options")
        .and_then(|o| o.get("version"))
        .and_then(Value::as_str);
    Ok((
        format!("{mount}/"),
        if version == Some("2") { 2 } else { 1 },
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn located(version: u8, rest: &str) -> Located {
        Located {
            mount: "secret/".into(),
            version,
            rest: rest.into(),
        }
    }

    #[test]
    fn version_two_keeps_values_and_folders_in_sub_trees() {
        assert_eq!(located(2, "a/b").data(), "secret/data/a/b");
        assert_eq!(located(2, "a/b").folder(), "secret/metadata/a/b/");
        assert_eq!(located(2, "").folder(), "secret/metadata/");
        assert_eq!(located(1, "a/b").data(), "secret/a/b");
        assert_eq!(located(1, "").folder(), "secret/");
    }

    #[test]
    fn a_pasted_api_path_loses_its_api_part_once() {
        assert_eq!(without_api_part(located(2, "data/app")).rest, "app");
        assert_eq!(
            without_api_part(located(2, "data/data/app")).rest,
            "data/app"
        );
        assert_eq!(
            without_api_part(located(2, "database/app")).rest,
            "database/app"
        );
    }

    #[test]
    fn versions_need_version_two() {
        assert!(located(1, "a").needs_v2().is_err());
        assert!(located(2, "a").needs_v2().is_ok());
    }
}
