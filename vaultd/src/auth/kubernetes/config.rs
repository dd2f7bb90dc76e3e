//! The mount's config: written as a whole, read without its token.

use serde_json::json;

use super::model::{CONFIG, Config};
use crate::auth::secret::Secret;
use crate::barrier::View;
use crate::core::body::Body;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;
use crate::jose::VerifyKey;
use crate::outbound::{Trust, Url};

fn parse(body: &Body) -> Result<Config, Fault> {
    let text = |field| Ok::<_, Fault>(body.string(field)?.unwrap_or_default());
    let host = text("kubernetes_host")?;
    if host.is_empty() {
        return Err(Fault::invalid("no host provided"));
    }
    let ca_cert = text("kubernetes_ca_cert")?;
    let disable_local_ca_jwt = body.bool("disable_local_ca_jwt")?.unwrap_or(false);
    if disable_local_ca_jwt && ca_cert.is_empty() {
        return Err(Fault::invalid(
            "kubernetes_ca_cert must be given when disable_local_ca_jwt is true",
        ));
    }
    let pem_keys = body.list("pem_keys")?.unwrap_or_default();
    if pem_keys.iter().any(|pem| VerifyKey::from_pem(pem).is_err()) {
        return Err(Fault::invalid(
            "pem_keys: expected PEM of RSA, P-256, P-384, P-521 or Ed25519 public keys",
        ));
    }
    if body.bool("use_annotations_as_alias_metadata")? == Some(true) {
        return Err(Fault::invalid(
            "use_annotations_as_alias_metadata is not supported: nothing is read from the cluster but TokenReviews",
        ));
    }
    Ok(Config {
        host: Url::parse(&host)
            .map_err(|failure| Fault::invalid(format!("kubernetes_host: {failure}")))?,
        ca_cert,
        reviewer: Secret::new(text("token_reviewer_jwt")?),
        pem_keys,
        issuer: text("issuer")?,
        disable_iss_validation: body.bool("disable_iss_validation")?.unwrap_or(true),
        disable_local_ca_jwt,
    })
}

/// The config, which must be there.
pub(super) async fn require(view: &mut View<'_>) -> Result<Config, Fault> {
    let config = view.get(CONFIG).await?;
    config.ok_or_else(|| {
        Fault::invalid("could not load backend configuration: write the mount's config first")
    })
}

pub(super) async fn write(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let config = parse(ctx.body())?;
    view.put(CONFIG, &config).await?;
    let mut reply = Reply::none();
    if Trust::from_pem(&config.ca_cert).is_err() {
        reply = reply.warn("kubernetes_ca_cert holds no certificate in PEM: it is stored, but no login can succeed");
    }
    if !config.host.is_tls() && !config.host.is_loopback() {
        reply = reply.warn("kubernetes_host is asked over plain http: who is between here and there can log in as anybody");
    }
    Ok(reply)
}

pub(super) async fn read(view: &mut View<'_>) -> Result<Reply, Fault> {
    let config: Config = view.get(CONFIG).await?.ok_or(Fault::Missing)?;
    Ok(Reply::json(json!({
        "kubernetes_host": config.host,
        "kubernetes_ca_cert": config.ca_cert,
        "token_reviewer_jwt_set": config.reviewer.is_some(),
        "pem_keys": config.pem_keys,
        "issuer": config.issuer,
        "disable_iss_validation": config.disable_iss_validation,
        "disable_local_ca_jwt": config.disable_local_ca_jwt,
        "use_annotations_as_alias_metadata": false,
    })))
}
