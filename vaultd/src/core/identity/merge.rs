//! `entity/merge`: several entities become one. Their aliases and groups go along, their policies
//! and metadata do not; their ids lead to the one from then on, and so do their tokens.

use std::collections::BTreeSet;

use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;

use super::model::Entity;
use super::store::{delete_entity, entity, put_entity};

pub(super) async fn merge(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let body = ctx.body();
    let mut from = body.list("from_entity_ids")?.unwrap_or_default();
    let mut seen = BTreeSet::new();
    from.retain(|id| seen.insert(id.clone()));
    let keep = body
        .list("conflicting_alias_ids_to_keep")?
        .unwrap_or_default();
    if from.is_empty() {
        return Err(Fault::invalid("missing entity ids to merge from"));
    }
    if from.len() > 1 && keep.len() > 1 {
        return Err(Fault::invalid(
            "aliases conflicts cannot be resolved with multiple from entity ids: merge one entity at a time",
        ));
    }
    let unknown = || Fault::invalid("entity id to merge to is invalid");
    let into = body.required("to_entity_id")?;
    let old = entity(view, &into).await?.ok_or_else(unknown)?;
    let mut new = old.clone();
    for id in from {
        let unknown = || Fault::invalid("entity id to merge from is invalid");
        let gone = entity(view, &id).await?.ok_or_else(unknown)?;
        if gone.id == old.id {
            return Err(Fault::invalid(
                "to_entity_id should not be present in from_entity_ids",
            ));
        }
        // Its rows go first, so that its aliases are free.
        delete_entity(view, &gone).await?;
        take_in(&mut new, gone, &keep)?;
    }
    new.updated = ctx.now();
    put_entity(view, Some(&old), &new).await?;
    Ok(Reply::none())
}

fn take_in(into: &mut Entity, gone: Entity, keep: &[String]) -> Result<(), Fault> {
    for mut alias in gone.aliases {
        if let Some(rival) = into.alias_of(&alias.accessor) {
            match (keep.contains(&rival.id), keep.contains(&alias.id)) {
                (true, false) => continue,
                (false, true) => into.aliases.retain(|own| own.accessor != alias.accessor),
                _ => {
                    return Err(Fault::invalid(
                        "both entities have an alias for one mount accessor: merge one entity, and name the alias to keep in 'conflicting_alias_ids_to_keep'",
                    ));
                }
            }
        }
        alias.merged_from.push(gone.id.clone());
        into.aliases.push(alias);
    }
    into.merged.push(gone.id);
    into.merged.extend(gone.merged);
    Ok(())
}
