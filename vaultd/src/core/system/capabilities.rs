//! What a token may do at a path.

use serde_json::{Map, json};

use crate::barrier::Tx;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;
use crate::core::token::{self, Token};
use crate::core::unsealed::Unsealed;
use crate::policy::{Acl, Capability};

pub async fn of_token(vault: &Unsealed, ctx: &Ctx<'_>) -> Result<Reply, Fault> {
    let secret = ctx
        .body()
        .string("token")?
        .filter(|secret| !secret.is_empty());
    let secret = secret.ok_or_else(|| Fault::invalid("no token found"))?;
    let found = vault.tokens.find(&vault.barrier, &secret).await?;
    let (_, token) = found.ok_or_else(|| Fault::invalid("invalid token"))?;
    answer_for(vault, ctx, &token).await
}

pub fn of_self(ctx: &Ctx<'_>) -> Result<Reply, Fault> {
    answer(ctx, &ctx.caller.ok_or(Fault::BadToken)?.acl)
}

pub async fn of_accessor(vault: &Unsealed, ctx: &Ctx<'_>, tx: &mut Tx) -> Result<Reply, Fault> {
    let accessor = ctx.body().required("accessor")?;
    let invalid = || Fault::invalid("invalid accessor");
    let id = token::by_accessor(tx, &accessor)
        .await?
        .ok_or_else(invalid)?;
    let token = token::get(tx, &id).await?.ok_or_else(invalid)?;
    answer_for(vault, ctx, &token).await
}

async fn answer_for(vault: &Unsealed, ctx: &Ctx<'_>, token: &Token) -> Result<Reply, Fault> {
    if token.expires.is_some_and(|end| end <= ctx.now()) {
        return Err(Fault::invalid("invalid token"));
    }
    match vault.standing(token, ctx.now()).await {
        Ok(Some(standing)) => answer(ctx, &standing.acl),
        Ok(None) => answer(ctx, &*vault.acl(&token.policies, ctx.now()).await?),
        Err(Fault::BadToken) => Err(Fault::invalid("invalid token")),
        Err(fault) => Err(fault),
    }
}

fn answer(ctx: &Ctx<'_>, acl: &Acl) -> Result<Reply, Fault> {
    let paths = match ctx.body().list("paths")?.filter(|paths| !paths.is_empty()) {
        Some(paths) => paths,
        None => ctx.body().list("path")?.unwrap_or_default(),
    };
    if paths.is_empty() {
        return Err(Fault::invalid("paths must be supplied"));
    }
    let mut map = Map::new();
    for path in &paths {
        map.insert(
            path.clone(),
            json!(names(acl, path.trim_start_matches('/'))),
        );
    }
    if let [path] = &paths[..] {
        map.insert("capabilities".into(), map[path].clone());
    }
    Ok(Reply::map(map).top_level())
}

fn names(acl: &Acl, path: &str) -> Vec<&'static str> {
    if acl.is_root() {
        return vec!["root"];
    }
    let mut names: Vec<&str> = acl
        .capabilities(path)
        .iter()
        .map(Capability::as_str)
        .collect();
    names.sort_unstable();
    if names.is_empty() || names.contains(&"deny") {
        vec!["deny"]
    } else {
        names
    }
}
