//! Settings of a mount.

use serde_json::{Map, Value};

use super::mounts::Table;
use crate::barrier::Tx;
use crate::core::Core;
use crate::core::body::Body;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::lockout::LockoutRules;
use crate::core::mount::{self, Kind, Mount, reserved};
use crate::core::reply::{After, Reply};
use crate::core::unsealed::Unsealed;

pub fn read(core: &Core, vault: &Unsealed, ctx: &Ctx<'_>, table: Table) -> Result<Reply, Fault> {
    let path = table.path(ctx)?;
    let mounts = vault.mounts.load();
    let mount = mounts.get(&path).ok_or_else(|| none_at(&path))?;
    Ok(Reply::map(mount.show_tune(core.ttl.default, core.ttl.max)).top_level())
}

fn none_at(path: &str) -> Fault {
    Fault::invalid(format!(
        "tune of path {path:?} failed: no mount entry found"
    ))
}

pub async fn write(
    vault: &Unsealed,
    ctx: &Ctx<'_>,
    tx: &mut Tx,
    table: Table,
) -> Result<Reply, Fault> {
    let path = table.path(ctx)?;
    let mounts = vault.mounts.load_full();
    let found = mounts.get(&path).ok_or_else(|| none_at(&path))?;
    let mut tuned = (**found).clone();
    if let Some(description) = ctx.body().string("description")? {
        tuned.description = description;
    }
    apply(&mut tuned, ctx.body())?;
    if let Some(options) = ctx.body().strings("options")? {
        if options.get("version").is_some_and(|version| version == "2") && tuned.kind == Kind::Kv1 {
            return Err(Fault::invalid(
                "a version 1 mount cannot become version 2 in place: mount a new one and copy with 'vaultctl kv'",
            ));
        }
        if options.get("version").is_some_and(|version| version == "1") && tuned.kind == Kind::Kv2 {
            return Err(Fault::invalid("cannot downgrade a version 2 mount"));
        }
        tuned.options.get_or_insert_default().extend(options);
    }
    mount::store(&mut tx.view(reserved::MOUNTS), &tuned).await?;
    Ok(Reply {
        after: Some(After::Mounts {
            purge: None,
            ending: None,
            told: Vec::new(),
        }),
        ..Reply::none()
    })
}

/// Fields of a `config` object as a body of their own.
pub fn as_body(config: Map<String, Value>) -> Body {
    let mut body = Body::default();
    for (name, value) in config {
        body.set(&name, &value);
    }
    body
}

/// Applies the fields that are present.
pub fn apply(mount: &mut Mount, body: &Body) -> Result<(), Fault> {
    let config = &mut mount.config;
    // Typed clients send "" for what their caller left out.
    for (name, target) in [
        ("default_lease_ttl", &mut config.default_lease_ttl),
        ("max_lease_ttl", &mut config.max_lease_ttl),
    ] {
        match body.string(name)?.as_deref() {
            None | Some("") => {}
            Some("system") => *target = 0,
            Some(_) => *target = body.seconds(name)?.unwrap_or(0),
        }
    }
    if config.max_lease_ttl != 0 && config.default_lease_ttl > config.max_lease_ttl {
        return Err(Fault::invalid(
            "default_lease_ttl cannot be greater than max_lease_ttl",
        ));
    }
    if let Some(flag) = body.bool("force_no_cache")? {
        config.force_no_cache = flag;
    }
    if let Some(visibility) = body.string("listing_visibility")? {
        if !["", "hidden", "unauth"].contains(&visibility.as_str()) {
            return Err(Fault::invalid(
                "listing_visibility must be 'hidden' or 'unauth'",
            ));
        }
        config.listing_visibility = visibility;
    }
    if let Some(given) = body.map("user_lockout_config")? {
        if !matches!(mount.kind, Kind::Userpass | Kind::Ldap | Kind::Approle) {
            return Err(Fault::invalid(
                "tuning of user lockout configuration is for userpass, ldap and approle",
            ));
        }
        config.lockout = Some(lockout(
            config.lockout.unwrap_or_default(),
            &as_body(given),
        )?);
    }
    if let Some(kind) = body.string("token_type")? {
        crate::core::login::TokenKind::parse(&kind)?;
        config.token_type = kind;
    }
    for (name, target) in [
        (
            "audit_non_hmac_request_keys",
            &mut config.audit_non_hmac_request_keys,
        ),
        (
            "audit_non_hmac_response_keys",
            &mut config.audit_non_hmac_response_keys,
        ),
        (
            "passthrough_request_headers",
            &mut config.passthrough_request_headers,
        ),
        (
            "allowed_response_headers",
            &mut config.allowed_response_headers,
        ),
    ] {
        if let Some(list) = body.list(name)? {
            *target = list;
        }
    }
    Ok(())
}

/// Absent fields keep their value; 0 is Vault's default.
fn lockout(mut rules: LockoutRules, body: &Body) -> Result<LockoutRules, Fault> {
    const KNOWN: [&str; 4] = [
        "lockout_threshold",
        "lockout_duration",
        "lockout_counter_reset_duration",
        "lockout_disable",
    ];
    if body.names().any(|name| !KNOWN.contains(&name)) {
        return Err(Fault::invalid(format!(
            "user_lockout_config knows {}",
            KNOWN.join(", ")
        )));
    }
    let default = LockoutRules::default();
    let set = |value: u64, default: u64| if value == 0 { default } else { value };
    if let Some(threshold) = body.int("lockout_threshold")? {
        let threshold = u32::try_from(threshold)
            .map_err(|_| Fault::invalid("lockout_threshold cannot be negative"))?;
        rules.threshold = if threshold == 0 {
            default.threshold
        } else {
            threshold
        };
    }
    if let Some(seconds) = body.seconds("lockout_duration")? {
        rules.duration = set(seconds, default.duration);
    }
    if let Some(seconds) = body.seconds("lockout_counter_reset_duration")? {
        rules.counter_reset = set(seconds, default.counter_reset);
    }
    if let Some(flag) = body.bool("lockout_disable")? {
        rules.disable = flag;
    }
    Ok(rules)
}
