//! The roles of a method: created, changed, shown and deleted in one way for all methods.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::name::RoleName;
use crate::barrier::View;
use crate::core::body::Body;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;

/// What a method knows about its roles.
pub trait Role: Serialize + DeserializeOwned {
    /// A role of this name as it is before its first update.
    fn new(name: &RoleName) -> Self;

    /// Applies the fields that are present; the others keep their value. Fails if the whole makes no
    /// sense then.
    fn update(&mut self, name: &RoleName, body: &Body) -> Result<(), Fault>;

    /// What its author should know.
    fn warnings(&self) -> Vec<&'static str> {
        Vec::new()
    }

    fn show(&self) -> Map<String, Value>;
}

/// The role of this name, if there is one.
pub async fn get<R: DeserializeOwned>(
    view: &mut View<'_>,
    name: &RoleName,
) -> Result<Option<R>, Fault> {
    Ok(view.get(&name.row()).await?)
}

fn named(ctx: &Ctx<'_>) -> Result<RoleName, Fault> {
    RoleName::parse(ctx.param("name"))
}

pub async fn list(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    ctx.list_in(view, "role").await
}

pub async fn read<R: Role>(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let role: Option<R> = get(view, &named(ctx)?).await?;
    Ok(Reply::map(role.ok_or(Fault::Missing)?.show()))
}

/// The answer, and the role as it is now.
pub async fn write<R: Role>(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<(Reply, R), Fault> {
    let name = named(ctx)?;
    let mut role = get(view, &name).await?.unwrap_or_else(|| R::new(&name));
    role.update(&name, ctx.body())?;
    view.put(&name.row(), &role).await?;
    let warnings = role.warnings().into_iter();
    Ok((warnings.fold(Reply::none(), Reply::warn), role))
}

pub async fn delete(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    view.delete(&named(ctx)?.row()).await?;
    Ok(Reply::none())
}

/// Whether the role that would be created is there already. A bad name is refused once the policies
/// have been asked.
pub async fn exists(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<bool, Fault> {
    match named(ctx) {
        Ok(name) => Ok(view.exists(&name.row()).await?),
        Err(_) => Ok(false),
    }
}
