//! From a proven identity to a token: policies, TTL, limits.

use jiff::Timestamp;
use vault_proto::{Auth, Sensitive};

use super::fault::Fault;
use super::login::{Login, TokenKind};
use super::mount::Mount;
use super::quota;
use super::reply::Reply;
use super::request::Request;
use super::standing::texts;
use super::token::{Issued, Token, plus};
use super::unsealed::Unsealed;
use super::{Core, identity};
use crate::barrier::Tx;
use crate::policy::PolicyName;

/// The system's lease times, in seconds.
#[derive(Debug, Clone, Copy)]
pub struct SystemTtl {
    pub default: u64,
    pub max: u64,
}

/// What a token asks for and what bounds it. 0 is "not set".
#[derive(Debug, Clone, Copy, Default)]
pub struct Asked {
    pub ttl: u64,
    pub max_ttl: u64,
    pub explicit_max_ttl: u64,
    pub period: u64,
}

/// The TTL of a new token, and warnings where it was capped.
pub fn first_ttl(asked: Asked, mount: &Mount, system: SystemTtl) -> (u64, Vec<String>) {
    let mut warnings = Vec::new();
    let set = |value: u64, default: u64| if value == 0 { default } else { value };
    let mount_max = set(mount.config.max_lease_ttl, system.max);
    let mount_default = set(mount.config.default_lease_ttl, system.default).min(mount_max);
    if asked.period > 0 {
        let mut ttl = asked.period.min(mount_max);
        if asked.explicit_max_ttl > 0 {
            ttl = ttl.min(asked.explicit_max_ttl);
        }
        return (ttl, warnings);
    }
    let mut max = mount_max;
    for bound in [asked.max_ttl, asked.explicit_max_ttl] {
        if bound > 0 {
            max = max.min(bound);
        }
    }
    let mut ttl = set(asked.ttl, mount_default);
    if ttl > max {
        if asked.ttl > 0 {
            warnings.push(format!("TTL of \"{ttl}s\" exceeded the effective max_ttl of \"{max}s\"; TTL value is capped accordingly"));
        }
        ttl = max;
    }
    (ttl, warnings)
}

/// Issues the token of a login and answers with its `auth` block.
pub async fn login(
    core: &Core,
    vault: &Unsealed,
    tx: &mut Tx,
    login: Login,
    mount: &Mount,
    request: &Request,
) -> Result<Reply, Fault> {
    let params = &login.params;
    let policies = params.granted();
    if policies.iter().any(PolicyName::is_root) {
        return Err(Fault::invalid("auth methods cannot create root tokens"));
    }
    let asked = Asked {
        ttl: params.ttl,
        max_ttl: params.max_ttl,
        explicit_max_ttl: params.explicit_max_ttl,
        period: params.period,
    };
    let (ttl, mut warnings) = first_ttl(asked, mount, core.ttl);
    let batch = match params.kind {
        TokenKind::Batch => true,
        TokenKind::Service => false,
        TokenKind::Default | TokenKind::DefaultService | TokenKind::DefaultBatch => {
            let mount_type = mount.config.token_type.as_str();
            mount_type == "batch"
                || (mount_type == "default-batch" && params.period == 0 && params.num_uses == 0)
        }
    };
    for name in &policies {
        if !name.is_root() && vault.policy(name).await?.is_none() {
            warnings.push(format!("Policy {:?} does not exist", name.as_str()));
        }
    }
    let entity = identity::enter(tx, mount, login.alias, vault.random(), request.now).await?;
    let added = match &entity {
        Some(entity) => vault.identity_policies(entity).await?,
        None => Vec::new(),
    };
    let token = Token {
        policies,
        entity_id: entity.map(|entity| entity.id).unwrap_or_default(),
        path: login
            .path
            .unwrap_or_else(|| request.path.as_str().to_owned()),
        display_name: login.display_name,
        meta: login.metadata,
        num_uses: if batch { 0 } else { params.num_uses },
        creation_ttl: ttl,
        expires: Some(plus(request.now, ttl)),
        explicit_max_ttl: params.explicit_max_ttl,
        max_ttl: params.max_ttl,
        period: if batch { 0 } else { params.period },
        batch,
        renewable: !batch,
        bound_cidrs: params.bound_cidrs.clone(),
        role: login.role,
        proof: login.proof,
        mount: mount.number,
        ..Token::new(request.now)
    };
    let place = match token.batch {
        true => None,
        false => quota::reserve(vault, mount, &token.path, &token.role).await?,
    };
    let issued = vault.tokens.issue(tx, token, None, vault.random()).await?;
    Ok(Reply {
        warnings,
        place,
        ..answer(issued, &added, request.now)
    })
}

/// The `auth` block for a new token, to which its entity adds policies.
pub fn answer(issued: Issued, added: &[PolicyName], now: Timestamp) -> Reply {
    let secret = Sensitive::new(issued.secret.to_string());
    let auth = auth_block(&issued.token, secret, added, now);
    Reply {
        auth: Some(Box::new(auth)),
        ..Reply::default()
    }
}

pub fn auth_block(
    token: &Token,
    secret: Sensitive<String>,
    added: &[PolicyName],
    now: Timestamp,
) -> Auth {
    let names = token.policy_names().to_vec();
    let mut policies = [names.as_slice(), &texts(added)[..]].concat();
    policies.sort();
    policies.dedup();
    Auth {
        client_token: secret,
        accessor: token.accessor.clone(),
        policies,
        token_policies: names,
        identity_policies: (!added.is_empty()).then(|| texts(added)),
        metadata: (!token.meta.is_empty()).then(|| token.meta.clone()),
        lease_duration: token.ttl_left(now),
        renewable: token.renewable,
        entity_id: token.entity_id.clone(),
        token_type: token.kind_name().to_owned(),
        orphan: token.parent.is_none(),
        mfa_requirement: None,
        num_uses: token.num_uses,
    }
}

/// Moves a token's end. Periodic tokens start their period anew; others never pass their maximum,
/// counted from creation.
pub fn renewed(
    token: &Token,
    increment: Option<u64>,
    mount: Option<&Mount>,
    system: SystemTtl,
    now: Timestamp,
) -> Result<(Token, Vec<String>), Fault> {
    if token.batch {
        return Err(Fault::invalid("batch tokens cannot be renewed"));
    }
    if !token.renewable {
        return Err(Fault::invalid("lease is not renewable"));
    }
    let set = |value: u64, default: u64| if value == 0 { default } else { value };
    let mount_max = mount.map_or(system.max, |mount| {
        set(mount.config.max_lease_ttl, system.max)
    });
    let mut warnings = Vec::new();
    let mut wanted = match (token.period, increment) {
        (0, Some(increment)) if increment > 0 => increment,
        (0, _) => token.creation_ttl,
        (period, _) => period.min(mount_max),
    };
    let mut limits = vec![];
    if token.explicit_max_ttl > 0 {
        limits.push(token.explicit_max_ttl);
    }
    if token.period == 0 {
        limits.push(mount_max);
        if token.max_ttl > 0 {
            limits.push(token.max_ttl);
        }
    }
    let last = limits.into_iter().min().map(|max| plus(token.created, max));
    if let Some(end) = last {
        if end <= now {
            return Err(Fault::invalid("past the max TTL, cannot renew"));
        }
        let room = super::token::seconds_between(now, end);
        if wanted > room {
            warnings.push(format!("TTL of \"{wanted}s\" exceeded the effective max_ttl of \"{room}s\"; TTL value is capped accordingly"));
            wanted = room;
        }
    }
    // `wanted` is in whole seconds, rounded up: the end itself is exact.
    let expires = plus(now, wanted);
    let next = Token {
        expires: Some(last.map_or(expires, |last| expires.min(last))),
        last_renewal: Some(now),
        ..token.clone()
    };
    Ok((next, warnings))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests;
