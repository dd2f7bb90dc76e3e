//! Mounting engines and methods.

use serde_json::{Map, Value, json};
use vault_crypto::uuid_v4;

use super::tune;
use crate::barrier::Tx;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::lease::{self, Ending};
use crate::core::mount::{self, Kind, Mount, parse_path, reserved};
use crate::core::reply::{After, Reply};
use crate::core::unsealed::Unsealed;

/// `sys/mounts` or `sys/auth`: one table, two faces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    Engines,
    Methods,
}

impl Table {
    fn has(self, mount: &Mount) -> bool {
        mount.kind.is_auth() == (self == Table::Methods)
    }

    /// The full path of a mount that a request names.
    pub fn path(self, ctx: &Ctx<'_>) -> Result<String, Fault> {
        let path = parse_path(ctx.param("path"))?;
        Ok(match self {
            Table::Engines => path,
            Table::Methods => format!("auth/{path}"),
        })
    }

    /// Types that can be mounted, of those that clients of Vault may ask about.
    pub fn types(self) -> Vec<&'static str> {
        const ASKED: [&str; 17] = [
            "approle",
            "cert",
            "gcp",
            "github",
            "jwt",
            "kubernetes",
            "ldap",
            "oidc",
            "userpass",
            "aws",
            "database",
            "kv",
            "pki",
            "rabbitmq",
            "ssh",
            "totp",
            "transit",
        ];
        let known = |name: &&str| self.kind(name, None).is_some();
        ASKED.into_iter().filter(known).collect()
    }

    fn known(self) -> &'static str {
        match self {
            Table::Engines => {
                "\"kv\" (version 1 or 2), \"kv-v1\", \"kv-v2\", \"transit\", \"totp\", \"pki\", \"ssh\" or \"sshkeys\""
            }
            Table::Methods => {
                "\"approle\", \"userpass\", \"ldap\", \"jwt\", \"oidc\", \"kubernetes\", \"github\", \"gcp\", \"cert\" or \"ssh\""
            }
        }
    }

    fn kind(self, name: &str, version: Option<&str>) -> Option<Kind> {
        match (self, name, version) {
            (Table::Engines, "kv" | "generic", None | Some("" | "1")) => Some(Kind::Kv1),
            (Table::Engines, "kv", Some("2")) | (Table::Engines, "kv-v2", _) => Some(Kind::Kv2),
            (Table::Engines, "kv-v1", _) => Some(Kind::Kv1),
            (Table::Engines, "transit", _) => Some(Kind::Transit),
            (Table::Engines, "totp", _) => Some(Kind::Totp),
            (Table::Engines, "ssh", _) => Some(Kind::SshCa),
            (Table::Engines, "sshkeys", _) => Some(Kind::SshKeys),
            (Table::Engines, "acme", _) => Some(Kind::Acme),
            (Table::Engines, "pki", _) => Some(Kind::Pki),
            (Table::Methods, "approle", _) => Some(Kind::Approle),
            (Table::Methods, "userpass", _) => Some(Kind::Userpass),
            (Table::Methods, "jwt", _) => Some(Kind::Jwt),
            (Table::Methods, "oidc", _) => Some(Kind::Oidc),
            (Table::Methods, "kubernetes", _) => Some(Kind::Kubernetes),
            (Table::Methods, "github", _) => Some(Kind::Github),
            (Table::Methods, "gcp", _) => Some(Kind::Gcp),
            (Table::Methods, "cert", _) => Some(Kind::Cert),
            (Table::Methods, "ssh", _) => Some(Kind::Ssh),
            (Table::Methods, "ldap", _) => Some(Kind::Ldap),
            _ => None,
        }
    }
}

pub fn list(vault: &Unsealed, table: Table) -> Result<Reply, Fault> {
    let mounts = vault.mounts.load();
    let shown: Map<String, Value> = mounts
        .iter()
        .filter(|mount| table.has(mount))
        .map(|mount| (mount.name().to_owned(), mount.show()))
        .collect();
    Ok(Reply::map(shown).top_level())
}

pub fn read(vault: &Unsealed, ctx: &Ctx<'_>, table: Table) -> Result<Reply, Fault> {
    let mounts = vault.mounts.load();
    // A method is at its full path among the mounts too: clients read it there, without sudo.
    let mount = mounts
        .get(&table.path(ctx)?)
        .filter(|mount| table == Table::Engines || table.has(mount));
    let text = || match table {
        Table::Engines => "No secret engine mount at ",
        Table::Methods => "No auth engine at ",
    };
    let mount = mount.ok_or_else(|| Fault::invalid(format!("{}{}/", text(), ctx.param("path"))))?;
    Ok(Reply::json(mount.show()).top_level())
}

pub async fn enable(
    vault: &Unsealed,
    ctx: &Ctx<'_>,
    tx: &mut Tx,
    table: Table,
) -> Result<Reply, Fault> {
    let path = table.path(ctx)?;
    let body = ctx.body();
    let options = body.strings("options")?;
    let version = options
        .as_ref()
        .and_then(|options| options.get("version"))
        .map(String::as_str);
    let name = match body.string("type")?.filter(|name| !name.is_empty()) {
        Some(name) => name,
        None => body.string("plugin_name")?.unwrap_or_default(),
    };
    let kind = table.kind(&name, version);
    let kind = kind.ok_or_else(|| {
        Fault::invalid(format!(
            "plugin not found in the catalog: \"type\" must be {}",
            table.known()
        ))
    })?;
    if table == Table::Engines
        && ["auth/", "sys/", "cubbyhole/", "identity/"]
            .iter()
            .any(|own| path.starts_with(own))
    {
        return Err(Fault::invalid(format!(
            "cannot mount at {path:?}: the path is reserved"
        )));
    }
    refuse_taken(vault, &path)?;
    let mut view = tx.view(reserved::MOUNTS);
    let number = mount::next_number(&mut view).await?;
    let description = body.string("description")?.unwrap_or_default();
    let mut new = Mount::new(number, kind, &path, &description, ctx.random);
    if let Some(options) = options {
        new.options.get_or_insert_default().extend(options);
    }
    new.local = body.bool("local")?.unwrap_or(false);
    new.seal_wrap = body.bool("seal_wrap")?.unwrap_or(false);
    new.external_entropy_access = body.bool("external_entropy_access")?.unwrap_or(false);
    if let Some(config) = body.map("config")? {
        tune::apply(&mut new, &tune::as_body(config))?;
    }
    // What another transaction mounted meanwhile makes this one conflict: see `mount::store`.
    mount::store(&mut view, &new).await?;
    Ok(Reply {
        after: Some(After::Mounts {
            purge: None,
            ending: None,
            told: told(&new, &path, "mount"),
        }),
        ..Reply::none()
    })
}

/// Whoever follows secrets hears of the mounts that have some.
fn told(mount: &Mount, path: &str, what: &'static str) -> Vec<(String, &'static str)> {
    match mount.kind {
        Kind::Kv1 | Kind::Kv2 => vec![(path.to_owned(), what)],
        _ => Vec::new(),
    }
}

fn refuse_taken(vault: &Unsealed, path: &str) -> Result<(), Fault> {
    let mounts = vault.mounts.load();
    match mounts.conflict(path) {
        Some(taken) if taken.path == path => {
            Err(Fault::invalid(format!("path is already in use at {path}")))
        }
        Some(taken) => Err(Fault::invalid(format!("existing mount at {}", taken.path))),
        None => Ok(()),
    }
}

pub async fn disable(
    vault: &Unsealed,
    ctx: &Ctx<'_>,
    tx: &mut Tx,
    table: Table,
) -> Result<Reply, Fault> {
    let path = table.path(ctx)?;
    let mounts = vault.mounts.load_full();
    let Some(found) = mounts.get(&path).filter(|mount| table.has(mount)) else {
        return Ok(Reply::none());
    };
    if found.kind.is_fixed() {
        return Err(Fault::invalid(format!(
            "cannot unmount {path:?}: it is part of the server"
        )));
    }
    mount::remove(&mut tx.view(reserved::MOUNTS), found).await?;
    let after = match table {
        Table::Engines => {
            let ending = Ending {
                mark: uuid_v4(ctx.random),
                prefix: path.clone(),
            };
            lease::begin(tx, &ending).await?;
            After::Mounts {
                purge: Some(found.number),
                ending: Some(ending),
                told: told(found, &path, "unmount"),
            }
        }
        Table::Methods => After::RevokeMount(found.number),
    };
    Ok(Reply {
        after: Some(after),
        ..Reply::none()
    })
}

pub async fn remount(vault: &Unsealed, ctx: &Ctx<'_>, tx: &mut Tx) -> Result<Reply, Fault> {
    let from = parse_path(&ctx.body().required("from")?)?;
    let to = parse_path(&ctx.body().required("to")?)?;
    let mounts = vault.mounts.load_full();
    let found = mounts
        .get(&from)
        .ok_or_else(|| Fault::invalid("no matching mount at the path in \"from\""))?;
    if found.kind.is_fixed() {
        return Err(Fault::invalid(format!(
            "cannot remount {from:?}: it is part of the server"
        )));
    }
    if to.starts_with("auth/") != found.kind.is_auth() || to.starts_with("sys/") {
        return Err(Fault::invalid(
            "cannot remount between engines and methods, nor into 'sys/'",
        ));
    }
    refuse_taken(vault, &to)?;
    let moved = Mount {
        path: to.clone(),
        ..(**found).clone()
    };
    let id = uuid_v4(ctx.random);
    let mut told = told(found, &from, "unmount");
    told.extend(self::told(found, &to, "mount"));
    let mut view = tx.view(reserved::MOUNTS);
    mount::store(&mut view, &moved).await?;
    view.put(&format!("moved/{id}"), &(from, to)).await?;
    let reply = Reply::json(json!({"migration_id": id})).top_level();
    Ok(Reply {
        after: Some(After::Mounts {
            purge: None,
            ending: None,
            told,
        }),
        ..reply
    })
}

pub async fn remount_status(ctx: &Ctx<'_>, tx: &mut Tx) -> Result<Reply, Fault> {
    let id = ctx.param("id");
    let moved = tx
        .view(reserved::MOUNTS)
        .get::<(String, String)>(&format!("moved/{id}"))
        .await?;
    let (from, to) = moved.ok_or(Fault::Missing)?;
    Ok(Reply::json(json!({
        "migration_id": id,
        "migration_info": {"source_mount": from, "target_mount": to, "status": "success"},
    })))
}
