//! Making tokens: what a child may have is never more than its parent, unless the parent has sudo.

use zeroize::Zeroizing;

use super::clean_display_name;
use super::role::{self, TokenRole};
use crate::barrier::Tx;
use crate::core::caller::Caller;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::identity;
use crate::core::issue::{Asked, answer, first_ttl};
use crate::core::login::{Alias, TokenKind, parse_policies};
use crate::core::quota;
use crate::core::reply::Reply;
use crate::core::token::{Token, plus};
use crate::core::unsealed::Unsealed;
use crate::policy::{Ask, Capability, PolicyName};

pub enum Kind<'a> {
    Child,
    Orphan,
    Role(&'a str),
}

pub async fn run(
    vault: &Unsealed,
    ctx: &Ctx<'_>,
    tx: &mut Tx,
    kind: Kind<'_>,
) -> Result<Reply, Fault> {
    let caller = ctx.caller.ok_or(Fault::BadToken)?;
    let body = ctx.body();
    if caller.token.is_batch() {
        return Err(Fault::invalid("batch tokens cannot create more tokens"));
    }
    if caller.token.num_uses > 0 {
        return Err(Fault::invalid(
            "restricted use token cannot generate child tokens",
        ));
    }
    let sudo = has_sudo(caller, ctx);
    let (role_name, role) = match kind {
        Kind::Role(name) => {
            let role = role::find(tx, name).await?;
            (
                name,
                Some(role.ok_or_else(|| Fault::invalid(format!("unknown role {name}")))?),
            )
        }
        _ => ("", None),
    };

    let no_parent = body.bool("no_parent")?.unwrap_or(false);
    if no_parent && !sudo && role.is_none() {
        return Err(Fault::invalid(
            "root or sudo privileges required to create orphan token",
        ));
    }
    let orphan =
        no_parent || matches!(kind, Kind::Orphan) || role.as_ref().is_some_and(|role| role.orphan);
    let wanted = body.string("id")?.filter(|id| !id.is_empty());
    if let Some(id) = &wanted {
        if !sudo || role.is_some() {
            return Err(Fault::invalid(
                "root or sudo privileges required to specify token id",
            ));
        }
        if id.contains('.') || id.len() > 512 || id.starts_with("hvb") {
            return Err(Fault::invalid(
                "custom token ID cannot have a '.', and is at most 512 bytes",
            ));
        }
    }
    let period = match role.as_ref().map(|role| role.period) {
        Some(period) if period > 0 => period,
        _ => body.seconds("period")?.unwrap_or(0),
    };
    if period > 0 && !sudo && role.as_ref().is_none_or(|role| role.period == 0) {
        return Err(Fault::invalid(
            "root or sudo privileges required to create periodic token",
        ));
    }

    let batch = batch_wanted(ctx, role.as_ref())?;
    let policies = policies(ctx, caller, sudo, role.as_ref())?;
    let is_root = policies.iter().any(PolicyName::is_root);
    if batch && (is_root || period > 0 || wanted.is_some()) {
        return Err(Fault::invalid(
            "batch tokens cannot be root, periodic or have a chosen id",
        ));
    }
    let uses = body.int("num_uses")?.unwrap_or(0);
    let uses =
        u64::try_from(uses).map_err(|_| Fault::invalid("number of uses cannot be negative"))?;
    let uses = role
        .as_ref()
        .filter(|role| role.num_uses > 0)
        .map_or(uses, |role| role.num_uses);
    if batch && uses > 0 {
        return Err(Fault::invalid("batch tokens cannot have limited use count"));
    }

    let explicit = body.seconds("explicit_max_ttl")?.unwrap_or(0);
    let explicit = match role.as_ref().map_or(0, |role| role.explicit_max_ttl) {
        0 => explicit,
        bound if explicit == 0 => bound,
        bound => bound.min(explicit),
    };
    let ttl = match body.seconds("ttl")? {
        Some(ttl) => ttl,
        None => body.seconds("lease")?.unwrap_or(0),
    };
    let asked = Asked {
        ttl,
        max_ttl: 0,
        explicit_max_ttl: explicit,
        period,
    };
    let endless = is_root && ttl == 0 && period == 0 && explicit == 0;
    if is_root && caller.token.expires.is_some() && endless {
        return Err(Fault::invalid(
            "expiring root tokens cannot create non-expiring root tokens",
        ));
    }
    let (ttl, mut warnings) = match endless {
        true => (0, Vec::new()),
        false => first_ttl(asked, ctx.mount, vault.ttl),
    };
    for name in policies.iter().filter(|name| !name.is_root()) {
        if vault.policy(name).await?.is_none() {
            warnings.push(format!("Policy {:?} does not exist", name.as_str()));
        }
    }
    if !batch && period == 0 && uses == 0 && body.has("lease") {
        warnings.push("The 'lease' parameter is deprecated; use 'ttl'".to_owned());
    }
    let display = body
        .string("display_name")?
        .map(|name| clean_display_name(&name))
        .unwrap_or_default();
    let suffix = role
        .as_ref()
        .map(|role| role.path_suffix.as_str())
        .filter(|suffix| !suffix.is_empty());
    let renewable =
        body.bool("renewable")?.unwrap_or(true) && role.as_ref().is_none_or(|role| role.renewable);
    let entity_id = entity(ctx, tx, caller, orphan, role.as_ref()).await?;
    let added = match identity::current(&vault.barrier, &entity_id).await? {
        Some(entity) => vault.identity_policies(&entity).await?,
        None => Vec::new(),
    };
    let token = Token {
        policies,
        entity_id,
        path: match (role_name, suffix) {
            ("", _) => ctx.request.path.as_str().to_owned(),
            (name, None) => format!("auth/token/create/{name}"),
            (name, Some(suffix)) => format!("auth/token/create/{name}/{suffix}"),
        },
        display_name: if display.is_empty() {
            "token".to_owned()
        } else {
            format!("token-{display}")
        },
        meta: body.strings("meta")?.unwrap_or_default(),
        num_uses: uses,
        creation_ttl: ttl,
        expires: (!endless).then(|| plus(ctx.now(), ttl)),
        explicit_max_ttl: explicit,
        period,
        parent: (!orphan).then(|| caller.id.to_string()),
        batch,
        renewable: renewable && !batch && !endless,
        bound_cidrs: role
            .as_ref()
            .map(|role| role.bound_cidrs.clone())
            .unwrap_or_default(),
        role: role_name.to_owned(),
        mount: ctx.mount.number,
        ..Token::new(ctx.now())
    };
    let place = match batch || endless {
        true => None,
        false => quota::reserve(vault, ctx.mount, &token.path, &token.role).await?,
    };
    let issued = vault
        .tokens
        .issue(tx, token, wanted.map(Zeroizing::new), ctx.random)
        .await?;
    Ok(Reply {
        warnings,
        place,
        ..answer(issued, &added, ctx.now())
    })
}

/// A child is its parent's entity; a role may let the caller name another by an alias of this mount.
async fn entity(
    ctx: &Ctx<'_>,
    tx: &mut Tx,
    caller: &Caller,
    orphan: bool,
    role: Option<&TokenRole>,
) -> Result<String, Fault> {
    let Some(alias) = ctx.body().string("entity_alias")?.filter(|a| !a.is_empty()) else {
        return Ok(match orphan {
            true => String::new(),
            false => caller.token.entity_id.clone(),
        });
    };
    let role = role.ok_or_else(|| {
        Fault::invalid("'entity_alias' is only allowed in combination with token role")
    })?;
    let alias = Alias::named(alias.to_lowercase());
    if !role.allows_alias(&alias.name) {
        return Err(Fault::invalid(
            "invalid 'entity_alias' value: the role does not allow it",
        ));
    }
    let found = identity::enter(tx, ctx.mount, alias, ctx.random, ctx.now()).await?;
    Ok(found.map(|entity| entity.id).unwrap_or_default())
}

fn has_sudo(caller: &Caller, ctx: &Ctx<'_>) -> bool {
    let mut ask = Ask::new(ctx.request.path.as_str(), Capability::Update);
    ask.sudo_needed = true;
    caller.is_root() || caller.acl.decide(&ask).allowed
}

fn batch_wanted(ctx: &Ctx<'_>, role: Option<&TokenRole>) -> Result<bool, Fault> {
    let asked = TokenKind::parse(&ctx.body().string("type")?.unwrap_or_default())?;
    Ok(match role.map_or(TokenKind::Default, |role| role.kind) {
        TokenKind::Batch => true,
        TokenKind::Service => false,
        TokenKind::DefaultBatch => asked != TokenKind::Service,
        TokenKind::Default | TokenKind::DefaultService => asked == TokenKind::Batch,
    })
}

/// The policies of the new token: asked for, or the role's, or the parent's; and `default`.
fn policies(
    ctx: &Ctx<'_>,
    caller: &Caller,
    sudo: bool,
    role: Option<&TokenRole>,
) -> Result<Vec<PolicyName>, Fault> {
    let body = ctx.body();
    let parent = &caller.token.policies;
    let asked = body
        .list("policies")?
        .map(|names| parse_policies(&names))
        .transpose()?;
    let asked = asked.filter(|names| !names.is_empty());
    let mut add_default = !body.bool("no_default_policy")?.unwrap_or(false);
    let mut chosen = match (role, asked) {
        (Some(role), asked) => {
            add_default &= !role.no_default_policy;
            let names = asked.unwrap_or_else(|| match role.allowed_policies.is_empty() {
                false => role.allowed_policies.clone(),
                true => parent
                    .iter()
                    .filter(|name| role.allows(name))
                    .cloned()
                    .collect(),
            });
            let refused =
                |name: &&PolicyName| **name != PolicyName::default_policy() && !role.allows(name);
            if names.iter().any(|name| refused(&name)) {
                return Err(Fault::invalid(
                    "token policies must be subset of the role's allowed policies",
                ));
            }
            if !role.has_allow_list() && !sudo && !names.iter().all(|name| parent.contains(name)) {
                return Err(Fault::invalid("child policies must be subset of parent"));
            }
            add_default &= !role
                .disallowed_policies
                .contains(&PolicyName::default_policy());
            names
        }
        (None, None) => {
            add_default &= parent.contains(&PolicyName::default_policy());
            parent.clone()
        }
        (None, Some(names)) => {
            let covered =
                |name: &PolicyName| parent.contains(name) || *name == PolicyName::default_policy();
            if !sudo {
                if !names.iter().all(covered) {
                    return Err(Fault::invalid("child policies must be subset of parent"));
                }
                add_default &= parent.contains(&PolicyName::default_policy());
            }
            names
        }
    };
    if let Some(name) = chosen.iter().find(|name| name.is_response_wrapping()) {
        return Err(Fault::invalid(format!(
            "cannot assign policy {:?}",
            name.as_str()
        )));
    }
    let root = chosen.iter().any(PolicyName::is_root);
    if root && !caller.token.is_root() {
        return Err(Fault::invalid(
            "root tokens may not be created without parent token being root",
        ));
    }
    if root {
        // Other policies add nothing to root.
        return Ok(vec![PolicyName::root()]);
    }
    if add_default && !chosen.contains(&PolicyName::default_policy()) {
        chosen.push(PolicyName::default_policy());
    }
    if body.bool("no_default_policy")?.unwrap_or(false) {
        chosen.retain(|name| *name != PolicyName::default_policy());
    }
    chosen.sort();
    chosen.dedup();
    Ok(chosen)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests;
