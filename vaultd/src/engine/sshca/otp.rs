//! One-time passwords: made for one user at one address, and good once.

use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;
use vault_crypto::uuid_v4;
use zeroize::Zeroizing;

use super::role::{self, Role, RoleKind};
use super::{Prepared, name, zero_address};
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::{LeaseInfo, Reply};

/// By the password's fingerprint, which is the mount's own.
#[derive(Serialize, Deserialize)]
struct Password {
    username: String,
    ip: IpAddr,
    role: String,
    expires: Timestamp,
    due: [u8; 16],
}

fn row(ctx: &Ctx<'_>, password: &str) -> String {
    let mount = ctx.mount.number.to_be_bytes();
    let tag = ctx.prf.tag(&[b"ssh-otp", &mount, password.as_bytes()]);
    format!("otp/{}", hex::encode(tag))
}

pub(super) async fn create(
    ctx: &Ctx<'_>,
    prepared: &Prepared,
    view: &mut View<'_>,
) -> Result<Reply, Fault> {
    let role = role::named(ctx, view).await?;
    if role.kind != RoleKind::Otp {
        return Err(Fault::invalid(
            "this role signs certificates: it makes no passwords",
        ));
    }
    let ip = address(ctx)?;
    if !zero_address::serves(view, ctx.param("name"), &role, ip).await? {
        return Err(Fault::invalid(
            "ip is not within the role's cidr_list, or is excluded from it",
        ));
    }
    let username = username(ctx, &role)?;
    let mount = ctx.mount.config.default_lease_ttl;
    let ttl = if mount > 0 {
        mount
    } else {
        prepared.default_ttl
    };
    let seconds = i64::try_from(ttl).unwrap_or(i64::MAX);
    let expires = ctx.now().checked_add(SignedDuration::from_secs(seconds));
    let expires = expires.map_err(|_| Fault::Internal("a time beyond the calendar"))?;
    let key = Zeroizing::new(uuid_v4(ctx.random));
    let mut due = [0; 16];
    ctx.random.fill(&mut due);
    let row = row(ctx, &key);
    view.put_due(expires, &due, &row).await?;
    let password = Password {
        username,
        ip,
        role: ctx.param("name").to_owned(),
        expires,
        due,
    };
    view.put_unlisted(&row, &password).await?;
    let mut reply = Reply::json(json!({
        "key": key.as_str(),
        "key_type": "otp",
        "username": password.username,
        "ip": ip.to_string(),
        "port": role.port,
    }));
    reply.lease = LeaseInfo {
        duration: ttl,
        ..LeaseInfo::default()
    };
    Ok(reply)
}

pub(super) fn address(ctx: &Ctx<'_>) -> Result<IpAddr, Fault> {
    let text = ctx.body().required("ip")?;
    let parsed = text.parse::<IpAddr>();
    parsed.map_err(|_| Fault::invalid("ip is not an IP address"))
}

fn username(ctx: &Ctx<'_>, role: &Role) -> Result<String, Fault> {
    let asked = ctx
        .body()
        .string("username")?
        .filter(|name| !name.is_empty());
    let username = asked.unwrap_or_else(|| role.default_user.clone());
    name::user(&username, "username")?;
    let allowed = &role.allowed_users;
    match username == role.default_user || *allowed == ["*"] || allowed.contains(&username) {
        true => Ok(username),
        false => Err(Fault::invalid(
            "username has to be in the role's allowed_users, or its default_user",
        )),
    }
}

/// What asks whether the server is there, as Vault's helper for hosts does.
const ECHO: &str = "verify-echo-request";

pub(super) async fn verify(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let given = Zeroizing::new(ctx.body().required("otp")?);
    if *given == ECHO {
        return Ok(Reply::json(json!({ "message": "verify-echo-response" })));
    }
    let row = row(ctx, &given);
    let found: Option<Password> = view.get(&row).await?;
    let unknown = || Fault::invalid("OTP not found: it is unknown, used up or expired");
    let password = found.ok_or_else(unknown)?;
    if password.expires <= ctx.now() {
        return Err(unknown());
    }
    view.delete_unlisted(&row).await?;
    view.delete_due(password.expires, &password.due).await?;
    Ok(Reply::json(json!({
        "username": password.username,
        "ip": password.ip.to_string(),
        "role_name": password.role,
    })))
}

/// A password's time is over.
pub async fn due(view: &mut View<'_>, row: &str, now: Timestamp) -> Result<(), Fault> {
    let found: Option<Password> = view.get(row).await?;
    if found.is_some_and(|password| password.expires <= now) {
        view.delete_unlisted(row).await?;
    }
    Ok(())
}
