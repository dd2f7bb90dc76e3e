//! Issuers that sign for everybody: what a role has to bind so that it lets in the jobs of one owner,
//! and no stranger's. An audience is no bind: a job chooses it.

use serde_json::Value;

use super::model::{Config, Match, Role, RoleType, Source};
use crate::outbound::Url;

/// What a role's binds are worth.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// To what never becomes another's; or the issuer is not shared.
    Bound,
    /// To names, which can become another's.
    NamesOnly(String),
    /// To nothing that a stranger's job does not have as well.
    Strangers(String),
}

/// One of them. Claims as their documentation names them.
struct Shared {
    name: &'static str,
    host: &'static str,
    /// Claims that hold a number or UUID which is never given to another.
    ids: &'static [&'static str],
    /// What stands before and after such an id inside of `sub`.
    ids_in_sub: &'static [(&'static str, &'static str)],
    /// Claims that name the owner: what stands before the name, and after it. Nothing after it means
    /// that the name is all of it.
    owners: &'static [(&'static str, &'static str, &'static str)],
    /// Each organisation has an issuer of its own there.
    one_organisation: bool,
    advice: &'static str,
}

#[rustfmt::skip]
const SHARED: &[Shared] = &[
    Shared {
        name: "GitHub Actions",
        host: "token.actions.githubusercontent.com",
        ids: &["repository_id", "repository_owner_id", "enterprise_id"],
        ids_in_sub: &[("repository_id:", ":"), ("repository_owner_id:", ":")],
        owners: &[
            ("repository", "", "/"), ("repository_owner", "", ""), ("sub", "repo:", "/"),
            ("sub", "repository_owner:", ":"), ("workflow_ref", "", "/"), ("enterprise", "", ""),
        ],
        one_organisation: false,
        advice: "repository_owner_id or repository_id",
    },
    Shared {
        name: "GitLab",
        host: "gitlab.com",
        ids: &["project_id", "namespace_id"],
        ids_in_sub: &[],
        owners: &[
            ("project_path", "", "/"), ("namespace_path", "", ""), ("namespace_path", "", "/"),
            ("sub", "project_path:", "/"),
        ],
        one_organisation: false,
        advice: "namespace_id or project_id",
    },
    Shared {
        name: "Buildkite",
        host: "agent.buildkite.com",
        ids: &["organization_id", "pipeline_id", "cluster_id"],
        ids_in_sub: &[],
        owners: &[("organization_slug", "", ""), ("sub", "organization:", ":")],
        one_organisation: false,
        advice: "organization_id or pipeline_id",
    },
    Shared {
        name: "CircleCI",
        host: "oidc.circleci.com",
        ids: &["oidc.circleci.com/project-id", "oidc.circleci.com/context-ids"],
        ids_in_sub: &[("/project/", "/")],
        owners: &[],
        one_organisation: true,
        advice: "oidc.circleci.com/project-id",
    },
];

/// How far a bind narrows who can meet it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Worth {
    Nothing,
    Name,
    Id,
}

impl Shared {
    /// The one whose keys the config trusts.
    fn of(config: &Config) -> Option<&'static Shared> {
        let named = |text: &str| {
            let url = Url::parse(text).ok()?;
            let shared = SHARED.iter().find(|one| one.host == url.bare_host())?;
            // An enterprise may have an issuer of its own below GitHub's.
            let path = text
                .split(shared.host)
                .nth(1)
                .unwrap_or("")
                .trim_matches('/');
            let own = shared.host.starts_with("token.actions") && !path.is_empty();
            (!own || path.starts_with(".well-known")).then_some(shared)
        };
        if !config.bound_issuer.is_empty() {
            return named(&config.bound_issuer);
        }
        match &config.source {
            Source::Discovery(place) | Source::Jwks(place) => named(place.url.as_str()),
            Source::Pairs(places) => places.iter().find_map(|place| named(place.url.as_str())),
            Source::Keys(_) => None,
        }
    }

    /// What one expected value is worth; `text` is a pattern if `glob`.
    fn worth(&self, claim: &str, text: &str, glob: bool) -> Worth {
        let literal = match text.split_once('*') {
            Some((literal, _)) if glob => literal,
            _ => text,
        };
        let whole = literal.len() == text.len() && !text.is_empty();
        let ends = |rest: &str, after: &str| match rest.split_once(after) {
            Some((name, _)) if !after.is_empty() => !name.is_empty(),
            _ => whole && !rest.is_empty(),
        };
        let id_in_sub = |(before, after): &(&str, &str)| {
            let found = literal.split_once(before);
            claim == "sub" && found.is_some_and(|(_, rest)| ends(rest, after))
        };
        if self.ids.contains(&claim) && whole || self.ids_in_sub.iter().any(id_in_sub) {
            return Worth::Id;
        }
        let named = self.owners.iter().any(|(owner, before, after)| {
            let rest = literal.strip_prefix(before);
            *owner == claim && rest.is_some_and(|rest| ends(rest, after))
        });
        match named {
            true => Worth::Name,
            false => Worth::Nothing,
        }
    }

    /// The best of the role's binds; of several values one will do, so the weakest of them counts.
    fn best(&self, role: &Role) -> Worth {
        let glob = role.bound_claims_type == Match::Glob;
        let claims = role.bound_claims.iter().map(|(claim, expected)| {
            let claim = claim.strip_prefix('/').unwrap_or(claim).replace("~1", "/");
            let values = match expected {
                Value::Array(list) => list.as_slice(),
                one => std::slice::from_ref(one),
            };
            let worth = values.iter().map(|value| match value {
                Value::String(text) => self.worth(&claim, text, glob),
                other => self.worth(&claim, &other.to_string(), false),
            });
            worth.min().unwrap_or(Worth::Nothing)
        });
        let subject = self.worth("sub", &role.bound_subject, false);
        claims.max().unwrap_or(Worth::Nothing).max(subject)
    }
}

/// What the role's binds are worth under this config.
pub(super) fn judge(config: &Config, role: &Role) -> Judgement {
    let Some(shared) = Shared::of(config).filter(|_| role.role_type == RoleType::Jwt) else {
        return Judgement::Bound;
    };
    let (name, advice) = (shared.name, shared.advice);
    match shared.best(role) {
        Worth::Id => Judgement::Bound,
        _ if shared.one_organisation => Judgement::NamesOnly(format!(
            "the role does not bind a project by its id: jobs of every project of the organisation at {name} may meet it; add {advice} to bound_claims"
        )),
        Worth::Name => Judgement::NamesOnly(format!(
            "the role binds the owner by name only, and {name} signs for everybody: who gets a name that was given up or changed can log in; add {advice} to bound_claims"
        )),
        Worth::Nothing => Judgement::Strangers(format!(
            "the role does not bind whose jobs may log in, and {name} signs for everybody, with any audience that a job asks for: a stranger's job could log in; add {advice} to bound_claims"
        )),
    }
}

#[cfg(test)]
mod tests;
