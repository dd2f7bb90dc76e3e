//! Login of a pod with its service account's token. The cluster is asked before the transaction,
//! which makes sure that config and audience are still those that were asked about.

use std::collections::BTreeMap;

use super::model::{AliasSource, Config, Role};
use super::review::{Account, review};
use super::{Prepared, config};
use crate::auth::name::RoleName;
use crate::auth::roles;
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::glob;
use crate::core::login::{Alias, Login, within};
use crate::core::reply::Reply;
use crate::core::slow::Outside;
use crate::jose::{Algorithm, KeySet, Token, VerifyKey};

/// What the cluster said, and about what it was asked.
pub struct Proof {
    config: Config,
    audience: String,
    account: Account,
}

fn role_name(ctx: &Ctx<'_>) -> Result<RoleName, Fault> {
    match ctx.body().string("role")?.unwrap_or_default().as_str() {
        "" => Err(Fault::invalid("missing role")),
        name => RoleName::parse(name),
    }
}

async fn require(view: &mut View<'_>, name: &RoleName) -> Result<Role, Fault> {
    let role = roles::get(view, name).await?;
    role.ok_or_else(|| Fault::invalid(format!("invalid role name {:?}", name.as_str())))
}

pub(super) async fn prove(
    ctx: &Ctx<'_>,
    view: &mut View<'_>,
    outside: &Outside<'_>,
) -> Result<Prepared, Fault> {
    let name = role_name(ctx)?;
    let text = ctx.body().string("jwt")?.unwrap_or_default();
    let text = text.trim();
    if text.is_empty() {
        return Err(Fault::invalid("missing jwt"));
    }
    let role = require(view, &name).await?;
    let config = config::require(view).await?;
    let token = Token::parse(text).map_err(|error| Fault::invalid(error.to_string()))?;
    check_signature(&config, &token)?;
    let account = review(outside.outbound, &config, &role.audience, text).await?;
    Ok(Prepared::Reviewed(Box::new(Proof {
        config,
        audience: role.audience,
        account,
    })))
}

/// Before the cluster is bothered, if its keys are known.
fn check_signature(config: &Config, token: &Token<'_>) -> Result<(), Fault> {
    if config.pem_keys.is_empty() {
        return Ok(());
    }
    let keys: Result<Vec<_>, _> = config
        .pem_keys
        .iter()
        .map(|pem| VerifyKey::from_pem(pem))
        .collect();
    let keys = keys.map_err(|_| Fault::Internal("a stored key"))?;
    let keys = KeySet::new(keys.into_iter().flatten().collect());
    let claims = token
        .verify(&keys, &Algorithm::ALL)
        .map_err(|error| Fault::Forbidden(error.to_string()))?;
    let issuer = match config.issuer.as_str() {
        "" => "kubernetes/serviceaccount",
        issuer => issuer,
    };
    let right = claims.get("iss").is_some_and(|given| given == issuer);
    match config.disable_iss_validation || right {
        true => Ok(()),
        false => Err(Fault::Forbidden("invalid issuer (iss) claim".to_owned())),
    }
}

pub(super) async fn login(
    ctx: &Ctx<'_>,
    proof: &Proof,
    view: &mut View<'_>,
) -> Result<Reply, Fault> {
    let name = role_name(ctx)?;
    let role = require(view, &name).await?;
    if config::require(view).await? != proof.config || role.audience != proof.audience {
        return Err(Fault::invalid(
            "the config or the role was changed meanwhile: try again",
        ));
    }
    let account = &proof.account;
    let any = |patterns: &[String], text: &str| patterns.iter().any(|one| glob::matches(one, text));
    if !any(&role.namespaces, &account.namespace) {
        return Err(Fault::Forbidden("namespace not authorized".to_owned()));
    }
    if !any(&role.names, &account.name) {
        return Err(Fault::Forbidden(
            "service account name not authorized".to_owned(),
        ));
    }
    if !within(&role.token.bound_cidrs, ctx.request.remote) {
        return Err(Fault::Forbidden("permission denied".to_owned()));
    }
    let alias = match role.alias_name_source {
        AliasSource::Uid => account.uid.clone(),
        AliasSource::Name => format!("{}/{}", account.namespace, account.name),
    };
    let mount = ctx.mount.name().trim_end_matches('/').replace('/', "-");
    let about = [
        ("service_account_name", &account.name),
        ("service_account_namespace", &account.namespace),
        ("service_account_uid", &account.uid),
    ];
    let about: BTreeMap<String, String> = about
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
    let mut metadata = about.clone();
    metadata.insert("role".to_owned(), name.as_str().to_owned());
    Ok(Reply::login(Login {
        params: role.token,
        alias: Alias {
            name: alias,
            metadata: about,
            groups: Vec::new(),
        },
        display_name: format!("{mount}-{}-{}", account.namespace, account.name),
        metadata,
        role: name.as_str().to_owned(),
        ..Login::default()
    }))
}
