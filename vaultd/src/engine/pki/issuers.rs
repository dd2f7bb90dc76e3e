//! Listing, showing, changing and deleting issuers.

use serde_json::json;

use super::issuer::{
    CHAIN_MAX, CONFIG, Config, Issuer, Outliving, USAGES, certificate_pem, facts, new_name, row,
};
use super::key::Key;
use super::settings::Places;
use super::{name, serial};
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;

pub(super) async fn list(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let config: Config = view.get(CONFIG).await?.unwrap_or_default();
    let issuers = Issuer::all(view).await?;
    let mut info = std::collections::BTreeMap::new();
    for issuer in &issuers {
        let facts = facts(&issuer.der()?)?;
        info.insert(
            issuer.id.clone(),
            json!({
                "issuer_name": issuer.name,
                "is_default": issuer.id == config.default,
                "key_id": issuer.key_id,
                "serial_number": serial::colons(&facts.serial),
            }),
        );
    }
    let ids = issuers.iter().map(|issuer| issuer.id.clone()).collect();
    Reply::list_with_info(ctx.page(ids)?, info)
}

pub(super) async fn read(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let issuer = Issuer::find(view, ctx.param("ref")).await?;
    let missing = Fault::Refused("unable to find PKI issuer for reference");
    Ok(Reply::map(issuer.ok_or(missing)?.show(view).await?))
}

/// `ca`, `ca/pem`, `ca_chain` and the same of one issuer, without an envelope. What is not there is
/// nothing, as clients expect.
pub(super) async fn raw(reference: &str, form: Form, view: &mut View<'_>) -> Result<Reply, Fault> {
    let Some(issuer) = Issuer::find(view, reference).await? else {
        return match reference {
            "default" => Ok(Reply::none()),
            _ => Err(Fault::Missing),
        };
    };
    let text = match form {
        Form::Der => ("application/pkix-cert", issuer.der()?),
        Form::Pem => (
            "application/pem-certificate-chain",
            issuer.pem()?.into_bytes(),
        ),
        Form::Chain => {
            let chain = issuer.chain(view).await?;
            let chain: Vec<String> = chain.iter().map(|der| certificate_pem(der)).collect();
            (
                "application/pem-certificate-chain",
                chain.join("\n").into_bytes(),
            )
        }
    };
    Ok(Reply {
        text: Some(text),
        ..Reply::none()
    })
}

#[derive(Clone, Copy)]
pub(super) enum Form {
    Der,
    Pem,
    Chain,
}

pub(super) async fn json(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let issuer = Issuer::named(view, ctx.param("ref")).await?;
    let chain = issuer.chain(view).await?;
    Ok(Reply::json(json!({
        "certificate": issuer.pem()?,
        "ca_chain": chain.iter().map(|der| certificate_pem(der)).collect::<Vec<_>>(),
        "issuer_id": issuer.id,
        "issuer_name": issuer.name,
    })))
}

/// POST sets every field that can be set, PATCH those that are given.
pub(super) async fn update(
    ctx: &Ctx<'_>,
    patch: bool,
    view: &mut View<'_>,
) -> Result<Reply, Fault> {
    let mut issuer = Issuer::named(view, ctx.param("ref")).await?;
    let body = ctx.body();
    if !patch || body.has("issuer_name") {
        let name = name::optional(body, "issuer_name")?;
        if name != issuer.name {
            issuer.name = new_name(body, view).await?;
        }
    }
    if let Some(text) = body.string("leaf_not_after_behavior")? {
        issuer.outliving = Outliving::parse(&text)?;
    } else if !patch {
        issuer.outliving = Outliving::Err;
    }
    if let Some(usages) = body.list("usage")? {
        if let Some(_odd) = usages.iter().find(|name| !USAGES.contains(&name.as_str())) {
            return Err(Fault::invalid(format!(
                "unknown usage: use {}",
                USAGES.join(", ")
            )));
        }
        issuer.usages = usages;
    }
    if let Some(references) = body.list("manual_chain")? {
        issuer.manual_chain = chain_of(&issuer, &references, view).await?;
    }
    let mut places = match (patch, issuer.places.take()) {
        (true, Some(places)) => places,
        _ => Places::default(),
    };
    places.update(body)?;
    if let Some(flag) = body.bool("enable_aia_url_templating")? {
        places.enable_templating = flag;
    }
    issuer.places = (!places.is_empty()).then_some(places);
    issuer.store(view, false).await?;
    Ok(Reply::map(issuer.show(view).await?))
}

async fn chain_of(
    issuer: &Issuer,
    references: &[String],
    view: &mut View<'_>,
) -> Result<Vec<String>, Fault> {
    let mut ids = Vec::new();
    for reference in references.iter().take(CHAIN_MAX) {
        ids.push(match reference.as_str() {
            "self" => issuer.id.clone(),
            other => Issuer::named(view, other).await?.id,
        });
    }
    match ids.first() {
        None => Ok(ids),
        Some(first) if *first == issuer.id => Ok(ids),
        Some(_) => Err(Fault::invalid(
            "manual_chain: its first element has to be the issuer itself ('self')",
        )),
    }
}

pub(super) async fn delete(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let Some(issuer) = Issuer::find(view, ctx.param("ref")).await? else {
        return Ok(Reply::none());
    };
    view.delete(&row(&issuer.id)).await?;
    super::lists::forget(&issuer.id, view).await?;
    let mut config: Config = view.get(CONFIG).await?.unwrap_or_default();
    if config.default != issuer.id {
        return Ok(Reply::none());
    }
    config.default = String::new();
    view.put(CONFIG, &config).await?;
    Ok(Reply::none().warn("deleted the default issuer: set another one in config/issuers"))
}

/// All issuers and keys at once.
pub(super) async fn delete_root(view: &mut View<'_>) -> Result<Reply, Fault> {
    for issuer in Issuer::all(view).await? {
        view.delete(&row(&issuer.id)).await?;
        super::lists::forget(&issuer.id, view).await?;
    }
    for key in Key::all(view).await? {
        view.delete(&format!("{}/{}", super::key::FOLDER, key.id))
            .await?;
    }
    view.delete(CONFIG).await?;
    view.delete("config/keys").await?;
    Ok(Reply::none())
}

pub(super) async fn read_config(view: &mut View<'_>) -> Result<Reply, Fault> {
    let config: Config = view.get(CONFIG).await?.unwrap_or_default();
    Ok(show_config(&config))
}

fn show_config(config: &Config) -> Reply {
    Reply::json(json!({
        "default": config.default,
        "default_follows_latest_issuer": config.follows_latest,
    }))
}

pub(super) async fn write_config(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let mut config: Config = view.get(CONFIG).await?.unwrap_or_default();
    if let Some(reference) = ctx.body().string("default")? {
        if reference == "default" {
            return Err(Fault::invalid(
                "default: name an issuer by its id or its name",
            ));
        }
        config.default = Issuer::named(view, &reference).await?.id;
    }
    if let Some(flag) = ctx.body().bool("default_follows_latest_issuer")? {
        config.follows_latest = flag;
    }
    view.put(CONFIG, &config).await?;
    Ok(show_config(&config))
}
