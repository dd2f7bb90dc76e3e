//! The CAs of a mount. One of them signs unless a role names another; all of them are trusted by hosts
//! that take their list, so that changing the default is a rotation without an outage.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use vault_crypto::uuid_v4;
use vault_ssh::PrivateKey;
use zeroize::Zeroizing;

use super::Prepared;
use super::name::Name;
use crate::barrier::View;
use crate::core::body::Body;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;

const ROW: &str = "issuers";
/// All of them are deleted in one transaction.
const MOST: usize = 20;

/// What is public about the CAs.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct Issuers {
    /// Id of the one that signs by default; empty if there is none.
    default: String,
    pub all: Vec<Issuer>,
}

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Issuer {
    pub id: String,
    /// Empty, or unique.
    pub name: String,
    /// `ssh-ed25519 AAAA…`
    pub public_key: String,
}

impl Issuers {
    pub(super) async fn load(view: &mut View<'_>) -> Result<Arc<Issuers>, Fault> {
        Ok(view.get_shared(ROW).await?.unwrap_or_default())
    }

    /// By id, by name, or `default`.
    pub(super) fn find(&self, reference: &str) -> Option<&Issuer> {
        let id = match reference {
            "" | "default" => &self.default,
            reference => reference,
        };
        let named = |issuer: &&Issuer| issuer.id == id || (issuer.name == id && !id.is_empty());
        self.all.iter().find(named)
    }

    pub(super) fn required(&self, reference: &str) -> Result<&Issuer, Fault> {
        if self.all.is_empty() {
            return Err(Fault::invalid(
                "keys haven't been configured yet: write to config/ca first",
            ));
        }
        let unknown =
            "no such issuer: name one by its id or its name, or set a default in config/issuers";
        self.find(reference).ok_or_else(|| Fault::invalid(unknown))
    }
}

impl Issuer {
    /// Its private key.
    pub(super) async fn key(&self, view: &mut View<'_>) -> Result<PrivateKey, Fault> {
        let der = view.get_bytes(&key_row(&self.id)).await?;
        let der = der.ok_or(Fault::Internal("a CA has no key"))?;
        PrivateKey::from_pkcs8(&der).map_err(|_| Fault::Internal("a stored CA key does not parse"))
    }

    fn show(&self) -> Value {
        json!({
            "issuer_id": self.id,
            "issuer_name": self.name,
            "public_key": format!("{}\n", self.public_key),
        })
    }
}

fn key_row(id: &str) -> String {
    format!("private/{id}")
}

/// Whether a request wants the key to be made here.
pub(super) fn generates(body: &Body) -> Result<bool, Fault> {
    let given = body.asks("private_key") || body.asks("public_key");
    match (body.bool("generate_signing_key")?, given) {
        (Some(true), true) => Err(Fault::invalid(
            "public_key and private_key must not be set when generate_signing_key is set to true",
        )),
        (Some(false), false) => Err(Fault::invalid(
            "missing private_key: give one, or set generate_signing_key to true",
        )),
        (_, given) => Ok(!given),
    }
}

/// As Vault has it: the one CA. Another is added only if the request speaks of several.
pub(super) async fn write_ca(
    ctx: &Ctx<'_>,
    prepared: &Prepared,
    view: &mut View<'_>,
) -> Result<Reply, Fault> {
    let several = ctx.body().has("issuer_name") || ctx.body().has("set_default");
    if !several && !Issuers::load(view).await?.all.is_empty() {
        return Err(Fault::invalid(
            "keys are already configured: add another CA with issuer_name, or delete all before \
             reconfiguring",
        ));
    }
    let name = ctx.body().string("issuer_name")?.unwrap_or_default();
    add(ctx, prepared, &name, view).await
}

pub(super) async fn import(
    ctx: &Ctx<'_>,
    prepared: &Prepared,
    view: &mut View<'_>,
) -> Result<Reply, Fault> {
    add(ctx, prepared, ctx.param("issuer_name"), view).await
}

async fn add(
    ctx: &Ctx<'_>,
    prepared: &Prepared,
    name: &str,
    view: &mut View<'_>,
) -> Result<Reply, Fault> {
    let mut issuers = (*Issuers::load(view).await?).clone();
    check_name(&issuers, name, "")?;
    if issuers.all.len() >= MOST {
        return Err(Fault::invalid("there are 20 CAs already: delete old ones"));
    }
    let given;
    let key = match &prepared.key {
        Some(key) => key,
        None => {
            given = given_key(ctx.body())?;
            &given
        }
    };
    let public_key = key.public().line();
    if issuers
        .all
        .iter()
        .any(|other| other.public_key == public_key)
    {
        return Err(Fault::invalid("a CA with this key is there already"));
    }
    let issuer = Issuer {
        id: uuid_v4(ctx.random),
        name: name.to_owned(),
        public_key,
    };
    let der = key.to_pkcs8();
    let der = der.map_err(|_| Fault::Internal("a key cannot be written"))?;
    view.put_bytes(&key_row(&issuer.id), der).await?;
    if issuers.default.is_empty() || ctx.body().bool("set_default")?.unwrap_or(false) {
        issuers.default.clone_from(&issuer.id);
    }
    let reply = Reply::json(issuer.show());
    issuers.all.push(issuer);
    view.put_shared(ROW, issuers).await?;
    Ok(reply)
}

fn given_key(body: &Body) -> Result<PrivateKey, Fault> {
    let text = Zeroizing::new(body.required("private_key")?);
    let key = PrivateKey::parse(&text);
    let key = key.map_err(|bad| Fault::invalid(format!("private_key: {bad}")))?;
    if let Some(public) = body.string("public_key")?.filter(|text| !text.is_empty()) {
        let public = vault_ssh::Key::from_line(public.trim());
        if !public.is_ok_and(|public| public == *key.public()) {
            return Err(Fault::invalid(
                "public_key is not the public half of private_key: leave it out",
            ));
        }
    }
    Ok(key)
}

fn check_name(issuers: &Issuers, name: &str, own: &str) -> Result<(), Fault> {
    if name.is_empty() {
        return Ok(());
    }
    Name::parse(name, "issuer")?;
    let taken = |issuer: &Issuer| issuer.id != own && (issuer.name == name || issuer.id == name);
    match name == "default" || issuers.all.iter().any(taken) {
        true => Err(Fault::invalid("this issuer name is taken: choose another")),
        false => Ok(()),
    }
}

pub(super) async fn read_default(view: &mut View<'_>) -> Result<Reply, Fault> {
    let issuers = Issuers::load(view).await?;
    Ok(Reply::json(issuers.required("")?.show()))
}

pub(super) async fn delete_all(view: &mut View<'_>) -> Result<Reply, Fault> {
    for issuer in &Issuers::load(view).await?.all {
        view.delete(&key_row(&issuer.id)).await?;
    }
    view.delete(ROW).await?;
    Ok(Reply::none())
}

pub(super) async fn list(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let issuers = Issuers::load(view).await?;
    let keys = ctx.page(issuers.all.iter().map(|issuer| issuer.id.clone()).collect())?;
    let info = |id: &String| {
        let issuer = issuers.find(id)?;
        let about = json!({
            "issuer_name": issuer.name,
            "is_default": issuer.id == issuers.default,
            "public_key": issuer.public_key,
        });
        Some((id.clone(), about))
    };
    let info = keys.iter().filter_map(info).collect();
    Reply::list_with_info(keys, info)
}

pub(super) async fn read(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let issuers = Issuers::load(view).await?;
    let issuer = issuers.find(ctx.param("issuer_ref"));
    Ok(Reply::json(issuer.ok_or(Fault::Missing)?.show()))
}

pub(super) async fn rename(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let mut issuers = (*Issuers::load(view).await?).clone();
    let id = issuers
        .find(ctx.param("issuer_ref"))
        .ok_or(Fault::Missing)?
        .id
        .clone();
    let name = ctx.body().string("issuer_name")?;
    if let Some(name) = &name {
        check_name(&issuers, name, &id)?;
    }
    let mut reply = Reply::none();
    for issuer in issuers.all.iter_mut().filter(|issuer| issuer.id == id) {
        if let Some(name) = &name {
            issuer.name.clone_from(name);
        }
        reply = Reply::json(issuer.show());
    }
    view.put_shared(ROW, issuers).await?;
    Ok(reply)
}

pub(super) async fn delete(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let mut issuers = (*Issuers::load(view).await?).clone();
    let Some(id) = issuers
        .find(ctx.param("issuer_ref"))
        .map(|issuer| issuer.id.clone())
    else {
        return Ok(Reply::none());
    };
    view.delete(&key_row(&id)).await?;
    issuers.all.retain(|issuer| issuer.id != id);
    let mut reply = Reply::none();
    if issuers.default == id {
        issuers.default.clear();
        reply = reply.warn("it was the default: set another one in config/issuers");
    }
    view.put_shared(ROW, issuers).await?;
    Ok(reply)
}

pub(super) async fn read_config(view: &mut View<'_>) -> Result<Reply, Fault> {
    let issuers = Issuers::load(view).await?;
    Ok(Reply::json(json!({ "default": issuers.default })))
}

pub(super) async fn write_config(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let mut issuers = (*Issuers::load(view).await?).clone();
    let wanted = ctx.body().required("default")?;
    issuers.default = issuers.required(&wanted)?.id.clone();
    let reply = Reply::json(json!({ "default": issuers.default }));
    view.put_shared(ROW, issuers).await?;
    Ok(reply)
}
