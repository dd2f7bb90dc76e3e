//! `identity/`: who logs in, by whichever methods, and in which groups.
//!
//! Promises: one entity for each alias of a mount, however many first logins come at once; what an
//! entity or its groups may do changes with the answer to the request that changed it; tokens of an
//! entity that is disabled or gone are refused; groups have no circles; nothing here makes anybody
//! root. Does not promise: that a group's policies were meant for whom a login method says is in it.

mod alias;
mod entity;
mod group;
mod group_alias;
mod index;
mod login;
mod lookup;
mod membership;
mod merge;
mod model;
mod name;
mod oidc;
mod routes;
mod show;
mod store;
mod variables;

pub use entity::delete_all;
pub use login::enter;
pub use membership::{Groups, Membership, Memberships};
pub use model::Entity;
pub use routes::{Call, ROWS};
pub use store::{current, entity_by_factor};
pub use variables::Variables;

use super::context::Ctx;
use super::fault::Fault;
use super::mount::reserved;
use super::reply::Reply;
use super::unsealed::Unsealed;
use crate::barrier::Tx;

/// Carries out one operation.
pub async fn run(vault: &Unsealed, call: Call, ctx: &Ctx<'_>, tx: &mut Tx) -> Result<Reply, Fault> {
    let view = &mut tx.view(reserved::IDENTITY);
    match call {
        Call::EntityWrite => entity::write(ctx, view).await,
        Call::EntityRead => entity::read_by_id(vault, ctx, view).await,
        Call::EntityReadByName => entity::read_by_name(vault, ctx, view).await,
        Call::EntityDelete => entity::delete_by_id(ctx, view).await,
        Call::EntityDeleteByName => entity::delete_by_name(ctx, view).await,
        Call::EntityBatchDelete => entity::batch_delete(ctx),
        Call::EntityList => entity::list_ids(vault, ctx, view).await,
        Call::EntityListNames => entity::list_names(vault, ctx, view).await,
        Call::EntityMerge => merge::merge(ctx, view).await,
        Call::AliasWrite => alias::write(vault, ctx, view).await,
        Call::AliasRead => alias::read(vault, ctx, view).await,
        Call::AliasDelete => alias::delete(ctx, view).await,
        Call::AliasList => alias::list(vault, ctx, view).await,
        Call::GroupWrite => group::write(ctx, view).await,
        Call::GroupRead => group::read_by_id(vault, ctx, view).await,
        Call::GroupReadByName => group::read_by_name(vault, ctx, view).await,
        Call::GroupDelete => group::delete_by_id(ctx, view).await,
        Call::GroupDeleteByName => group::delete_by_name(ctx, view).await,
        Call::GroupList => group::list_ids(vault, ctx, view).await,
        Call::GroupListNames => group::list_names(vault, ctx, view).await,
        Call::GroupAliasWrite => group_alias::write(vault, ctx, view).await,
        Call::GroupAliasRead => group_alias::read(vault, ctx, view).await,
        Call::GroupAliasDelete => group_alias::delete(ctx, view).await,
        Call::GroupAliasList => group_alias::list(vault, ctx, view).await,
        Call::LookupEntity => lookup::of_entity(vault, ctx, view).await,
        Call::LookupGroup => lookup::of_group(vault, ctx, view).await,
        Call::Oidc(call) => oidc::run(vault, call, ctx, view).await,
    }
}

/// How many entities there are.
pub async fn count(tx: &mut Tx) -> Result<usize, Fault> {
    let ids = index::ENTITIES
        .ids(&mut tx.view(reserved::IDENTITY))
        .await?;
    Ok(ids.len())
}
