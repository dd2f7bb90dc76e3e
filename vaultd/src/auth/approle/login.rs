//! Login: a role id and a secret id become a proven identity.
//!
//! Promises: the steps and the answer are the same whether the role id or the secret id is wrong, until
//! the role is locked; a use is counted in the transaction that issues the token, so that it is neither lost nor given
//! twice; a refused login costs no use.

use std::net::IpAddr;

use vault_crypto::Prf;

use super::model::{
    Credential, Role, RoleName, RoleRef, SecretId, fingerprint, role_id_row, secret_id_row,
};
use super::secret_id::{remove, subset};
use crate::barrier::View;
use crate::core::body::Body;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::login::{Alias, Login, TokenParams, within};
use crate::core::reply::Reply;
use crate::core::slow::Outside;

/// Stands for a role that is not there. No role has this name or generation.
const NOBODY: &str = "-";

/// Before the login: too many wrong secret ids lock a role, as wrong passwords lock a user.
pub async fn check(ctx: &Ctx<'_>, view: &mut View<'_>, outside: &Outside<'_>) -> Result<(), Fault> {
    let role_id = presented(ctx.body(), "role_id")?;
    let (Some(role_id), Some(value)) = (role_id, presented(ctx.body(), "secret_id")?) else {
        return Ok(());
    };
    let role = find_role(ctx, view, &role_id).await?;
    let secret_id = find_secret_id(ctx, view, role.as_ref(), &value).await?;
    let Some((_, role)) = role else {
        return Err(refused());
    };
    if !role.bind_secret_id {
        return Ok(());
    }
    let rules = ctx.mount.config.lockout.unwrap_or_default();
    let attempt =
        outside
            .lockouts
            .begin_any(ctx.mount.number, role_id.expose(), rules, ctx.now())?;
    match secret_id.filter(|secret_id| !secret_id.expired(ctx.now())) {
        Some(_) => attempt.succeeded(),
        None => {
            attempt.failed();
            return Err(refused());
        }
    }
    Ok(())
}

pub(super) async fn login(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let role_id =
        presented(ctx.body(), "role_id")?.ok_or_else(|| Fault::invalid("missing role_id"))?;
    let secret_id = presented(ctx.body(), "secret_id")?;
    let role = find_role(ctx, view, &role_id).await?;
    let Some(value) = secret_id else {
        return without_secret_id(role, ctx.request.remote);
    };
    let secret_id = find_secret_id(ctx, view, role.as_ref(), &value).await?;
    let Some((name, role)) = role else {
        return Err(refused());
    };
    if !role.bind_secret_id {
        return without_secret_id(Some((name, role)), ctx.request.remote);
    }
    let secret_id = secret_id
        .filter(|secret_id| !secret_id.expired(ctx.now()))
        .ok_or_else(refused)?;
    check_source(&role, &secret_id, ctx.request.remote)?;
    let fingerprint = fingerprint(ctx.prf, &role.generation, &value);
    use_once(ctx, view, &role, &secret_id, fingerprint).await?;
    Ok(identity(name, role, Some(secret_id)))
}

fn presented(body: &Body, field: &str) -> Result<Option<Credential>, Fault> {
    Credential::parse(body.string(field)?.unwrap_or_default(), field)
}

fn refused() -> Fault {
    Fault::invalid("invalid role or secret ID")
}

/// Two reads, whether there is such a role or not.
async fn find_role(
    ctx: &Ctx<'_>,
    view: &mut View<'_>,
    role_id: &Credential,
) -> Result<Option<(String, Role)>, Fault> {
    let index: Option<RoleRef> = view.get(&role_id_row(ctx.prf, role_id.expose())).await?;
    let name = index.map_or_else(|| NOBODY.to_owned(), |index| index.name);
    let role: Option<Role> = view.get(&format!("role/{name}")).await?;
    Ok(role.map(|role| (name, role)))
}

/// One read, whether there is such a role or not.
async fn find_secret_id(
    ctx: &Ctx<'_>,
    view: &mut View<'_>,
    role: Option<&(String, Role)>,
    value: &Credential,
) -> Result<Option<SecretId>, Fault> {
    let generation = role.map_or(NOBODY, |(_, role)| role.generation.as_str());
    let fingerprint = fingerprint(ctx.prf, generation, value);
    Ok(view.get(&secret_id_row(generation, &fingerprint)).await?)
}

/// The name of the role that a role id stands for; empty if there is none.
pub async fn role_of_login(body: &Body, prf: &Prf, view: &mut View<'_>) -> Result<String, Fault> {
    let Some(role_id) = presented(body, "role_id")? else {
        return Ok(String::new());
    };
    let index: Option<RoleRef> = view.get(&role_id_row(prf, role_id.expose())).await?;
    Ok(index.map(|index| index.name).unwrap_or_default())
}

/// A role that is bound to networks only. From elsewhere it looks as if it did not exist, since
/// nothing but its id was proved; an unknown role is answered as one that wants a secret id.
fn without_secret_id(role: Option<(String, Role)>, remote: IpAddr) -> Result<Reply, Fault> {
    match role {
        Some((name, role)) if !role.bind_secret_id => {
            if within(&role.secret_id_bound_cidrs, remote) {
                return Ok(identity(name, role, None));
            }
            Err(refused())
        }
        _ => Err(Fault::invalid("missing secret_id")),
    }
}

/// Only who has proved the secret id is told that the address is what is wrong.
fn check_source(role: &Role, secret_id: &SecretId, remote: IpAddr) -> Result<(), Fault> {
    if !subset(&secret_id.cidr_list, &role.secret_id_bound_cidrs) {
        return Err(Fault::invalid(
            "failed to verify subset relationship between CIDR blocks on the role and CIDR blocks on the secret ID: \
             issue a new secret ID",
        ));
    }
    let places = [
        (&secret_id.cidr_list, "secret ID"),
        (&role.secret_id_bound_cidrs, "role"),
    ];
    for (nets, place) in places {
        if !within(nets, remote) {
            return Err(Fault::invalid(format!(
                "source address \"{remote}\" unauthorized by CIDR restrictions on the {place}"
            )));
        }
    }
    Ok(())
}

/// Two logins that read the same count cannot both commit: the later one runs again and sees the
/// new count.
async fn use_once(
    ctx: &Ctx<'_>,
    view: &mut View<'_>,
    role: &Role,
    secret_id: &SecretId,
    fingerprint: String,
) -> Result<(), Fault> {
    match secret_id.num_uses {
        0 => Ok(()),
        1 => remove(view, &role.generation, &secret_id.accessor, &fingerprint).await,
        uses => {
            let used = SecretId {
                num_uses: uses - 1,
                updated: ctx.now(),
                ..secret_id.clone()
            };
            Ok(view
                .put_unlisted(&secret_id_row(&role.generation, &fingerprint), &used)
                .await?)
        }
    }
}

fn identity(name: String, role: Role, secret_id: Option<SecretId>) -> Reply {
    let mut params = role.token;
    let mut metadata = Default::default();
    if let Some(secret_id) = secret_id {
        metadata = secret_id.metadata;
        if !secret_id.token_bound_cidrs.is_empty() {
            params.bound_cidrs = secret_id.token_bound_cidrs;
        }
    }
    metadata.insert("role_name".to_owned(), name.clone());
    Reply::login(Login {
        params,
        alias: Alias {
            name: role.role_id,
            metadata: [("role_name".to_owned(), name.clone())].into(),
            groups: Vec::new(),
        },
        display_name: "approle".to_owned(),
        metadata,
        role: name,
        ..Login::default()
    })
}

/// The token settings that hold now for a token of this role; `None` if the role is gone, and the
/// token may not be renewed.
pub async fn renewed(role: &str, view: &mut View<'_>) -> Result<Option<TokenParams>, Fault> {
    let role: Option<Role> = view.get(&RoleName::parse(role)?.row()).await?;
    Ok(role.map(|role| role.token))
}
