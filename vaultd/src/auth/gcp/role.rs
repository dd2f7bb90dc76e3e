//! What a role may hold. One that would let in strangers is refused: everybody may make service
//! accounts and machines at Google.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use vault_crypto::uuid_v4;

use super::claims::{EXPIRY_MAX, is_account};
use super::config;
use super::inquiry::in_the_way;
use super::model::{Bounds, Role};
use crate::auth::name::RoleName;
use crate::auth::{roles, token_fields};
use crate::barrier::View;
use crate::core::body::Body;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::login::TokenParams;
use crate::core::reply::Reply;

/// Seconds within which a token must end, unless the role says otherwise.
const MAX_JWT_EXP: u64 = 900;
const IAM_ONLY: [&str; 2] = ["max_jwt_exp", "allow_gce_inference"];
const GCE_ONLY: [&str; 7] = [
    "bound_zones",
    "bound_zone",
    "bound_regions",
    "bound_region",
    "bound_instance_groups",
    "bound_instance_group",
    "bound_labels",
];

/// Creates or changes a role.
pub(super) async fn write(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let name = RoleName::parse(ctx.param("name"))?;
    let given = ctx.body().string("type")?;
    let role = match roles::get::<Role>(view, &name).await? {
        Some(role) => match given.is_none_or(|given| given == role.bounds.type_name()) {
            true => role,
            false => {
                return Err(Fault::invalid(
                    "role type cannot be changed for an existing role",
                ));
            }
        },
        None => Role {
            id: uuid_v4(ctx.random),
            bounds: Bounds::new(&given.unwrap_or_default())?,
            service_accounts: Vec::new(),
            projects: Vec::new(),
            add_group_aliases: false,
            token: TokenParams::default(),
        },
    };
    store(ctx, &name, role, view, |role| role.update(ctx.body())).await
}

pub(super) async fn read(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let name = RoleName::parse(ctx.param("name"))?;
    let role: Option<Role> = roles::get(view, &name).await?;
    Ok(Reply::map(role.ok_or(Fault::Missing)?.show()))
}

/// Stores the changed role, if it makes sense.
async fn store(
    ctx: &Ctx<'_>,
    name: &RoleName,
    mut role: Role,
    view: &mut View<'_>,
    change: impl FnOnce(&mut Role) -> Result<(), Fault>,
) -> Result<Reply, Fault> {
    change(&mut role)?;
    role.check()?;
    view.put(&name.row(), &role).await?;
    let mut reply = Reply::none();
    for (old, new) in [
        ("service_accounts", "bound_service_accounts"),
        ("project_id", "bound_projects"),
        ("bound_zone", "bound_zones"),
        ("bound_region", "bound_regions"),
        ("bound_instance_group", "bound_instance_groups"),
    ] {
        if ctx.body().asks(old) {
            reply = reply.warn(format!("the field {old} is deprecated: use {new}"));
        }
    }
    if let Bounds::Gce { zones, regions, .. } = &role.bounds
        && !zones.is_empty()
        && !regions.is_empty()
    {
        reply = reply.warn("bound_regions has no effect beside bound_zones, which is narrower");
    }
    match in_the_way(&role, &config::load(view).await?) {
        Some(why) => Ok(reply.warn(format!("nobody can log in yet: {why}"))),
        None => Ok(reply),
    }
}

/// What an operation on lists adds and removes.
fn changes(body: &Body) -> Result<(Vec<String>, Vec<String>), Fault> {
    let add = body.list("add")?.unwrap_or_default();
    let remove = body.list("remove")?.unwrap_or_default();
    match add.is_empty() && remove.is_empty() {
        true => Err(Fault::invalid(
            "must provide at least one value to add or remove",
        )),
        false => Ok((add, remove)),
    }
}

async fn existing(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<(RoleName, Role), Fault> {
    let name = RoleName::parse(ctx.param("name"))?;
    let role: Option<Role> = roles::get(view, &name).await?;
    Ok((name, role.ok_or_else(|| Fault::invalid("role not found"))?))
}

fn wrong_type(role: &Role, field: &str, expected: &str) -> Fault {
    Fault::invalid(format!(
        "role is type '{}', cannot edit attribute '{field}' (expected role type: '{expected}')",
        role.bounds.type_name()
    ))
}

pub(super) async fn edit_service_accounts(
    ctx: &Ctx<'_>,
    view: &mut View<'_>,
) -> Result<Reply, Fault> {
    let (add, remove) = changes(ctx.body())?;
    let (name, role) = existing(ctx, view).await?;
    if !matches!(role.bounds, Bounds::Iam { .. }) {
        return Err(wrong_type(&role, "service_accounts", "iam"));
    }
    store(ctx, &name, role, view, |role| {
        role.service_accounts.extend(add);
        role.service_accounts.retain(|one| !remove.contains(one));
        role.service_accounts.sort();
        role.service_accounts.dedup();
        Ok(())
    })
    .await
}

pub(super) async fn edit_labels(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let (add, remove) = changes(ctx.body())?;
    let (name, mut role) = existing(ctx, view).await?;
    let Bounds::Gce { labels, .. } = &mut role.bounds else {
        return Err(wrong_type(&role, "labels", "gce"));
    };
    labels.extend(parse_labels(&add)?);
    labels.retain(|key, _| !remove.contains(key));
    store(ctx, &name, role, view, |_| Ok(())).await
}

/// `key:value`, as Google takes them.
fn parse_labels(texts: &[String]) -> Result<BTreeMap<String, String>, Fault> {
    let plain = |text: &str| {
        let known = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        text.chars().all(known)
    };
    let pair = |text: &String| {
        let (key, value) = text.split_once(':')?;
        let begins = key.starts_with(|c: char| c.is_ascii_lowercase());
        (begins && plain(key) && plain(value)).then(|| (key.to_owned(), value.to_owned()))
    };
    let pairs: Option<BTreeMap<String, String>> = texts.iter().map(pair).collect();
    pairs.ok_or_else(|| {
        Fault::invalid("invalid labels given: expected key:value, the key beginning with a-z")
    })
}

impl Bounds {
    fn new(type_name: &str) -> Result<Bounds, Fault> {
        match type_name {
            "iam" => Ok(Bounds::Iam {
                max_jwt_exp: MAX_JWT_EXP,
                allow_gce_inference: true,
            }),
            "gce" => Ok(Bounds::Gce {
                zones: Vec::new(),
                regions: Vec::new(),
                instance_groups: Vec::new(),
                labels: BTreeMap::new(),
            }),
            "" => Err(Fault::invalid("role type cannot be empty")),
            _ => Err(Fault::invalid("role type is invalid: expected iam or gce")),
        }
    }

    fn type_name(&self) -> &'static str {
        match self {
            Bounds::Iam { .. } => "iam",
            Bounds::Gce { .. } => "gce",
        }
    }

    fn update(&mut self, body: &Body) -> Result<(), Fault> {
        let others: &[&str] = match self {
            Bounds::Iam { .. } => &GCE_ONLY,
            Bounds::Gce { .. } => &IAM_ONLY,
        };
        let odd: Vec<&str> = others
            .iter()
            .copied()
            .filter(|one| body.asks(one))
            .collect();
        if !odd.is_empty() {
            return Err(Fault::invalid(format!(
                "invalid args found for role of type {}: {}",
                self.type_name(),
                odd.join(",")
            )));
        }
        match self {
            Bounds::Iam {
                max_jwt_exp,
                allow_gce_inference,
            } => {
                if let Some(seconds) = body.seconds("max_jwt_exp")? {
                    *max_jwt_exp = seconds;
                }
                if let Some(flag) = body.bool("allow_gce_inference")? {
                    *allow_gce_inference = flag;
                }
            }
            Bounds::Gce {
                zones,
                regions,
                instance_groups,
                labels,
            } => {
                list(zones, body, "bound_zones", "bound_zone")?;
                list(regions, body, "bound_regions", "bound_region")?;
                list(
                    instance_groups,
                    body,
                    "bound_instance_groups",
                    "bound_instance_group",
                )?;
                // A whole address ends in the name.
                for one in zones.iter_mut().chain(regions).chain(instance_groups) {
                    *one = one.rsplit('/').next().unwrap_or_default().to_owned();
                }
                if let Some(texts) = body.list("bound_labels")? {
                    *labels = parse_labels(&texts)?;
                }
            }
        }
        Ok(())
    }
}

/// A field, or else the name that it had once.
fn list(into: &mut Vec<String>, body: &Body, field: &str, old: &str) -> Result<(), Fault> {
    let (new, old) = (body.list(field)?, body.list(old)?);
    let both = |list: &Option<Vec<String>>| list.as_ref().is_some_and(|list| !list.is_empty());
    if both(&new) && both(&old) {
        return Err(Fault::invalid(format!(
            "{field:?} and its older name cannot both be given"
        )));
    }
    if let Some(names) = new.or(old) {
        into.clear();
        for name in names {
            if !into.contains(&name) {
                into.push(name);
            }
        }
    }
    Ok(())
}

impl Role {
    fn check(&self) -> Result<(), Fault> {
        let refuse = |why: &str| Err(Fault::invalid(why));
        let any = self.service_accounts.iter().any(|one| one == "*");
        match &self.bounds {
            Bounds::Iam { max_jwt_exp, .. } => {
                if self.service_accounts.is_empty() {
                    return refuse("IAM role type must have at least one service account");
                }
                if any && self.service_accounts.len() > 1 {
                    return refuse(
                        "cannot provide IAM service account wildcard '*' (for all service accounts) with other service accounts",
                    );
                }
                if any && self.projects.is_empty() {
                    return refuse(
                        "bound_service_accounts '*' without bound_projects lets in strangers: anybody can have a service account; add bound_projects",
                    );
                }
                if *max_jwt_exp > EXPIRY_MAX {
                    return refuse("max_jwt_exp cannot be more than 60 minutes");
                }
            }
            Bounds::Gce {
                zones,
                regions,
                instance_groups,
                ..
            } => {
                if any {
                    return refuse(
                        "bound_service_accounts: '*' is for iam roles; leave the field out to let in instances of all service accounts",
                    );
                }
                if self.projects.is_empty() && self.service_accounts.is_empty() {
                    return refuse(
                        "without bound_projects and bound_service_accounts strangers can log in: anybody can have an instance; add bound_projects",
                    );
                }
                if !instance_groups.is_empty() && zones.is_empty() && regions.is_empty() {
                    return refuse(
                        "region or zone information must be specified if an instance group is given",
                    );
                }
            }
        }
        let odd = |one: &String| one != "*" && !is_account(one);
        match self.service_accounts.iter().any(odd) {
            true => refuse("bound_service_accounts: expected emails, unique ids or '*'"),
            false => Ok(()),
        }
    }
}

impl Role {
    /// Applies the fields that are present.
    fn update(&mut self, body: &Body) -> Result<(), Fault> {
        list(
            &mut self.service_accounts,
            body,
            "bound_service_accounts",
            "service_accounts",
        )?;
        list(&mut self.projects, body, "bound_projects", "project_id")?;
        if let Some(flag) = body.bool("add_group_aliases")? {
            self.add_group_aliases = flag;
        }
        self.bounds.update(body)?;
        token_fields::update(&mut self.token, body)
    }

    fn show(&self) -> Map<String, Value> {
        let mut map = Map::new();
        let mut put = |name: &str, value: Value| drop(map.insert(name.to_owned(), value));
        put("role_id", json!(self.id));
        put("type", json!(self.bounds.type_name()));
        put("add_group_aliases", json!(self.add_group_aliases));
        let mut lists = vec![
            ("bound_service_accounts", &self.service_accounts),
            ("bound_projects", &self.projects),
        ];
        match &self.bounds {
            Bounds::Iam {
                max_jwt_exp,
                allow_gce_inference,
            } => {
                put("max_jwt_exp", json!(max_jwt_exp));
                put("allow_gce_inference", json!(allow_gce_inference));
            }
            Bounds::Gce {
                zones,
                regions,
                instance_groups,
                labels,
            } => {
                lists.extend([
                    ("bound_zones", zones),
                    ("bound_regions", regions),
                    ("bound_instance_groups", instance_groups),
                ]);
                if !labels.is_empty() {
                    put("bound_labels", json!(labels));
                }
            }
        }
        for (name, list) in lists {
            if !list.is_empty() {
                put(name, json!(list));
            }
        }
        self.token.show(&mut map);
        map
    }
}
