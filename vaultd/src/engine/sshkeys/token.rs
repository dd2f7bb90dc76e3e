//! Tokens of a GitHub App, for one repository and at most an hour.

use serde_json::{Map, Value, json};

use super::forge::{App, Credential, Forge, Wish};
use super::name::{self, Name};
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;
use crate::core::slow::Outside;
use crate::engine::secret::Text;

/// What GitHub gave.
pub struct Given {
    token: Text,
    expires: String,
}

/// Permissions that a token may be asked for: none of them reaches beyond the repository.
const KNOWN: [&str; 6] = [
    "contents",
    "metadata",
    "packages",
    "pull_requests",
    "issues",
    "statuses",
];

pub(super) async fn ask(
    ctx: &Ctx<'_>,
    view: &mut View<'_>,
    outside: &Outside<'_>,
) -> Result<Given, Fault> {
    let name = Name::parse(ctx.param("name"))?;
    let forge = Forge::find(view, name.as_str())
        .await?
        .ok_or(Fault::Missing)?;
    let app: &App = match &forge.credential {
        Credential::App(app) => app,
        Credential::Token(_) => {
            return Err(Fault::invalid(
                "the forge has a token, which is never handed out: only a GitHub App gives tokens \
                 for one repository",
            ));
        }
    };
    let repository = name::repository(&ctx.body().required("repository")?)?;
    let permissions = permissions(ctx)?;
    let wish = Wish {
        repository: &repository,
        permissions: &permissions,
    };
    let trust = forge.trust()?;
    let asked = app.token(outside.outbound, &trust, &forge.url, &wish, ctx.now());
    let given = asked
        .await
        .map_err(|trouble| Fault::invalid(format!("{}: {}", trouble.cause, trouble.hint)))?;
    Ok(Given {
        token: given.token,
        expires: given.expires_at,
    })
}

/// Reading the content, if nothing else is asked for.
fn permissions(ctx: &Ctx<'_>) -> Result<Value, Fault> {
    let asked = ctx.body().strings("permissions")?.unwrap_or_default();
    if asked.is_empty() {
        return Ok(json!({"contents": "read"}));
    }
    let mut found = Map::new();
    for (name, level) in asked {
        if !KNOWN.contains(&name.as_str()) || !matches!(level.as_str(), "read" | "write") {
            return Err(Fault::invalid(
                "permissions: contents, metadata, packages, pull_requests, issues and statuses can \
                 be 'read' or 'write'",
            ));
        }
        found.insert(name, level.into());
    }
    Ok(found.into())
}

pub(super) fn show(given: &Given) -> Reply {
    Reply::json(json!({
        "token": given.token.as_str(),
        "expires_at": given.expires,
    }))
}
