//! Which roles make passwords for which addresses.

use std::net::IpAddr;
use std::sync::Arc;

use serde_json::json;

use super::name::Name;
use super::otp;
use super::role::{Role, RoleKind};
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::login::within;
use crate::core::reply::Reply;

/// Roles for any address.
const ROW: &str = "zeroaddress";

async fn roles(view: &mut View<'_>) -> Result<Vec<String>, Fault> {
    Ok(view.get(ROW).await?.unwrap_or_default())
}

/// Whether a role makes passwords for an address.
pub(super) async fn serves(
    view: &mut View<'_>,
    name: &str,
    role: &Role,
    ip: IpAddr,
) -> Result<bool, Fault> {
    let anywhere = roles(view).await?.iter().any(|other| other == name);
    let inside = !role.cidr_list.is_empty() && within(&role.cidr_list, ip);
    let outside = !role.exclude_cidr_list.is_empty() && within(&role.exclude_cidr_list, ip);
    Ok((anywhere || inside) && !outside)
}

pub(super) async fn lookup(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let ip = otp::address(ctx)?;
    let mut found = Vec::new();
    for name in view.list("roles").await? {
        let role: Option<Arc<Role>> = view.get_shared(&format!("roles/{name}")).await?;
        let Some(role) = role.filter(|role| role.kind == RoleKind::Otp) else {
            continue;
        };
        if serves(view, &name, &role, ip).await? {
            found.push(name);
        }
    }
    Ok(Reply::json(json!({ "roles": found })))
}

pub(super) async fn read(view: &mut View<'_>) -> Result<Reply, Fault> {
    let found: Option<Vec<String>> = view.get(ROW).await?;
    Ok(Reply::json(
        json!({ "roles": found.ok_or(Fault::Missing)? }),
    ))
}

pub(super) async fn write(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let names = ctx.body().list("roles")?.unwrap_or_default();
    if names.is_empty() {
        return Err(Fault::invalid("missing roles"));
    }
    for name in &names {
        let row = Name::parse(name, "role")?.role_row();
        let role: Option<Arc<Role>> = view.get_shared(&row).await?;
        if !role.is_some_and(|role| role.kind == RoleKind::Otp) {
            return Err(Fault::invalid(
                "roles names one that does not exist or is not of key_type \"otp\"",
            ));
        }
    }
    view.put(ROW, &names).await?;
    Ok(Reply::none())
}

pub(super) async fn delete(view: &mut View<'_>) -> Result<Reply, Fault> {
    view.delete(ROW).await?;
    Ok(Reply::none())
}
