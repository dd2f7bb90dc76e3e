//! `lookup/…`: an entity or a group by whatever is known of it.

use super::name::Name;
use super::store::{
    entity, entity_by_alias, entity_by_factor, entity_by_name, group, group_by_alias,
    group_by_factor, group_by_name,
};
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;
use crate::core::unsealed::Unsealed;

/// The one thing that the request asks by.
enum Key {
    Id(String),
    Name(Name),
    Alias(String),
    Factor { accessor: String, name: String },
}

impl Key {
    /// `id_field` is the second name of `id`.
    fn of(ctx: &Ctx<'_>, id_field: &str) -> Result<Key, Fault> {
        let text = |name: &str| -> Result<Option<String>, Fault> {
            Ok(ctx.body().string(name)?.filter(|text| !text.is_empty()))
        };
        let id = match text("id")? {
            Some(id) => Some(id),
            None => text(id_field)?,
        };
        let mut keys = Vec::new();
        keys.extend(id.map(Key::Id));
        if let Some(name) = text("name")? {
            keys.push(Key::Name(Name::parse(&name)?));
        }
        keys.extend(text("alias_id")?.map(Key::Alias));
        match (text("alias_mount_accessor")?, text("alias_name")?) {
            (Some(accessor), Some(name)) => keys.push(Key::Factor { accessor, name }),
            (None, None) => {}
            _ => {
                return Err(Fault::invalid(
                    "'alias_name' and 'alias_mount_accessor' go together",
                ));
            }
        }
        match (keys.pop(), keys.is_empty()) {
            (Some(key), true) => Ok(key),
            (None, _) => Err(Fault::invalid("query parameter not supplied")),
            (Some(_), false) => Err(Fault::invalid(
                "conflicting query parameters: ask by one of id, name, alias_id, or alias_name with alias_mount_accessor",
            )),
        }
    }
}

/// 204 if there is none.
pub(super) async fn of_entity(
    vault: &Unsealed,
    ctx: &Ctx<'_>,
    view: &mut View<'_>,
) -> Result<Reply, Fault> {
    let found = match Key::of(ctx, "entity_id")? {
        Key::Id(id) => entity(view, &id).await?,
        Key::Name(name) => entity_by_name(view, &name).await?,
        Key::Alias(id) => entity_by_alias(view, &id).await?,
        Key::Factor { accessor, name } => entity_by_factor(view, &accessor, &name).await?,
    };
    match found {
        Some(found) => super::entity::shown(vault, &found).await,
        None => Ok(Reply::none()),
    }
}

/// 204 if there is none.
pub(super) async fn of_group(
    vault: &Unsealed,
    ctx: &Ctx<'_>,
    view: &mut View<'_>,
) -> Result<Reply, Fault> {
    let found = match Key::of(ctx, "group_id")? {
        Key::Id(id) => group(view, &id).await?,
        Key::Name(name) => group_by_name(view, &name).await?,
        Key::Alias(id) => group_by_alias(view, &id).await?,
        Key::Factor { accessor, name } => group_by_factor(view, &accessor, &name).await?,
    };
    match found {
        Some(found) => super::group::shown(vault, &found, view).await,
        None => Ok(Reply::none()),
    }
}
