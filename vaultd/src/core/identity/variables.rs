//! Values of `{{identity.…}}` for one entity. All that a value says comes from the store; whether it
//! fits into a path is the policy's to decide.

use std::sync::Arc;

use crate::policy::Templates;

use super::super::caller::Caller;
use super::super::fault::Fault;
use super::super::unsealed::Unsealed;
use super::model::{Entity, EntityAlias, Group};

pub struct Variables<'a> {
    pub entity: &'a Entity,
    /// Direct and inherited.
    pub groups: Vec<&'a Arc<Group>>,
}

impl Templates for Variables<'_> {
    fn resolve(&self, variable: &str) -> Option<String> {
        let variable = variable.strip_prefix("identity.")?;
        if let Some(rest) = variable.strip_prefix("entity.") {
            return self.of_entity(rest);
        }
        let rest = variable.strip_prefix("groups.")?;
        if let Some(rest) = rest.strip_prefix("ids.") {
            let (id, field) = rest.split_once('.')?;
            return of_group(self.groups.iter().find(|group| group.id == id)?, field);
        }
        // A name may have dots of its own: every group of the caller is asked whether it is meant.
        let rest = rest.strip_prefix("names.")?;
        self.groups.iter().find_map(|group| {
            let field = rest.strip_prefix(group.name.as_str())?.strip_prefix('.')?;
            of_group(group, field)
        })
    }
}

impl Variables<'_> {
    fn of_entity(&self, variable: &str) -> Option<String> {
        match variable {
            "id" => return Some(self.entity.id.clone()),
            "name" => return Some(self.entity.name.as_str().to_owned()),
            _ => {}
        }
        if let Some(key) = variable.strip_prefix("metadata.") {
            return self.entity.metadata.get(key).cloned();
        }
        let (accessor, field) = variable.strip_prefix("aliases.")?.split_once('.')?;
        of_alias(self.entity.alias_of(accessor)?, field)
    }
}

/// The same, kept beyond the moment.
struct Known {
    entity: Arc<Entity>,
    groups: Vec<Arc<Group>>,
}

impl Templates for Known {
    fn resolve(&self, variable: &str) -> Option<String> {
        let variables = Variables {
            entity: &self.entity,
            groups: self.groups.iter().collect(),
        };
        variables.resolve(variable)
    }
}

impl Unsealed {
    /// What templates of an engine may say of a caller; `None` if he has no entity.
    pub async fn templates(
        &self,
        caller: &Caller,
    ) -> Result<Option<Box<dyn Templates + Send + Sync>>, Fault> {
        let Some(standing) = &caller.standing else {
            return Ok(None);
        };
        let groups = self.memberships.groups(&self.barrier).await?;
        let groups = groups.of_entity(&standing.entity).all().cloned().collect();
        let entity = Arc::clone(&standing.entity);
        Ok(Some(Box::new(Known { entity, groups })))
    }
}

fn of_alias(alias: &EntityAlias, field: &str) -> Option<String> {
    match field {
        "id" => return Some(alias.id.clone()),
        "name" => return Some(alias.name.clone()),
        _ => {}
    }
    if let Some(key) = field.strip_prefix("metadata.") {
        return alias.metadata.get(key).cloned();
    }
    let key = field.strip_prefix("custom_metadata.")?;
    alias.custom_metadata.get(key).cloned()
}

fn of_group(group: &Group, field: &str) -> Option<String> {
    match field {
        "id" => Some(group.id.clone()),
        "name" => Some(group.name.as_str().to_owned()),
        _ => group
            .metadata
            .get(field.strip_prefix("metadata.")?)
            .cloned(),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used)]
    use super::super::model::GroupKind;
    use super::super::name::Name;
    use super::*;
    use jiff::Timestamp;
    use vault_crypto::Seeded;

    #[test]
    fn variables_of_an_entity_and_its_groups() {
        let (random, now) = (Seeded::new(1), Timestamp::UNIX_EPOCH);
        let mut entity = Entity::new(Name::parse("Ann").unwrap(), &random, now);
        entity.metadata.insert("team.name".into(), "red".into());
        let mut alias = EntityAlias::new("ann@x".into(), "auth_jwt_1", &random, now);
        alias.metadata.insert("org".into(), "acme".into());
        alias.custom_metadata.insert("org".into(), "own".into());
        entity.aliases.push(alias);
        let name = Name::parse("ops.eu").unwrap();
        let mut group = Group::new(name, GroupKind::Internal, &random, now);
        group.metadata.insert("env".into(), "prod".into());
        let group = Arc::new(group);
        let variables = Variables {
            entity: &entity,
            groups: vec![&group],
        };
        let by_id = format!("identity.groups.ids.{}", group.id);
        for (name, value) in [
            ("identity.entity.id", Some(entity.id.as_str())),
            ("identity.entity.name", Some("Ann")),
            ("identity.entity.metadata.team.name", Some("red")),
            ("identity.entity.metadata.team", None),
            ("identity.entity.aliases.auth_jwt_1.name", Some("ann@x")),
            (
                "identity.entity.aliases.auth_jwt_1.metadata.org",
                Some("acme"),
            ),
            (
                "identity.entity.aliases.auth_jwt_1.custom_metadata.org",
                Some("own"),
            ),
            ("identity.entity.aliases.auth_jwt_2.name", None),
            ("identity.entity.aliases.auth_jwt_1", None),
            ("identity.groups.names.ops.eu.metadata.env", Some("prod")),
            ("identity.groups.names.ops.eu.id", Some(group.id.as_str())),
            ("identity.groups.names.ops.id", None),
            (&format!("{by_id}.name"), Some("ops.eu")),
            (&format!("{by_id}.policies"), None),
            ("identity.groups.ids.none.name", None),
            ("entity.id", None),
            ("identity.entity", None),
            ("", None),
        ] {
            assert_eq!(variables.resolve(name).as_deref(), value, "{name}");
        }
    }
}
