//! Token roles: what tokens made through them may be.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::barrier::Tx;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::login::{TokenKind, parse_cidrs, parse_policies, show_cidrs};
use crate::core::mount::reserved;
use crate::core::reply::Reply;
use crate::policy::PolicyName;

/// Durations in seconds; 0 is "not set".
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TokenRole {
    pub allowed_policies: Vec<PolicyName>,
    pub disallowed_policies: Vec<PolicyName>,
    pub allowed_policies_glob: Vec<String>,
    pub disallowed_policies_glob: Vec<String>,
    pub allowed_entity_aliases: Vec<String>,
    pub orphan: bool,
    pub renewable: bool,
    pub period: u64,
    pub explicit_max_ttl: u64,
    pub num_uses: u64,
    pub no_default_policy: bool,
    pub path_suffix: String,
    pub bound_cidrs: Vec<IpNet>,
    pub kind: TokenKind,
}

impl Default for TokenRole {
    fn default() -> TokenRole {
        TokenRole {
            allowed_policies: Vec::new(),
            disallowed_policies: Vec::new(),
            allowed_policies_glob: Vec::new(),
            disallowed_policies_glob: Vec::new(),
            allowed_entity_aliases: Vec::new(),
            orphan: false,
            renewable: true,
            period: 0,
            explicit_max_ttl: 0,
            num_uses: 0,
            no_default_policy: false,
            path_suffix: String::new(),
            bound_cidrs: Vec::new(),
            kind: TokenKind::DefaultService,
        }
    }
}

impl TokenRole {
    /// Whether tokens may be those of the entity with this alias, in lower case.
    pub fn allows_alias(&self, alias: &str) -> bool {
        let mut globs = self.allowed_entity_aliases.iter();
        globs.any(|glob| glob_matches(&glob.to_lowercase(), alias))
    }

    /// Whether the role's lists let a policy through. Without an allow-list any is.
    pub fn allows(&self, name: &PolicyName) -> bool {
        let globbed = |globs: &[String]| globs.iter().any(|glob| glob_matches(glob, name.as_str()));
        if self.disallowed_policies.contains(name) || globbed(&self.disallowed_policies_glob) {
            return false;
        }
        !self.has_allow_list()
            || self.allowed_policies.contains(name)
            || globbed(&self.allowed_policies_glob)
    }

    pub fn has_allow_list(&self) -> bool {
        !self.allowed_policies.is_empty() || !self.allowed_policies_glob.is_empty()
    }
}

/// `*` stands for any text, anywhere.
fn glob_matches(glob: &str, text: &str) -> bool {
    let mut parts = glob.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in middle {
        let Some(at) = rest.find(part) else {
            return false;
        };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

fn row(name: &str) -> String {
    format!("role/{name}")
}

pub async fn find(tx: &mut Tx, name: &str) -> Result<Option<TokenRole>, Fault> {
    Ok(tx.view(reserved::TOKENS).get(&row(name)).await?)
}

pub async fn list(ctx: &Ctx<'_>, tx: &mut Tx) -> Result<Reply, Fault> {
    ctx.list_in(&mut tx.view(reserved::TOKENS), "role").await
}

pub async fn delete(ctx: &Ctx<'_>, tx: &mut Tx) -> Result<Reply, Fault> {
    tx.view(reserved::TOKENS)
        .delete(&row(ctx.param("role")))
        .await?;
    Ok(Reply::none())
}

pub async fn read(ctx: &Ctx<'_>, tx: &mut Tx) -> Result<Reply, Fault> {
    let name = ctx.param("role");
    let role = find(tx, name).await?.ok_or(Fault::Missing)?;
    Ok(Reply::json(json!({
        "name": name,
        "allowed_policies": role.allowed_policies,
        "disallowed_policies": role.disallowed_policies,
        "allowed_policies_glob": role.allowed_policies_glob,
        "disallowed_policies_glob": role.disallowed_policies_glob,
        "allowed_entity_aliases": role.allowed_entity_aliases,
        "orphan": role.orphan,
        "renewable": role.renewable,
        "period": role.period,
        "token_period": role.period,
        "explicit_max_ttl": role.explicit_max_ttl,
        "token_explicit_max_ttl": role.explicit_max_ttl,
        "token_num_uses": role.num_uses,
        "token_no_default_policy": role.no_default_policy,
        "path_suffix": role.path_suffix,
        "token_bound_cidrs": show_cidrs(&role.bound_cidrs),
        "token_type": role.kind.as_str(),
    })))
}

/// Sets to clients: one that compares orders finds no difference.
fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names.dedup();
    names
}

pub async fn write(ctx: &Ctx<'_>, tx: &mut Tx) -> Result<Reply, Fault> {
    let name = ctx.param("role");
    let body = ctx.body();
    let mut role = find(tx, name).await?.unwrap_or_default();
    if let Some(names) = body.list("allowed_policies")? {
        role.allowed_policies = parse_policies(&names)?;
    }
    if let Some(names) = body.list("disallowed_policies")? {
        role.disallowed_policies = parse_policies(&names)?;
    }
    if let Some(globs) = body.list("allowed_policies_glob")? {
        role.allowed_policies_glob = sorted(globs);
    }
    if let Some(globs) = body.list("disallowed_policies_glob")? {
        role.disallowed_policies_glob = sorted(globs);
    }
    if let Some(names) = body.list("allowed_entity_aliases")? {
        role.allowed_entity_aliases = sorted(names);
    }
    if let Some(orphan) = body.bool("orphan")? {
        role.orphan = orphan;
    }
    if let Some(renewable) = body.bool("renewable")? {
        role.renewable = renewable;
    }
    if let Some(period) = first(body.seconds("token_period")?, body.seconds("period")?) {
        role.period = period;
    }
    if let Some(max) = first(
        body.seconds("token_explicit_max_ttl")?,
        body.seconds("explicit_max_ttl")?,
    ) {
        role.explicit_max_ttl = max;
    }
    if let Some(uses) = body.int("token_num_uses")? {
        role.num_uses = u64::try_from(uses)
            .map_err(|_| Fault::invalid("'token_num_uses' cannot be negative"))?;
    }
    if let Some(flag) = body.bool("token_no_default_policy")? {
        role.no_default_policy = flag;
    }
    if let Some(suffix) = body.string("path_suffix")? {
        let fine = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if !suffix.chars().all(fine) || suffix.contains("..") {
            return Err(Fault::invalid(
                "path_suffix may hold letters, digits, '-', '_' and '.'",
            ));
        }
        role.path_suffix = suffix;
    }
    if let Some(cidrs) = first(body.list("token_bound_cidrs")?, body.list("bound_cidrs")?) {
        role.bound_cidrs = parse_cidrs(&cidrs, "token_bound_cidrs")?;
    }
    if let Some(kind) = body.string("token_type")? {
        role.kind = TokenKind::parse(&kind)?;
    }
    if role.kind == TokenKind::Batch && (role.period != 0 || role.num_uses != 0) {
        return Err(Fault::invalid(
            "'token_type' cannot be 'batch' with a period or a number of uses",
        ));
    }
    tx.view(reserved::TOKENS).put(&row(name), &role).await?;
    Ok(Reply::none())
}

fn first<T>(new: Option<T>, old: Option<T>) -> Option<T> {
    new.or(old)
}
