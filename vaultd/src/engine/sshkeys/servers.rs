//! Servers whose `authorized_keys` vaultd edits, and how it logs in there.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::forge::port;
use super::handshake::Destination;
use super::key::Key;
use super::name::{self, Name};
use super::place;
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;

const FOLDER: &str = "servers";
const PATH: &str = ".ssh/authorized_keys";

#[derive(Serialize, Deserialize)]
pub(super) struct Server {
    pub address: String,
    pub port: u16,
    /// As whom vaultd logs in: the user whose file it edits, or one who may write those of others.
    pub user: String,
    /// The managed key that it logs in with.
    pub key: String,
    /// Below a user's home, or absolute.
    pub path: String,
}

fn row(name: &Name) -> String {
    format!("{FOLDER}/{}", name.as_str())
}

impl Server {
    pub(super) async fn find(view: &mut View<'_>, name: &str) -> Result<Option<Server>, Fault> {
        Ok(view.get(&format!("{FOLDER}/{name}")).await?)
    }

    pub(super) fn destination(&self, user: &str) -> Destination {
        Destination {
            address: self.address.clone(),
            port: self.port,
            user: user.to_owned(),
        }
    }

    fn show(&self, name: &Name) -> Value {
        json!({
            "name": name.as_str(),
            "address": self.address,
            "port": self.port,
            "user": self.user,
            "key": self.key,
            "path": self.path,
        })
    }
}

pub(super) async fn list(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    ctx.list_in(view, FOLDER).await
}

pub(super) async fn read(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let name = Name::parse(ctx.param("name"))?;
    let server: Server = view.get(&row(&name)).await?.ok_or(Fault::Missing)?;
    Ok(Reply::json(server.show(&name)))
}

/// Keys whose targets name it fail from then on, and say so.
pub(super) async fn delete(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let name = Name::parse(ctx.param("name"))?;
    view.delete(&row(&name)).await?;
    Ok(Reply::none())
}

pub(super) async fn write(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let (name, body) = (Name::parse(ctx.param("name"))?, ctx.body());
    let before: Option<Server> = view.get(&row(&name)).await?;
    let needed = |field: &str, before: Option<&String>| match (body.string(field)?, before) {
        (Some(text), _) if !text.is_empty() => Ok(text),
        (_, Some(before)) => Ok(before.clone()),
        _ => Err(Fault::invalid(format!("missing {field}"))),
    };
    let old = before.as_ref();
    let address = name::host(&needed("address", old.map(|old| &old.address))?)?;
    if address.starts_with('[') {
        return Err(Fault::invalid(
            "address: give the port in a field of its own",
        ));
    }
    let server = Server {
        address,
        port: port(body, "port")?
            .or(old.map(|old| old.port))
            .unwrap_or(22),
        user: name::account(&needed("user", old.map(|old| &old.user))?)?,
        key: Name::parse(&needed("key", old.map(|old| &old.key))?)?
            .as_str()
            .to_owned(),
        path: match body.string("path")?.filter(|text| !text.is_empty()) {
            Some(text) => place::path(text)?,
            None => old.map_or(PATH.to_owned(), |old| old.path.clone()),
        },
    };
    if Key::find(view, &Name::parse(&server.key)?).await?.is_none() {
        return Err(Fault::invalid(
            "there is no such key: make it first, and put its public half onto the server by hand",
        ));
    }
    view.put(&row(&name), &server).await?;
    Ok(Reply::json(server.show(&name)))
}
