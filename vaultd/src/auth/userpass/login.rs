//! Login. The password is checked before the transaction, since that takes long; the transaction
//! makes sure that the user is still the one whose password was checked.

use vault_crypto::verify_password;

use super::Prepared;
use super::model::{Password, User, UserName};
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::login::{Alias, Login, TokenParams, within};
use crate::core::reply::Reply;
use crate::core::slow::Outside;

fn refused() -> Fault {
    Fault::invalid("invalid username or password")
}

pub(super) async fn prove(
    ctx: &Ctx<'_>,
    view: &mut View<'_>,
    outside: &Outside<'_>,
) -> Result<Prepared, Fault> {
    let name = UserName::parse(ctx.param("name"))?;
    let password = Password::required(ctx.body())?;
    let rules = ctx.mount.config.lockout.unwrap_or_default();
    let attempt = outside
        .lockouts
        .begin(ctx.mount.number, name.as_str(), rules, ctx.now())?;
    let user: Option<User> = view.get(&name.row()).await?;
    let stored = user.as_ref().map(|user| user.hash.parse()).transpose()?;
    let right = outside
        .slow
        .run(move || verify_password(stored.as_ref(), password.as_bytes()))
        .await?
        .map_err(|_| Fault::Internal("check of a password"))?;
    match user.filter(|_| right) {
        Some(user) => {
            attempt.succeeded();
            Ok(Prepared::Proven(user.hash))
        }
        None => {
            attempt.failed();
            Err(refused())
        }
    }
}

pub(super) async fn login(
    ctx: &Ctx<'_>,
    prepared: &Prepared,
    view: &mut View<'_>,
) -> Result<Reply, Fault> {
    let name = UserName::parse(ctx.param("name"))?;
    let user: Option<User> = view.get(&name.row()).await?;
    let proven = |user: &User| matches!(prepared, Prepared::Proven(hash) if *hash == user.hash);
    let user = user.filter(proven).ok_or_else(refused)?;
    if !within(&user.token.bound_cidrs, ctx.request.remote) {
        return Err(Fault::Forbidden("permission denied".to_owned()));
    }
    let name = name.as_str().to_owned();
    let mount = ctx.mount.name().trim_end_matches('/').replace('/', "-");
    Ok(Reply::login(Login {
        params: user.token,
        alias: Alias::named(name.clone()),
        display_name: format!("{mount}-{name}"),
        metadata: [("username".to_owned(), name.clone())].into(),
        // In one spelling, so that revoking by prefix finds all of a user's tokens.
        path: Some(format!("{}login/{name}", ctx.mount.path)),
        role: name,
        ..Login::default()
    }))
}

/// The token settings that hold now for a user's tokens; `None` if the user is gone, and the token
/// may not be renewed.
pub async fn renewed(user: &str, view: &mut View<'_>) -> Result<Option<TokenParams>, Fault> {
    let user: Option<User> = view.get(&UserName::parse(user)?.row()).await?;
    Ok(user.map(|user| user.token))
}
