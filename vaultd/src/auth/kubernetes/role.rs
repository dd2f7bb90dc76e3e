//! Roles: created, changed, deleted.

use serde_json::{Map, Value, json};

use super::model::{AliasSource, Role};
use crate::auth::name::RoleName;
use crate::auth::token_fields;
use crate::barrier::View;
use crate::core::body::Body;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::login::TokenParams;
use crate::core::reply::Reply;

impl Role {
    fn new() -> Role {
        Role {
            names: Vec::new(),
            namespaces: Vec::new(),
            audience: String::new(),
            alias_name_source: AliasSource::Uid,
            token: TokenParams::default(),
        }
    }

    /// Applies the fields that are present; the others keep their value.
    fn update(&mut self, body: &Body) -> Result<(), Fault> {
        if let Some(names) = body.list("bound_service_account_names")? {
            self.names = names;
        }
        if let Some(namespaces) = body.list("bound_service_account_namespaces")? {
            self.namespaces = namespaces;
        }
        let selector = body.string("bound_service_account_namespace_selector")?;
        if selector.is_some_and(|selector| !selector.is_empty()) {
            return Err(Fault::invalid(
                "bound_service_account_namespace_selector is not supported: name the namespaces, '*' stands for any text",
            ));
        }
        if let Some(audience) = body.string("audience")? {
            self.audience = audience;
        }
        match body.string("alias_name_source")?.as_deref() {
            None => {}
            Some("" | "serviceaccount_uid") => self.alias_name_source = AliasSource::Uid,
            Some("serviceaccount_name") => self.alias_name_source = AliasSource::Name,
            Some(_) => {
                return Err(Fault::invalid(
                    "invalid alias_name_source: expected serviceaccount_uid or serviceaccount_name",
                ));
            }
        }
        token_fields::update(&mut self.token, body)
    }

    fn check(&self) -> Result<(), Fault> {
        for (list, field) in [
            (&self.names, "bound_service_account_names"),
            (&self.namespaces, "bound_service_account_namespaces"),
        ] {
            if list.is_empty() {
                return Err(Fault::invalid(format!("{field:?} can not be empty")));
            }
        }
        Ok(())
    }

    fn show(&self) -> Map<String, Value> {
        let mut map = Map::new();
        map.insert("bound_service_account_names".into(), json!(self.names));
        map.insert(
            "bound_service_account_namespaces".into(),
            json!(self.namespaces),
        );
        map.insert("bound_service_account_namespace_selector".into(), json!(""));
        map.insert("audience".into(), json!(self.audience));
        map.insert("alias_name_source".into(), json!(self.alias_name_source));
        self.token.show(&mut map);
        map
    }
}

/// The role of this name, if there is one.
pub(super) async fn get(view: &mut View<'_>, name: &RoleName) -> Result<Option<Role>, Fault> {
    Ok(view.get(&name.row()).await?)
}

pub(super) async fn list(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    ctx.list(view.list("role").await?)
}

pub(super) async fn read(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let role = get(view, &RoleName::parse(ctx.param("name"))?).await?;
    Ok(Reply::map(role.ok_or(Fault::Missing)?.show()))
}

pub(super) async fn write(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let name = RoleName::parse(ctx.param("name"))?;
    let mut role = get(view, &name).await?.unwrap_or_else(Role::new);
    role.update(ctx.body())?;
    role.check()?;
    view.put(&name.row(), &role).await?;
    let reply = Reply::none();
    Ok(match role.audience.is_empty() {
        true => reply.warn("the role has no audience: every token that the cluster's API server accepts can be used to log in; set audience"),
        false => reply,
    })
}

pub(super) async fn delete(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let name = RoleName::parse(ctx.param("name"))?;
    view.delete(&name.row()).await?;
    Ok(Reply::none())
}

/// The token settings that hold now for a role's tokens; `None` if the role is gone, and the token
/// may not be renewed.
pub async fn renewed(role: &str, view: &mut View<'_>) -> Result<Option<TokenParams>, Fault> {
    let role = get(view, &RoleName::parse(role)?).await?;
    Ok(role.map(|role| role.token))
}
