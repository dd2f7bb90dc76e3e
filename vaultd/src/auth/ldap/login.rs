//! Login. The directory is asked before the transaction, which makes sure that the config is still the
//! one that was used, and adds the policies that user and groups have here.

use super::Prepared;
use super::config;
use super::directory::{Person, ask};
use super::model::{Config, Group, User};
use super::name::{GroupName, UserName};
use crate::auth::secret::Secret;
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::login::{Alias, Login, TokenParams, within};
use crate::core::reply::Reply;
use crate::core::slow::Outside;
use crate::outbound::Failure;

const PASSWORD_MAX: usize = 1024;

/// Who the directory says that it is, and how it was asked.
pub struct Proof {
    config: Config,
    person: Person,
}

fn refused() -> Fault {
    Fault::invalid("ldap operation failed: failed to bind as user")
}

pub(super) fn changed() -> Fault {
    Fault::invalid("the mount's config was changed meanwhile: try again")
}

pub(super) fn unanswered(failure: &Failure) -> Fault {
    Fault::invalid(format!("ldap operation failed: {failure}"))
}

pub(super) async fn prove(
    ctx: &Ctx<'_>,
    view: &mut View<'_>,
    outside: &Outside<'_>,
) -> Result<Prepared, Fault> {
    let config = config::require(view).await?;
    let name = UserName::parse(ctx.param("name"), config.case_sensitive_names)?;
    let password = Secret::new(ctx.body().string("password")?.unwrap_or_default());
    let password = password.ok_or_else(|| {
        Fault::invalid("password cannot be of zero length when passwordless binds are being denied")
    })?;
    if password.expose().len() > PASSWORD_MAX {
        return Err(Fault::invalid("the password is longer than 1024 bytes"));
    }
    if !within(&config.token.bound_cidrs, ctx.request.remote) {
        return Err(Fault::Forbidden("permission denied".to_owned()));
    }
    let rules = ctx.mount.config.lockout.unwrap_or_default();
    // One person in all spellings, also where case counts for policies.
    let key = name.as_str().to_ascii_lowercase();
    let attempt = outside
        .lockouts
        .begin(ctx.mount.number, &key, rules, ctx.now())?;
    match ask(&config, &name, &password).await {
        Ok(Some(person)) => {
            attempt.succeeded();
            Ok(Prepared::Proven(Box::new(Proof { config, person })))
        }
        Ok(None) => {
            attempt.failed();
            Err(refused())
        }
        Err(failure) => Err(unanswered(&failure)),
    }
}

/// Policies of the user and of his groups, those of the directory and those given here; and all the
/// groups.
pub(super) async fn granted(
    config: &Config,
    name: &UserName,
    from_directory: &[String],
    view: &mut View<'_>,
) -> Result<(TokenParams, Vec<String>), Fault> {
    let user: User = view.get(&name.row()).await?.unwrap_or_default();
    let mut groups = from_directory.to_vec();
    groups.extend(user.groups);
    groups.sort();
    groups.dedup();
    let mut params = config.token.clone();
    params.policies.extend(user.policies);
    for group in &groups {
        // One with an odd name has no policies here.
        if let Ok(group) = GroupName::parse(group, config.case_sensitive_names) {
            let group: Option<Group> = view.get(&group.row()).await?;
            params.policies.extend(group.unwrap_or_default().policies);
        }
    }
    params.policies.sort();
    params.policies.dedup();
    Ok((params, groups))
}

pub(super) async fn login(
    ctx: &Ctx<'_>,
    proof: &Proof,
    view: &mut View<'_>,
) -> Result<Reply, Fault> {
    let Proof { config, person } = proof;
    if config::require(view).await? != *config {
        return Err(changed());
    }
    let name = UserName::parse(ctx.param("name"), config.case_sensitive_names)?;
    let (params, groups) = granted(config, &name, &person.groups, view).await?;
    let name = name.as_str().to_owned();
    let mount = ctx.mount.name().trim_end_matches('/').replace('/', "-");
    let reply = Reply::login(Login {
        params,
        alias: Alias {
            name: person.alias.clone(),
            metadata: [("name".to_owned(), name.clone())].into(),
            groups,
        },
        display_name: format!("{mount}-{name}"),
        metadata: [("username".to_owned(), name.clone())].into(),
        // In one spelling, so that revoking by prefix finds all of a user's tokens.
        path: Some(format!("{}login/{name}", ctx.mount.path)),
        proof: serde_json::to_string(&person.groups)
            .map_err(|_| Fault::Internal("groups of a login"))?,
        role: name,
    });
    Ok(match person.groups.is_empty() && !config.group_dn.is_empty() {
        true => reply.warn("no LDAP groups found in groupdn; only policies from locally-defined groups available"),
        false => reply,
    })
}
