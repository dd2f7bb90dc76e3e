//! Login with a person's GitHub token. GitHub is asked before the transaction, which makes sure that
//! the config is still the one that was asked about.

use super::api::Api;
use super::config::{self, Config};
use super::routes::Whose;
use super::{Prepared, map};
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::login::{Alias, Login, TokenParams, within};
use crate::core::reply::Reply;
use crate::core::slow::Outside;
use crate::outbound::Failure;

/// Who GitHub says the token belongs to.
pub struct Member {
    config: Config,
    user: String,
    /// Name and slug of each of the person's teams in the organisation.
    teams: Vec<String>,
}

fn refused(failure: Failure) -> Fault {
    match failure {
        Failure::Status(401) => Fault::invalid("GitHub does not know the token"),
        Failure::Header => Fault::invalid("the token holds characters that no token has"),
        failure => Fault::invalid(format!("GitHub does not answer as expected: {failure}")),
    }
}

pub(super) async fn prove(
    ctx: &Ctx<'_>,
    view: &mut View<'_>,
    outside: &Outside<'_>,
) -> Result<Prepared, Fault> {
    let token = zeroize::Zeroizing::new(ctx.body().required("token")?);
    let token = token.trim();
    let config = config::require(view).await?;
    if !within(&config.token.bound_cidrs, ctx.request.remote) {
        return Err(Fault::Forbidden("permission denied".to_owned()));
    }
    let api = Api {
        outbound: outside.outbound,
        base: config.url()?,
    };
    let user = api.user(token).await.map_err(refused)?.login;
    let organizations = api.organizations(token).await;
    // A token that may not list organisations proves no membership.
    let member = match organizations {
        Ok(all) => all.iter().any(|one| one.id == config.organization_id),
        Err(Failure::Status(403) | Failure::Answer(_)) => false,
        Err(failure) => return Err(refused(failure)),
    };
    if !member {
        // The status that clients know this answer by.
        return Err(Fault::Refused("user is not part of required org"));
    }
    let teams = api.teams(token).await.map_err(refused)?;
    let mut names = Vec::new();
    for team in teams {
        if team.organization.id == config.organization_id {
            names.extend([team.name, team.slug]);
        }
    }
    names.sort();
    names.dedup();
    Ok(Prepared::Member(Box::new(Member {
        config,
        user,
        teams: names,
    })))
}

pub(super) async fn login(
    ctx: &Ctx<'_>,
    member: &Member,
    view: &mut View<'_>,
) -> Result<Reply, Fault> {
    let Member {
        config,
        user,
        teams,
    } = member;
    if config::require(view).await? != *config {
        return Err(Fault::invalid(
            "the config was changed meanwhile: try again",
        ));
    }
    let mut params = config.token.clone();
    params
        .policies
        .extend(map::policies(Whose::Teams, teams, view).await?);
    let own = std::slice::from_ref(user);
    params
        .policies
        .extend(map::policies(Whose::Users, own, view).await?);
    params.policies.sort();
    params.policies.dedup();
    let mount = ctx.mount.name().trim_end_matches('/').replace('/', "-");
    let metadata = [("username", user), ("org", &config.organization)];
    Ok(Reply::login(Login {
        params,
        alias: Alias {
            groups: teams.clone(),
            ..Alias::named(user.clone())
        },
        display_name: format!("{mount}-{user}"),
        metadata: metadata
            .map(|(key, value)| (key.to_owned(), value.clone()))
            .into(),
        role: user.clone(),
        ..Login::default()
    }))
}

/// The token settings that hold now; GitHub is not asked again, since its token is not kept.
pub async fn renewed(view: &mut View<'_>) -> Result<Option<TokenParams>, Fault> {
    Ok(config::get(view).await?.map(|config| config.token))
}
