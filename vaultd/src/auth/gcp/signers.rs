//! Whose keys a token is verified with: Google's own, or those that it publishes for an account. They
//! are kept and asked for as those of the jwt method's issuers.

use jiff::Timestamp;
use vault_crypto::Random;

use super::claims::Said;
use super::model::{Config, Role};
use crate::auth::jwt::{self, Place, Signer, Source};
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::slow::Outside;
use crate::jose::{Algorithm, Claims, Token};
use crate::outbound::{Failure, Url, percent};

const API: &str = "https://www.googleapis.com";
/// As Google signs, and its libraries.
const ALLOWED: [Algorithm; 1] = [Algorithm::Rs256];
const ROWS: &str = "keys";

fn refused(why: impl std::fmt::Display) -> Fault {
    Fault::invalid(format!("unable to verify the signed JWT: {why}"))
}

/// A token's text, if it can be one that Google or an account signed.
pub(super) fn parse(text: &str) -> Result<Token<'_>, Fault> {
    let token = Token::parse(text).map_err(|error| Fault::invalid(error.to_string()))?;
    match (token.kid(), ALLOWED.contains(&token.algorithm())) {
        (None | Some(""), _) => Err(refused("it has no kid, which names the key")),
        (_, false) => Err(refused("its alg is not RS256")),
        _ => Ok(token),
    }
}

fn place(config: &Config, path: &str) -> Result<Source, Failure> {
    let base = match &config.endpoints.api {
        Some(url) => url.clone(),
        None => Url::parse(API)?,
    };
    Ok(Source::Jwks(Place {
        url: base.join(path)?,
        ca_pem: String::new(),
    }))
}

/// What the token says, proved.
pub(super) async fn verify(
    ctx: &Ctx<'_>,
    outside: &Outside<'_>,
    config: &Config,
    role: &Role,
    token: &Token<'_>,
    said: &Said,
) -> Result<Claims, Fault> {
    let (row, path) = match said.by_google {
        true => (format!("{ROWS}/google"), "oauth2/v3/certs".to_owned()),
        false => (
            format!("{ROWS}/{}", said.subject),
            format!("service_accounts/v1/jwk/{}", percent(&said.subject)),
        ),
    };
    let source = place(config, &path).map_err(refused)?;
    let signer = Signer {
        row: &row,
        source: &source,
    };
    let aside = outside.aside(ctx.mount.number);
    let issuers = outside.issuers;
    // Names that anybody may invent; those that a role lists are its author's.
    let invented = !said.by_google && !role.service_accounts.contains(&said.subject);
    if invented && !issuers.knows(&aside, signer, ctx.now()).await {
        let google = &outside.vault.google;
        google.admit_stranger(ctx.mount.number, ctx.now())?;
    }
    issuers
        .verify(outside.outbound, &aside, signer, token, &ALLOWED, ctx.now())
        .await
        .map_err(refused)
        .map(|(claims, _)| claims)
}

/// Forgets keys that are too old to be used.
pub async fn tidy(now: Timestamp, random: &dyn Random, view: &mut View<'_>) -> Result<bool, Fault> {
    jwt::tidy_published(ROWS, now, random, view).await?;
    Ok(false)
}
