//! Which web pages of other origins may read answers. Off until an operator names origins.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::context::Ctx;
use super::fault::Fault;
use super::mount::reserved;
use super::reply::{After, Reply};
use crate::barrier::Tx;

const ROW: &str = "cors";
/// Headers that clients of the API send anyway.
const HEADERS: [&str; 8] = [
    "Content-Type",
    "X-Requested-With",
    "X-Vault-AWS-IAM-Server-ID",
    "X-Vault-MFA",
    "X-Vault-Namespace",
    "X-Vault-Wrap-Format",
    "X-Vault-Wrap-TTL",
    "X-Vault-Token",
];

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Cors {
    /// `*` alone is any.
    origins: Vec<String>,
    headers: Vec<String>,
}

impl Cors {
    pub async fn load(tx: &mut Tx) -> Result<Option<Cors>, Fault> {
        Ok(tx.view(reserved::SYSTEM).get(ROW).await?)
    }

    pub fn allows(&self, origin: &str) -> bool {
        self.origins
            .iter()
            .any(|known| known == "*" || known == origin)
    }

    /// For `Access-Control-Allow-Headers`.
    pub fn headers(&self) -> String {
        self.headers.join(",")
    }
}

pub async fn read(tx: &mut Tx) -> Result<Reply, Fault> {
    let reply = match Cors::load(tx).await? {
        Some(cors) => Reply::json(
            json!({"enabled": true, "allowed_origins": cors.origins, "allowed_headers": cors.headers}),
        ),
        None => Reply::json(json!({"enabled": false})),
    };
    Ok(reply.top_level())
}

pub async fn write(ctx: &Ctx<'_>, tx: &mut Tx) -> Result<Reply, Fault> {
    let origins = ctx.body().list("allowed_origins")?.unwrap_or_default();
    if origins.is_empty() {
        return Err(Fault::invalid(
            "at least one origin or the wildcard must be provided",
        ));
    }
    if origins.len() > 1 && origins.iter().any(|origin| origin == "*") {
        return Err(Fault::invalid(
            "to allow all origins the '*' must be the only value for allowed_origins",
        ));
    }
    let mut headers: Vec<String> = HEADERS.map(str::to_owned).into();
    for header in ctx.body().list("allowed_headers")?.unwrap_or_default() {
        if !header
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        {
            return Err(Fault::invalid(
                "allowed_headers must be names of HTTP headers",
            ));
        }
        if !headers
            .iter()
            .any(|known| known.eq_ignore_ascii_case(&header))
        {
            headers.push(header);
        }
    }
    tx.view(reserved::SYSTEM)
        .put(ROW, &Cors { origins, headers })
        .await?;
    Ok(changed())
}

pub async fn delete(tx: &mut Tx) -> Result<Reply, Fault> {
    tx.view(reserved::SYSTEM).delete(ROW).await?;
    Ok(changed())
}

fn changed() -> Reply {
    Reply {
        after: Some(After::Cors),
        ..Reply::none()
    }
}
