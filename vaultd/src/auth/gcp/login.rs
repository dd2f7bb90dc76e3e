//! Login with a signed token. Google is asked before the transaction, which makes sure that config and
//! role are still those that were asked about.

use std::collections::BTreeMap;

use super::claims::Said;
use super::inquiry::{Inquiry, in_the_way};
use super::model::{AliasSource, Bounds, Config, Role, Who};
use super::{config, signers, standing};
use crate::auth::name::RoleName;
use crate::auth::roles;
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::login::{Alias, Login, within};
use crate::core::reply::Reply;
use crate::core::slow::Outside;

/// Who is there, and by which config and role.
pub struct Proof {
    config: Config,
    name: RoleName,
    role: Role,
    who: Who,
    groups: Vec<String>,
}

pub(super) fn changed() -> Fault {
    Fault::invalid("the config or the role was changed meanwhile: try again")
}

pub(super) async fn prove(
    ctx: &Ctx<'_>,
    view: &mut View<'_>,
    outside: &Outside<'_>,
) -> Result<Proof, Fault> {
    let given = ctx.body().string("role")?.unwrap_or_default();
    if given.is_empty() {
        return Err(Fault::invalid("role is required"));
    }
    let name = RoleName::parse(&given)?;
    let role: Option<Role> = roles::get(view, &name).await?;
    let role = role.ok_or_else(|| Fault::invalid("role not found"))?;
    let config = config::load(view).await?;
    let text = ctx.body().string("jwt")?.unwrap_or_default();
    if text.is_empty() {
        return Err(Fault::invalid("jwt argument is required"));
    }
    if !within(&role.token.bound_cidrs, ctx.request.remote) {
        return Err(Fault::Forbidden("permission denied".to_owned()));
    }
    let token = signers::parse(text.trim())?;
    let read = |claims| Said::read(claims, &given, ctx.now()).map_err(Fault::invalid);
    // What cannot succeed does not make us ask anybody.
    let claims = token.unproved();
    let claims = claims.map_err(|error| Fault::invalid(error.to_string()))?;
    let said = read(&claims)?;
    check(ctx, &role, &said).map_err(Fault::invalid)?;
    if let Some(why) = in_the_way(&role, &config) {
        return Err(Fault::invalid(why));
    }
    let claims = signers::verify(ctx, outside, &config, &role, &token, &said).await?;
    let said = read(&claims)?;
    let inquiry = Inquiry {
        outside,
        mount: ctx.mount.number,
        config: &config,
        now: ctx.now(),
    };
    let who = Who {
        account: said.account,
        instance: said.instance,
    };
    let who = inquiry.confirm(&role, who).await?;
    let groups = inquiry.groups(&role, &who).await?;
    Ok(Proof {
        config,
        name,
        role,
        who,
        groups,
    })
}

/// What a role asks of the kind of token.
fn check(ctx: &Ctx<'_>, role: &Role, said: &Said) -> Result<(), String> {
    match (&role.bounds, &said.instance) {
        (Bounds::Gce { .. }, None) => Err(
            "the role takes identity tokens of instances only: from the metadata server, with format=full"
                .to_owned(),
        ),
        (Bounds::Gce { .. }, Some(instance)) => standing::check_place(role, instance),
        (Bounds::Iam { .. }, instance) => {
            check_iam(&role.bounds, said, instance.is_some(), ctx)?;
            standing::check_name(role, &said.account)
        }
    }
}

fn check_iam(bounds: &Bounds, said: &Said, of_instance: bool, ctx: &Ctx<'_>) -> Result<(), String> {
    let Bounds::Iam {
        max_jwt_exp,
        allow_gce_inference,
    } = bounds
    else {
        return Ok(());
    };
    match of_instance {
        // Nobody can choose how long those are good.
        true if *allow_gce_inference => Ok(()),
        true => {
            Err("got an instance's token, but the role does not allow GCE inference".to_owned())
        }
        false if said.ends_within(*max_jwt_exp, ctx.now()) => Ok(()),
        false => Err(format!(
            "role requires that service account JWTs expire within {max_jwt_exp} seconds (max_jwt_exp)"
        )),
    }
}

pub(super) async fn login(
    ctx: &Ctx<'_>,
    proof: &Proof,
    view: &mut View<'_>,
) -> Result<Reply, Fault> {
    let Proof {
        config,
        name,
        role,
        who,
        groups,
    } = proof;
    let now: Option<Role> = roles::get(view, name).await?;
    if config::load(view).await? != *config || now.as_ref() != Some(role) {
        return Err(changed());
    }
    let account = &who.account;
    let known_by = account.email.as_ref().or(account.unique_id.as_ref());
    let (shown, source, wanted) = match &role.bounds {
        Bounds::Iam { .. } => (known_by, config.iam_alias, &config.iam_metadata),
        Bounds::Gce { .. } => {
            let instance = who.instance.as_ref().map(|instance| &instance.name);
            (instance, config.gce_alias, &config.gce_metadata)
        }
    };
    let alias = match source {
        AliasSource::Role => Some(role.id.clone()),
        AliasSource::Account => account.unique_id.clone(),
        AliasSource::Instance => {
            let instance = who.instance.as_ref();
            instance.map(|instance| format!("gce-{}", instance.id))
        }
    };
    let alias = alias.ok_or_else(|| {
        Fault::invalid("unable to create alias: without the mount's credentials the unique id that iam_alias asks for is not known")
    })?;
    let mut metadata = about(who);
    metadata.insert("role", name.as_str().to_owned());
    metadata.retain(|key, _| {
        wanted
            .as_ref()
            .is_none_or(|list| list.iter().any(|one| one == key))
    });
    let metadata: BTreeMap<String, String> = metadata
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect();
    let mount = ctx.mount.name().trim_end_matches('/').replace('/', "-");
    Ok(Reply::login(Login {
        params: role.token.clone(),
        alias: Alias {
            name: alias,
            metadata: metadata.clone(),
            groups: groups.clone(),
        },
        display_name: format!("{mount}-{}", shown.map_or("", String::as_str)),
        metadata,
        role: name.as_str().to_owned(),
        proof: serde_json::to_string(who).map_err(|_| Fault::Internal("who logged in"))?,
        ..Login::default()
    }))
}

/// What is known, under the names that clients know.
fn about(who: &Who) -> BTreeMap<&'static str, String> {
    let mut about = BTreeMap::new();
    let account = [
        ("service_account_id", &who.account.unique_id),
        ("service_account_email", &who.account.email),
        ("project_id", &who.account.project),
    ];
    for (key, value) in account {
        about.extend(value.clone().map(|value| (key, value)));
    }
    if let Some(instance) = &who.instance {
        about.extend([
            ("project_id", instance.project_id.clone()),
            ("project_number", instance.project_number.to_string()),
            ("zone", instance.zone.clone()),
            ("instance_id", instance.id.clone()),
            ("instance_name", instance.name.clone()),
            ("instance_creation_timestamp", instance.created.to_string()),
        ]);
    }
    about
}
