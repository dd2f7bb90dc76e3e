//! `oidc/config` and `oidc/.well-known/…`: who issues the tokens, and the public keys.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::jws::ALGORITHMS;
use super::key;
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;

const ROW: &str = "oidc/config";
/// Where clients look if nobody says otherwise.
const ADDRESS: &str = "https://127.0.0.1:8200";

#[derive(Default, Serialize, Deserialize)]
struct Config {
    /// Scheme, host and port, perhaps a path; empty is the default.
    issuer: String,
}

/// The `iss` of tokens.
pub(super) async fn issuer(view: &mut View<'_>) -> Result<String, Fault> {
    let config: Config = view.get(ROW).await?.unwrap_or_default();
    let base = match config.issuer.as_str() {
        "" => ADDRESS,
        issuer => issuer,
    };
    Ok(format!("{base}/v1/identity/oidc"))
}

pub(super) async fn read(view: &mut View<'_>) -> Result<Reply, Fault> {
    let config: Config = view.get(ROW).await?.unwrap_or_default();
    Ok(Reply::json(json!({"issuer": config.issuer})))
}

pub(super) async fn write(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let issuer = ctx.body().string("issuer")?.unwrap_or_default();
    let issuer = issuer.trim_end_matches('/').to_owned();
    if !issuer.is_empty() && !is_address(&issuer) {
        return Err(Fault::invalid(
            "invalid issuer: it must be https:// or http:// with a host, perhaps a port and a path, and nothing else",
        ));
    }
    let set = !issuer.is_empty();
    view.put(ROW, &Config { issuer }).await?;
    Ok(match set {
        true => Reply::none().warn(
            "tokens name this issuer from now on: who verifies them must reach it; set issuer to \"\" for the default",
        ),
        false => Reply::none(),
    })
}

/// Without user, query and fragment (OpenID Connect Discovery 1.0, section 3).
pub(super) fn is_address(text: &str) -> bool {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    let host = rest.and_then(|rest| rest.split('/').next()).unwrap_or("");
    let plain =
        |c: char| c.is_ascii_graphic() && !matches!(c, '?' | '#' | '@' | '"' | '\\' | '<' | '>');
    !host.is_empty() && !host.starts_with(':') && text.chars().all(plain)
}

pub(super) async fn discovery(view: &mut View<'_>) -> Result<Reply, Fault> {
    let issuer = issuer(view).await?;
    Ok(Reply::json(json!({
        "issuer": issuer,
        "jwks_uri": format!("{issuer}/.well-known/keys"),
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ALGORITHMS.map(|algorithm| algorithm.name()),
    }))
    .bare())
}

pub(super) async fn keys(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    Ok(Reply::json(json!({"keys": key::published(ctx, view).await?})).bare())
}
