//! Login by a browser (OpenID Connect Core 1.0, 3.1; RFC 6749, 7636): first the URL that the person
//! is sent to, then what the provider sent back, exchanged for an id token.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::Value;
use vault_proto::Sensitive;

use super::claims::{check_audience, check_issuer, check_times};
use super::issuers::Provider;
use super::login::{Proof, admit, refused, require, role_name, unchanged};
use super::model::{Client, Config, Role, RoleType, Source};
use super::state::State;
use super::{Prepared, config};
use crate::auth::name::RoleName;
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;
use crate::core::slow::Outside;
use crate::jose::{self, Claims};
use crate::outbound::{Failure, Request, Trust, Url, form, percent};

/// A verified id token, and the state of the login that it ends.
pub struct Answered {
    proof: Proof,
    state: State,
    nonce: String,
}

fn client(config: &Config) -> Result<&Client, Fault> {
    let client = config.client.as_ref();
    client.ok_or_else(|| Fault::invalid("OIDC login is not configured for this mount"))
}

fn trust(config: &Config) -> Result<Trust, Failure> {
    match &config.source {
        Source::Discovery(place) => Trust::from_pem(&place.ca_pem),
        Source::Jwks(_) | Source::Pairs(_) | Source::Keys(_) => Ok(Trust::System),
    }
}

async fn provider(
    ctx: &Ctx<'_>,
    config: &Config,
    outside: &Outside<'_>,
) -> Result<Provider, Fault> {
    let published = outside
        .issuers
        .published(outside.outbound, ctx.mount.number, config, ctx.now())
        .await
        .map_err(|failure| Fault::invalid(format!("the provider does not answer: {failure}")))?;
    let provider = published.provider.clone();
    provider.ok_or_else(|| Fault::invalid("OIDC login is not configured for this mount"))
}

/// The URL that the browser is sent to.
pub(super) async fn auth_url(
    ctx: &Ctx<'_>,
    view: &mut View<'_>,
    outside: &Outside<'_>,
) -> Result<String, Fault> {
    let config = config::require(view).await?;
    let client = client(&config)?;
    let name = role_name(ctx, &config)?;
    let redirect_uri = ctx.body().string("redirect_uri")?.unwrap_or_default();
    if redirect_uri.is_empty() {
        return Err(Fault::invalid("missing redirect_uri"));
    }
    let role = require(view, &name, RoleType::Oidc).await?;
    if !is_allowed(&redirect_uri, &role.allowed_redirect_uris) {
        return Err(Fault::invalid(
            "unauthorized redirect_uri: it is not among the role's allowed_redirect_uris",
        ));
    }
    let provider = provider(ctx, &config, outside).await?;
    // Without a door Vault answers the query alone, and clients count on it.
    let door = provider.authorization_endpoint;
    let door = door.as_ref().map_or("", Url::as_str);
    let sealed = State::new(ctx, name.as_str(), &redirect_uri)?.seal(ctx)?;
    let challenge = vault_crypto::sha256(sealed.verifier.as_bytes());
    let scopes = [&["openid".to_owned()], &role.oidc_scopes[..]]
        .concat()
        .join(" ");
    let max_age = role.max_age.to_string();
    let mut fields = vec![
        ("client_id", client.id.as_str()),
        ("code_challenge", ""),
        ("code_challenge_method", "S256"),
        ("nonce", &sealed.nonce),
        ("redirect_uri", &redirect_uri),
        ("response_type", "code"),
        ("scope", &scopes),
        ("state", &sealed.text),
    ];
    let challenge = URL_SAFE_NO_PAD.encode(challenge);
    fields[1].1 = &challenge;
    if role.max_age > 0 {
        fields.push(("max_age", &max_age));
    }
    let mark = if door.contains('?') { '&' } else { '?' };
    Ok(format!("{door}{mark}{}", form(&fields)))
}

/// Exactly one of those, but on loopback with any port (RFC 8252, 7.3).
fn is_allowed(given: &str, allowed: &[String]) -> bool {
    let loopback = |text: &str| {
        let url = Url::parse(text).ok().filter(Url::is_loopback)?;
        let (scheme, rest) = text.split_once("://")?;
        let path = rest.find('/').map_or("", |at| &rest[at..]);
        Some((
            scheme.to_owned(),
            url.bare_host().to_owned(),
            path.to_owned(),
        ))
    };
    allowed.iter().any(|one| {
        one == given
            || loopback(one).is_some_and(|one| loopback(given).is_some_and(|given| one == given))
    })
}

/// What a token endpoint answers (RFC 6749, 5.1).
#[derive(Deserialize)]
struct Tokens {
    id_token: Option<Sensitive<String>>,
    access_token: Option<Sensitive<String>>,
}

/// Exchanges the code for an id token and verifies that.
pub(super) async fn exchange(
    ctx: &Ctx<'_>,
    view: &mut View<'_>,
    outside: &Outside<'_>,
) -> Result<Prepared, Fault> {
    let config = config::require(view).await?;
    let body = ctx.body();
    let state = State::open(ctx, &body.string("state")?.unwrap_or_default())?;
    state.unused(view).await?;
    require(view, &RoleName::parse(&state.role)?, RoleType::Oidc).await?;
    if body.has("error") {
        return Err(Fault::invalid("the provider did not log the user in"));
    }
    let code = Sensitive::new(body.string("code")?.unwrap_or_default());
    if code.expose().is_empty() {
        return Err(Fault::invalid("OAuth code parameter not provided"));
    }
    let sealed = state.seal(ctx)?;
    let provider = provider(ctx, &config, outside).await?;
    let door = Door {
        config: &config,
        provider: &provider,
        outside,
    };
    let tokens = door
        .tokens(&code, &state, &sealed.verifier)
        .await
        .map_err(|failure| Fault::invalid(format!("error exchanging oidc code: {failure}")))?;
    let text = tokens.id_token.ok_or_else(|| {
        Fault::invalid("error exchanging oidc code: the provider gave no id token")
    })?;
    let allowed = config.id_token_algorithms();
    let mut proof = Proof::of(ctx, outside, config.clone(), text.expose(), &allowed).await?;
    if let Some(access) = &tokens.access_token {
        door.add_user_info(&mut proof.claims, access).await;
    }
    let nonce = sealed.nonce;
    Ok(Prepared::IdToken(Box::new(Answered {
        proof,
        state,
        nonce,
    })))
}

/// The provider, and who we are there.
struct Door<'a> {
    config: &'a Config,
    provider: &'a Provider,
    outside: &'a Outside<'a>,
}

impl Door<'_> {
    async fn tokens(
        &self,
        code: &Sensitive<String>,
        state: &State,
        verifier: &str,
    ) -> Result<Tokens, Failure> {
        let url = self.provider.token_endpoint.clone();
        let url = url.ok_or(Failure::Answer("the provider has no token_endpoint"))?;
        let client = self.config.client.as_ref();
        let client = client.ok_or(Failure::Answer("no client is configured"))?;
        let fields = form(&[
            ("grant_type", "authorization_code"),
            ("code", code.expose()),
            ("redirect_uri", &state.redirect_uri),
            ("code_verifier", verifier),
        ]);
        let pair = Sensitive::new(format!(
            "{}:{}",
            percent(&client.id),
            percent(client.secret.expose())
        ));
        let request = Request::post(
            url,
            "application/x-www-form-urlencoded",
            fields.into_bytes(),
        )
        .authorization(format!("Basic {}", STANDARD.encode(pair.expose())));
        let answer = self
            .outside
            .outbound
            .send(&trust(self.config)?, request)
            .await?;
        let body = answer.success()?;
        serde_json::from_slice(&body).map_err(|_| Failure::Answer("expected tokens as JSON"))
    }

    /// Adds what the provider says about the same person elsewhere. What it has signed stays.
    async fn add_user_info(&self, claims: &mut Claims, access: &Sensitive<String>) {
        let Some(url) = self.provider.userinfo_endpoint.clone() else {
            return;
        };
        let asked = async {
            let request = Request::get(url).bearer(access.expose());
            let answer = self
                .outside
                .outbound
                .send(&trust(self.config)?, request)
                .await?;
            let body = answer.success()?;
            jose::object(&body).ok_or(Failure::Answer("expected claims as JSON"))
        };
        match asked.await {
            Ok(more)
                if more
                    .get("sub")
                    .is_some_and(|sub| claims.get("sub") == Some(sub)) =>
            {
                for (name, value) in more {
                    claims.entry(name).or_insert(value);
                }
            }
            Ok(_) => tracing::warn!("the provider's user info is about somebody else: not used"),
            Err(failure) => tracing::warn!(%failure, "the provider gave no user info"),
        }
    }
}

pub(super) async fn login(
    ctx: &Ctx<'_>,
    answered: &Answered,
    view: &mut View<'_>,
) -> Result<Reply, Fault> {
    let Answered {
        proof,
        state,
        nonce,
    } = answered;
    unchanged(proof, view).await?;
    let name = RoleName::parse(&state.role)?;
    let role = require(view, &name, RoleType::Oidc).await?;
    check_id_token(ctx, proof, &role, nonce).map_err(refused)?;
    state.use_up(view).await?;
    admit(ctx, &name, role, &proof.claims)
}

/// OpenID Connect Core 1.0, 3.1.3.7.
fn check_id_token(ctx: &Ctx<'_>, proof: &Proof, role: &Role, nonce: &str) -> Result<(), String> {
    let (claims, config) = (&proof.claims, &proof.config);
    for name in ["exp", "iat", "sub"] {
        if !claims.contains_key(name) {
            return Err(format!("the id token has no {name} claim"));
        }
    }
    check_times(claims, role, ctx.now())?;
    check_issuer(claims, proof.issuer())?;
    let client = config
        .client
        .as_ref()
        .map_or("", |client| client.id.as_str());
    check_audience(claims, &[client.to_owned()])?;
    if !role.bound_audiences.is_empty() {
        check_audience(claims, &role.bound_audiences)?;
    }
    if claims.get("azp").is_some_and(|party| party != client) {
        return Err("invalid authorized party (azp) claim: it is another client".into());
    }
    if claims.get("nonce").and_then(Value::as_str) != Some(nonce) {
        return Err("invalid nonce claim: the id token was made for another login".into());
    }
    let proven = claims.get("auth_time").and_then(Value::as_i64);
    let now = ctx.now().as_second();
    let max_age = i64::try_from(role.max_age).unwrap_or(i64::MAX);
    match proven {
        _ if max_age == 0 => Ok(()),
        Some(proven) if now.saturating_sub(proven) <= max_age.saturating_add(60) => Ok(()),
        _ => Err("invalid auth_time claim: older than the role's max_age, or missing".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_go_where_the_role_says_and_nowhere_else() {
        let allowed = [
            "https://app.example/cb",
            "http://localhost:8250/oidc/callback",
        ]
        .map(str::to_owned);
        for good in [
            "https://app.example/cb",
            "http://localhost:8250/oidc/callback",
            "http://localhost:49152/oidc/callback",
            "http://localhost/oidc/callback",
        ] {
            assert!(is_allowed(good, &allowed), "{good}");
        }
        for bad in [
            "",
            "https://app.example/cb/",
            "https://app.example:444/cb",
            "http://app.example/cb",
            "https://app.example.evil/cb",
            "https://app.example/cb?x=y",
            "http://localhost:8250/other",
            "https://localhost:8250/oidc/callback",
            "http://127.0.0.1:8250/oidc/callback",
            "http://localhost@evil.example/oidc/callback",
            "http://localhost.evil.example/oidc/callback",
        ] {
            assert!(!is_allowed(bad, &allowed), "{bad}");
        }
    }
}
