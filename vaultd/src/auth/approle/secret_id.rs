//! Secret ids: issued or accepted for a role, looked up and destroyed by value or by accessor.

use std::collections::BTreeMap;

use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::model::{
    AccessorRef, Credential, Role, SecretId, accessor_row, accessors, fingerprint, secret_id_row,
};
use super::role;
use crate::barrier::View;
use crate::core::body::Body;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::login::parse_cidrs;
use crate::core::reply::Reply;

/// What "never" looks like on the wire.
const NEVER: &str = "0001-01-01T00:00:00Z";
const METADATA_MAX: usize = 64;
const METADATA_KEY_MAX: usize = 128;
const METADATA_VALUE_MAX: usize = 512;

impl SecretId {
    fn from_body(ctx: &Ctx<'_>, role: &Role) -> Result<SecretId, Fault> {
        let body = ctx.body();
        let ttl = capped(ttl(body, role)?, ctx.mount.config.max_lease_ttl);
        let now = ctx.now();
        Ok(SecretId {
            accessor: vault_crypto::uuid_v4(ctx.random),
            num_uses: num_uses(body, role)?,
            ttl,
            created: now,
            updated: now,
            expires: if ttl == 0 {
                None
            } else {
                Some(after(now, ttl)?)
            },
            metadata: metadata(body)?,
            cidr_list: bound(body, "cidr_list", &role.secret_id_bound_cidrs)?,
            token_bound_cidrs: bound(body, "token_bound_cidrs", &role.token.bound_cidrs)?,
        })
    }

    fn show(&self) -> Map<String, Value> {
        let mut map = Map::new();
        map.insert("secret_id_accessor".into(), json!(self.accessor));
        map.insert("secret_id_num_uses".into(), json!(self.num_uses));
        map.insert("secret_id_ttl".into(), json!(self.ttl));
        map.insert("creation_time".into(), json!(self.created.to_string()));
        map.insert("last_updated_time".into(), json!(self.updated.to_string()));
        let expires = self
            .expires
            .map_or_else(|| NEVER.to_owned(), |expires| expires.to_string());
        map.insert("expiration_time".into(), json!(expires));
        map.insert("metadata".into(), json!(self.metadata));
        map.insert("cidr_list".into(), json!(self.cidr_list));
        map.insert("token_bound_cidrs".into(), json!(self.token_bound_cidrs));
        map
    }
}

fn after(now: Timestamp, seconds: u64) -> Result<Timestamp, Fault> {
    let too_long = || Fault::invalid("ttl is too long");
    let span = SignedDuration::from_secs(i64::try_from(seconds).map_err(|_| too_long())?);
    now.checked_add(span).map_err(|_| too_long())
}

/// The role's limit is a ceiling: 0 in the body would lift it.
fn num_uses(body: &Body, role: &Role) -> Result<u64, Fault> {
    let Some(asked) = body.int("num_uses")? else {
        return Ok(role.secret_id_num_uses);
    };
    let asked = u64::try_from(asked).map_err(|_| Fault::invalid("num_uses cannot be negative"))?;
    if role.secret_id_num_uses > 0 && (asked == 0 || asked > role.secret_id_num_uses) {
        return Err(Fault::invalid(
            "num_uses cannot be higher than the role's secret_id_num_uses",
        ));
    }
    Ok(asked)
}

fn ttl(body: &Body, role: &Role) -> Result<u64, Fault> {
    let Some(asked) = body.seconds("ttl")? else {
        return Ok(role.secret_id_ttl);
    };
    if role.secret_id_ttl > 0 && (asked == 0 || asked > role.secret_id_ttl) {
        return Err(Fault::invalid(
            "ttl cannot be longer than the role's secret_id_ttl",
        ));
    }
    Ok(asked)
}

/// The mount's longest lifetime holds for secret ids too. 0 is no limit, in both.
fn capped(ttl: u64, max: u64) -> u64 {
    if ttl == 0 || max == 0 {
        ttl
    } else {
        ttl.min(max)
    }
}

fn metadata(body: &Body) -> Result<BTreeMap<String, String>, Fault> {
    let metadata = body.strings("metadata")?.unwrap_or_default();
    let fits = |(key, value): (&String, &String)| {
        !key.is_empty() && key.len() <= METADATA_KEY_MAX && value.len() <= METADATA_VALUE_MAX
    };
    if metadata.len() > METADATA_MAX || !metadata.iter().all(fits) {
        return Err(Fault::invalid(format!(
            "metadata has at most {METADATA_MAX} entries, with keys of 1 to {METADATA_KEY_MAX} bytes \
             and values of at most {METADATA_VALUE_MAX}"
        )));
    }
    Ok(metadata)
}

fn bound(body: &Body, field: &str, role: &[IpNet]) -> Result<Vec<IpNet>, Fault> {
    let nets = parse_cidrs(&body.list(field)?.unwrap_or_default(), field)?;
    if subset(&nets, role) {
        return Ok(nets);
    }
    Err(Fault::invalid(format!(
        "failed to verify subset relationship between CIDR blocks on the role and {field} on the secret ID: \
         each block must lie inside one of the role's"
    )))
}

/// An empty list on the role bounds nothing.
pub(super) fn subset(inner: &[IpNet], outer: &[IpNet]) -> bool {
    outer.is_empty()
        || inner
            .iter()
            .all(|net| outer.iter().any(|around| around.contains(net)))
}

fn presented(body: &Body) -> Result<Credential, Fault> {
    let text = body.string("secret_id")?.unwrap_or_default();
    Credential::parse(text, "secret_id")?.ok_or_else(|| Fault::invalid("missing secret_id"))
}

pub(super) async fn issue(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let random = vault_crypto::uuid_v4(ctx.random);
    let value =
        Credential::parse(random, "secret_id")?.ok_or(Fault::Internal("random secret id"))?;
    store(ctx, view, &value).await
}

pub(super) async fn accept(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let value = presented(ctx.body())?;
    store(ctx, view, &value).await
}

async fn store(ctx: &Ctx<'_>, view: &mut View<'_>, value: &Credential) -> Result<Reply, Fault> {
    let (_, role) = role::require(ctx, view).await?;
    if !role.bind_secret_id {
        return Err(Fault::invalid("bind_secret_id is not set on the role"));
    }
    let secret_id = SecretId::from_body(ctx, &role)?;
    let fingerprint = fingerprint(ctx.prf, &role.generation, value);
    let row = secret_id_row(&role.generation, &fingerprint);
    if view.exists(&row).await? {
        return Err(Fault::invalid(
            "secret_id is already registered for this role",
        ));
    }
    let accessor_row = accessor_row(&role.generation, &secret_id.accessor)
        .ok_or(Fault::Internal("random accessor"))?;
    view.put_unlisted(&row, &secret_id).await?;
    view.put(&accessor_row, &AccessorRef { fingerprint })
        .await?;
    Ok(Reply::json(json!({
        "secret_id": value.expose(),
        "secret_id_accessor": secret_id.accessor,
        "secret_id_ttl": secret_id.ttl,
        "secret_id_num_uses": secret_id.num_uses,
    })))
}

pub(super) async fn list(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let (_, role) = role::require(ctx, view).await?;
    ctx.list_in(view, &accessors(&role.generation)).await
}

/// Unknown and expired ones are both "nothing": 204.
pub(super) async fn lookup(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let value = presented(ctx.body())?;
    let (_, role) = role::require(ctx, view).await?;
    let row = secret_id_row(
        &role.generation,
        &fingerprint(ctx.prf, &role.generation, &value),
    );
    let found: Option<SecretId> = view.get(&row).await?;
    Ok(
        match found.filter(|secret_id| !secret_id.expired(ctx.now())) {
            Some(secret_id) => Reply::map(secret_id.show()),
            None => Reply::none(),
        },
    )
}

pub(super) async fn destroy(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let value = presented(ctx.body())?;
    let (_, role) = role::require(ctx, view).await?;
    let fingerprint = fingerprint(ctx.prf, &role.generation, &value);
    if let Some(secret_id) = view
        .get::<SecretId>(&secret_id_row(&role.generation, &fingerprint))
        .await?
    {
        remove(view, &role.generation, &secret_id.accessor, &fingerprint).await?;
    }
    Ok(Reply::none())
}

/// Removes both rows of a secret id.
pub(super) async fn remove(
    view: &mut View<'_>,
    generation: &str,
    accessor: &str,
    fingerprint: &str,
) -> Result<(), Fault> {
    if let Some(row) = accessor_row(generation, accessor) {
        view.delete(&row).await?;
    }
    view.delete_unlisted(&secret_id_row(generation, fingerprint))
        .await?;
    Ok(())
}

/// The accessor in the body, if it belongs to the role in the path.
async fn by_accessor(
    ctx: &Ctx<'_>,
    view: &mut View<'_>,
) -> Result<(Role, String, AccessorRef), Fault> {
    let accessor = ctx.body().required("secret_id_accessor")?;
    let (_, role) = role::require(ctx, view).await?;
    let unknown = || {
        Fault::NoRoute(
            "failed to find accessor entry for secret_id_accessor: this role has no such accessor"
                .into(),
        )
    };
    let row = accessor_row(&role.generation, &accessor).ok_or_else(unknown)?;
    let found = view.get(&row).await?.ok_or_else(unknown)?;
    Ok((role, accessor, found))
}

pub(super) async fn lookup_accessor(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let (role, _, found) = by_accessor(ctx, view).await?;
    let secret_id: Option<SecretId> = view
        .get(&secret_id_row(&role.generation, &found.fingerprint))
        .await?;
    Ok(secret_id.map_or_else(Reply::none, |secret_id| Reply::map(secret_id.show())))
}

pub(super) async fn destroy_accessor(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let (role, accessor, found) = by_accessor(ctx, view).await?;
    remove(view, &role.generation, &accessor, &found.fingerprint).await?;
    Ok(Reply::none())
}
