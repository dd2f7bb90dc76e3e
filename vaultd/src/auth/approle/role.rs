//! Roles: created, changed as a whole or one property at a time, deleted.

use ipnet::IpNet;
use serde_json::{Map, Value, json};

use super::model::{Credential, Role, RoleName, RoleRef, role_id_row};
use super::routes::Property;
use super::tidy;
use crate::barrier::View;
use crate::core::body::Body;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::login::{TokenKind, TokenParams, parse_cidrs, parse_policies};
use crate::core::reply::Reply;
use crate::policy::PolicyName;

impl Role {
    /// A role as it is before its first update.
    fn new(ctx: &Ctx<'_>) -> Role {
        Role {
            generation: vault_crypto::uuid_v4(ctx.random),
            role_id: vault_crypto::uuid_v4(ctx.random),
            bind_secret_id: true,
            secret_id_bound_cidrs: Vec::new(),
            secret_id_num_uses: 0,
            secret_id_ttl: 0,
            local_secret_ids: false,
            token: TokenParams::default(),
            old_policies: false,
            old_period: false,
        }
    }

    /// Applies the fields that are present; the others keep their value.
    fn update(&mut self, body: &Body) -> Result<(), Fault> {
        if body.asks("role_id") {
            self.role_id = parse_role_id(body)?;
        }
        if let Some(flag) = body.bool("bind_secret_id")? {
            self.bind_secret_id = flag;
        }
        if let Some(uses) = body.int("secret_id_num_uses")? {
            self.secret_id_num_uses = u64::try_from(uses)
                .map_err(|_| Fault::invalid("secret_id_num_uses cannot be negative"))?;
        }
        if let Some(seconds) = body.seconds("secret_id_ttl")? {
            self.secret_id_ttl = seconds;
        }
        for field in ["bound_cidr_list", "secret_id_bound_cidrs"] {
            if let Some(cidrs) = body.list(field)? {
                self.secret_id_bound_cidrs = parse_cidrs(&cidrs, field)?;
            }
        }
        self.update_token(body)
    }

    /// The token fields, and those that had another name before Vault 1.2.
    fn update_token(&mut self, body: &Body) -> Result<(), Fault> {
        if let Some(names) = body.list("policies")? {
            self.token.policies = parse_policies(&names)?;
            self.old_policies = !names.is_empty();
        } else if body.has("token_policies") {
            self.old_policies = false;
        }
        if let Some(seconds) = body.seconds("period")? {
            self.token.period = seconds;
            self.old_period = seconds != 0;
        } else if body.has("token_period") {
            self.old_period = false;
        }
        self.token.update(body)
    }

    fn check(&self) -> Result<(), Fault> {
        if self.token.policies.iter().any(PolicyName::is_root) {
            return Err(Fault::invalid("a role cannot grant the policy \"root\""));
        }
        let bound = !self.secret_id_bound_cidrs.is_empty() || !self.token.bound_cidrs.is_empty();
        if self.bind_secret_id || bound {
            return Ok(());
        }
        Err(Fault::invalid(
            "at least one constraint should be enabled on the role",
        ))
    }

    /// The role as a read shows it: without its role id.
    fn show(&self) -> Map<String, Value> {
        let mut map = Map::new();
        self.token.show(&mut map);
        map.insert("bind_secret_id".into(), json!(self.bind_secret_id));
        map.insert(
            "secret_id_bound_cidrs".into(),
            show_bound(&self.secret_id_bound_cidrs),
        );
        map.insert("secret_id_num_uses".into(), json!(self.secret_id_num_uses));
        map.insert("secret_id_ttl".into(), json!(self.secret_id_ttl));
        map.insert("local_secret_ids".into(), json!(self.local_secret_ids));
        if self.old_policies {
            map.insert("policies".into(), json!(self.token.policies));
        }
        if self.old_period {
            map.insert("period".into(), json!(self.token.period));
        }
        map
    }
}

/// Clients expect null, not an empty list.
fn show_bound(nets: &[IpNet]) -> Value {
    if nets.is_empty() {
        Value::Null
    } else {
        json!(nets)
    }
}

fn parse_role_id(body: &Body) -> Result<String, Fault> {
    let text = body.string("role_id")?.unwrap_or_default();
    let role_id =
        Credential::parse(text, "role_id")?.ok_or_else(|| Fault::invalid("missing role_id"))?;
    if role_id.expose().len() > 512 {
        return Err(Fault::invalid("role_id is longer than 512 bytes"));
    }
    Ok(role_id.expose().to_owned())
}

/// The role that the path names, if it exists.
pub(super) async fn find(
    ctx: &Ctx<'_>,
    view: &mut View<'_>,
) -> Result<Option<(RoleName, Role)>, Fault> {
    let name = RoleName::parse(ctx.param("name"))?;
    Ok(view.get(&name.row()).await?.map(|role| (name, role)))
}

/// The role that the path names.
pub(super) async fn require(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<(RoleName, Role), Fault> {
    find(ctx, view)
        .await?
        .ok_or_else(|| Fault::NoRoute("role does not exist; create it first".into()))
}

/// Stores the role, and moves the row of its role id if that changed.
async fn save(
    ctx: &Ctx<'_>,
    view: &mut View<'_>,
    name: &RoleName,
    role: &Role,
    old_role_id: Option<&str>,
) -> Result<(), Fault> {
    role.check()?;
    if old_role_id != Some(role.role_id.as_str()) {
        let row = role_id_row(ctx.prf, &role.role_id);
        if view.exists(&row).await? {
            return Err(Fault::invalid("role_id already in use"));
        }
        if let Some(old) = old_role_id {
            view.delete_unlisted(&role_id_row(ctx.prf, old)).await?;
        }
        view.put_unlisted(
            &row,
            &RoleRef {
                name: name.as_str().to_owned(),
            },
        )
        .await?;
    }
    view.put(&name.row(), role).await?;
    Ok(())
}

pub(super) async fn list(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    ctx.list_in(view, "role").await
}

pub(super) async fn read(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let (_, role) = find(ctx, view).await?.ok_or(Fault::Missing)?;
    Ok(Reply::map(role.show()))
}

pub(super) async fn write(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let name = RoleName::parse(ctx.param("name"))?;
    let stored: Option<Role> = view.get(&name.row()).await?;
    let old_role_id = stored.as_ref().map(|role| role.role_id.clone());
    let mut role = stored.unwrap_or_else(|| Role::new(ctx));
    if let Some(flag) = ctx.body().bool("local_secret_ids")? {
        if old_role_id.is_some() && flag != role.local_secret_ids {
            return Err(Fault::invalid(
                "local_secret_ids can only be modified during role creation",
            ));
        }
        role.local_secret_ids = flag;
    }
    role.update(ctx.body())?;
    let reply = plain_kind(&mut role);
    save(ctx, view, &name, &role, old_role_id.as_deref()).await?;
    Ok(reply)
}

/// The `default-` kinds are for mounts; for a role they mean the plain ones.
fn plain_kind(role: &mut Role) -> Reply {
    let (kind, warning) = match role.token.kind {
        TokenKind::DefaultService => (
            TokenKind::Service,
            "default-service has no useful meaning; adjusting to service",
        ),
        TokenKind::DefaultBatch => (
            TokenKind::Batch,
            "default-batch has no useful meaning; adjusting to batch",
        ),
        _ => return Reply::none(),
    };
    role.token.kind = kind;
    Reply::none().warn(warning)
}

/// Without the role's row its secret ids are dead; those that do not fit into this transaction are
/// left to tidy.
pub(super) async fn delete(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    if let Some((name, role)) = find(ctx, view).await? {
        view.delete(&name.row()).await?;
        view.delete_unlisted(&role_id_row(ctx.prf, &role.role_id))
            .await?;
        tidy::bury(view, &role.generation).await?;
    }
    Ok(Reply::none())
}

pub(super) async fn read_property(
    property: Property,
    ctx: &Ctx<'_>,
    view: &mut View<'_>,
) -> Result<Reply, Fault> {
    let (_, role) = find(ctx, view).await?.ok_or(Fault::Missing)?;
    if property == Property::BoundCidrList {
        let reply =
            Reply::json(json!({ "bound_cidr_list": show_bound(&role.secret_id_bound_cidrs) }));
        return Ok(reply.warn("bound_cidr_list is deprecated; use secret_id_bound_cidrs instead"));
    }
    let mut shown = role.show();
    shown.insert("role_id".into(), json!(role.role_id));
    shown.retain(|field, _| property.fields().split(' ').any(|name| name == field));
    Ok(Reply::map(shown))
}

/// Other fields of the body are not looked at: a policy may allow this path alone.
pub(super) async fn write_property(
    property: Property,
    ctx: &Ctx<'_>,
    view: &mut View<'_>,
) -> Result<Reply, Fault> {
    let (name, mut role) = require(ctx, view).await?;
    let mut narrowed = Body::default();
    for field in property.fields().split(' ') {
        if let Some(value) = ctx.body().value(field) {
            narrowed.set(field, &value);
        }
    }
    if narrowed.is_empty() {
        let field = property.fields().split(' ').next().unwrap_or_default();
        return Err(Fault::invalid(format!("missing {field}")));
    }
    let old_role_id = role.role_id.clone();
    role.update(&narrowed)?;
    save(ctx, view, &name, &role, Some(&old_role_id)).await?;
    Ok(Reply::none())
}

pub(super) async fn reset_property(
    property: Property,
    ctx: &Ctx<'_>,
    view: &mut View<'_>,
) -> Result<Reply, Fault> {
    let Some((name, mut role)) = find(ctx, view).await? else {
        return Ok(Reply::none());
    };
    let default = match property {
        Property::BindSecretId => json!(true),
        Property::Policies
        | Property::SecretIdBoundCidrs
        | Property::BoundCidrList
        | Property::TokenBoundCidrs => json!([]),
        Property::Period
        | Property::SecretIdNumUses
        | Property::SecretIdTtl
        | Property::TokenMaxTtl
        | Property::TokenNumUses
        | Property::TokenTtl => json!(0),
        Property::RoleId | Property::LocalSecretIds => return Err(Fault::Unsupported),
    };
    let mut body = Body::default();
    for field in property.fields().split(' ') {
        body.set(field, &default);
    }
    role.update(&body)?;
    let role_id = role.role_id.clone();
    save(ctx, view, &name, &role, Some(&role_id)).await?;
    Ok(Reply::none())
}
