//! What a role may hold.

use serde_json::{Map, Value, json};

use super::model::{AliasSource, Role};
use crate::auth::name::RoleName;
use crate::auth::{roles, token_fields};
use crate::barrier::View;
use crate::core::body::Body;
use crate::core::fault::Fault;
use crate::core::login::TokenParams;

impl roles::Role for Role {
    fn new(_name: &RoleName) -> Role {
        Role {
            names: Vec::new(),
            namespaces: Vec::new(),
            audience: String::new(),
            alias_name_source: AliasSource::Uid,
            token: TokenParams::default(),
        }
    }

    fn update(&mut self, _name: &RoleName, body: &Body) -> Result<(), Fault> {
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
        token_fields::update(&mut self.token, body)?;
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

    fn warnings(&self) -> Vec<&'static str> {
        match self.audience.is_empty() {
            true => vec![
                "the role has no audience: every token that the cluster's API server accepts can be used to log in; set audience",
            ],
            false => Vec::new(),
        }
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

/// The token settings that hold now for a role's tokens; `None` if the role is gone, and the token
/// may not be renewed.
pub async fn renewed(role: &str, view: &mut View<'_>) -> Result<Option<TokenParams>, Fault> {
    let role: Option<Role> = roles::get(view, &RoleName::parse(role)?).await?;
    Ok(role.map(|role| role.token))
}
