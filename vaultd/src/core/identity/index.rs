//! Rows of entities and groups, and the rows by which they are found.
//!
//! ```text
//! entity/<id>                      the entity
//! entity-name/<name>               its id: listed as it was written
//! entity-key/<name, lowered>       its id (unlisted): a name is taken in any spelling
//! entity-alias/<alias id>          its id
//! entity-factor/<accessor>/<hash>  its id, by what a mount calls it (unlisted)
//! merged/<id>                      the id of the entity that another became part of (unlisted)
//! group…                           the same for groups
//! group-links                      changed with every nesting of groups, so that two changes at
//!                                  once cannot close a circle
//! ```

use serde::Serialize;
use serde::de::DeserializeOwned;
use vault_crypto::sha256;

use super::name::{Name, is_id};
use crate::barrier::View;
use crate::core::fault::Fault;

/// The rows of one kind.
pub struct Index {
    kind: &'static str,
}

pub const ENTITIES: Index = Index { kind: "entity" };
pub const GROUPS: Index = Index { kind: "group" };

/// An alias as far as it is looked up.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Link<'a> {
    pub id: &'a str,
    pub accessor: &'a str,
    pub name: &'a str,
}

impl Index {
    pub fn row(&self, id: &str) -> String {
        format!("{}/{id}", self.kind)
    }

    fn name_row(&self, name: &Name) -> String {
        format!("{}-name/{}", self.kind, name.row())
    }

    fn key_row(&self, name: &Name) -> String {
        format!("{}-key/{}", self.kind, name.key())
    }

    fn alias_row(&self, alias: &str) -> String {
        format!("{}-alias/{alias}", self.kind)
    }

    fn factor_row(&self, accessor: &str, name: &str) -> String {
        let hash = hex::encode(sha256(name.as_bytes()));
        format!("{}-factor/{accessor}/{hash}", self.kind)
    }

    pub async fn get<T: DeserializeOwned>(
        &self,
        view: &mut View<'_>,
        id: &str,
    ) -> Result<Option<T>, Fault> {
        match is_id(id) {
            true => Ok(view.get(&self.row(id)).await?),
            false => Ok(None),
        }
    }

    pub async fn put<T: Serialize>(
        &self,
        view: &mut View<'_>,
        id: &str,
        value: &T,
    ) -> Result<(), Fault> {
        Ok(view.put(&self.row(id), value).await?)
    }

    pub async fn remove(&self, view: &mut View<'_>, id: &str) -> Result<(), Fault> {
        Ok(view.delete(&self.row(id)).await?)
    }

    pub async fn ids(&self, view: &mut View<'_>) -> Result<Vec<String>, Fault> {
        Ok(view.list(self.kind).await?)
    }

    /// Row parts; [`Name::of_row`] reads them.
    pub async fn names(&self, view: &mut View<'_>) -> Result<Vec<String>, Fault> {
        Ok(view.list(&format!("{}-name", self.kind)).await?)
    }

    pub async fn aliases(&self, view: &mut View<'_>) -> Result<Vec<String>, Fault> {
        Ok(view.list(&format!("{}-alias", self.kind)).await?)
    }

    pub async fn by_name(&self, view: &mut View<'_>, name: &Name) -> Result<Option<String>, Fault> {
        Ok(view.get(&self.key_row(name)).await?)
    }

    pub async fn by_alias(
        &self,
        view: &mut View<'_>,
        alias: &str,
    ) -> Result<Option<String>, Fault> {
        match is_id(alias) {
            true => Ok(view.get(&self.alias_row(alias)).await?),
            false => Ok(None),
        }
    }

    /// By what a mount calls it. The accessor is one of an existing mount, or was.
    pub async fn by_factor(
        &self,
        view: &mut View<'_>,
        accessor: &str,
        name: &str,
    ) -> Result<Option<String>, Fault> {
        if accessor.contains('/') {
            return Ok(None);
        }
        Ok(view.get(&self.factor_row(accessor, name)).await?)
    }

    /// Moves the name; one that another has is refused.
    pub async fn rename(
        &self,
        view: &mut View<'_>,
        id: &str,
        old: Option<&Name>,
        new: Option<&Name>,
    ) -> Result<(), Fault> {
        if old == new {
            return Ok(());
        }
        if let Some(new) = new
            && self
                .by_name(view, new)
                .await?
                .is_some_and(|owner| owner != id)
        {
            return Err(Fault::invalid(format!(
                "{} name is already in use",
                self.kind
            )));
        }
        if let Some(old) = old {
            view.delete(&self.name_row(old)).await?;
            view.delete_unlisted(&self.key_row(old)).await?;
        }
        if let Some(new) = new {
            view.put(&self.name_row(new), &id).await?;
            view.put_unlisted(&self.key_row(new), &id).await?;
        }
        Ok(())
    }

    /// Leads an alias to its owner, in place of the old one.
    pub async fn relink(
        &self,
        view: &mut View<'_>,
        id: &str,
        old: Option<Link<'_>>,
        new: Option<Link<'_>>,
    ) -> Result<(), Fault> {
        if old == new {
            return Ok(());
        }
        if let Some(old) = old {
            view.delete(&self.alias_row(old.id)).await?;
            view.delete_unlisted(&self.factor_row(old.accessor, old.name))
                .await?;
        }
        if let Some(new) = new {
            let taken = self.by_factor(view, new.accessor, new.name).await?;
            if taken.is_some_and(|owner| owner != id) {
                return Err(Fault::invalid(
                    "alias with combination of mount accessor and name already exists: it belongs to another",
                ));
            }
            view.put(&self.alias_row(new.id), &id).await?;
            view.put_unlisted(&self.factor_row(new.accessor, new.name), &id)
                .await?;
        }
        Ok(())
    }
}
