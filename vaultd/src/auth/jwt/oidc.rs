//! Login by a browser (OpenID Connect Core 1.0, 3.1; RFC 6749, 7636): first the URL that the person
//! is sent to, then what the provider sent back, exchanged for an id token.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::{Map, Value};
use vault_proto::Sensitive;

use super::claims::{check_audience, check_issuer, check_times};
use super::door::Door;
use super::login::{Proof, admit, refused, require, role_name, unchanged};
use super::model::{CallbackMode, Role, RoleType};
use super::state::{LIFE, State, Way};
use super::{Prepared, config, device};
use crate::auth::name::RoleName;
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;
use crate::core::slow::Outside;
use crate::outbound::{Failure, Url, form};

/// A verified id token, and the state of the login that it ends.
pub struct Answered {
    proof: Proof,
    state: State,
    /// `None` where the provider was told none (RFC 8628).
    nonce: Option<String>,
}

/// Where the person has to go: a URL, and for a device what belongs to it.
pub(super) async fn begin(
    ctx: &Ctx<'_>,
    view: &mut View<'_>,
    outside: &Outside<'_>,
) -> Result<Map<String, Value>, Fault> {
    let config = config::require(view).await?;
    if config.client.is_none() {
        return Err(Fault::invalid(
            "OIDC login is not configured for this mount",
        ));
    }
    let name = role_name(ctx, &config)?;
    let role = require(view, &name, RoleType::Oidc).await?;
    let scopes = [&["openid".to_owned()], &role.oidc_scopes[..]].concat();
    let scopes = scopes.join(" ");
    if role.callback_mode == CallbackMode::Device {
        let door = Door::find(ctx, &config, outside).await?;
        return device::begin(ctx, &door, &name, &role, &scopes).await;
    }
    let redirect_uri = ctx.body().string("redirect_uri")?.unwrap_or_default();
    if redirect_uri.is_empty() {
        return Err(Fault::invalid("missing redirect_uri"));
    }
    if !is_allowed(&redirect_uri, &role.allowed_redirect_uris) {
        return Err(Fault::invalid(
            "unauthorized redirect_uri: it is not among the role's allowed_redirect_uris",
        ));
    }
    let door = Door::find(ctx, &config, outside).await?;
    let url = auth_url(ctx, &door, &name, &role, &scopes, redirect_uri)?;
    let mut data = Map::new();
    data.insert("auth_url".into(), url.into());
    Ok(data)
}

/// The URL that the browser is sent to.
fn auth_url(
    ctx: &Ctx<'_>,
    door: &Door<'_>,
    name: &RoleName,
    role: &Role,
    scopes: &str,
    redirect_uri: String,
) -> Result<String, Fault> {
    let way = Way::Browser {
        redirect_uri: redirect_uri.clone(),
    };
    let sealed = State::new(ctx, name.as_str(), way, LIFE)?.seal(ctx)?;
    let challenge = vault_crypto::sha256(sealed.verifier.as_bytes());
    let challenge = URL_SAFE_NO_PAD.encode(challenge);
    let max_age = role.max_age.to_string();
    let mut fields = vec![
        ("client_id", door.client.id.as_str()),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
        ("nonce", &sealed.nonce),
        ("redirect_uri", &redirect_uri),
        ("response_type", "code"),
        ("scope", scopes),
        ("state", &sealed.text),
    ];
    if role.max_age > 0 {
        fields.push(("max_age", &max_age));
    }
    // Without a door Vault answers the query alone, and clients count on it.
    let page = door.provider.authorization_endpoint.as_ref();
    let page = page.map_or("", Url::as_str);
    let mark = if page.contains('?') { '&' } else { '?' };
    Ok(format!("{page}{mark}{}", form(&fields)))
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
pub(super) struct Tokens {
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
    let Way::Browser { redirect_uri } = &state.way else {
        return Err(Fault::invalid("the login was begun on a device"));
    };
    require(view, &RoleName::parse(&state.role)?, RoleType::Oidc).await?;
    if body.has("error") {
        return Err(Fault::invalid("the provider did not log the user in"));
    }
    let code = Sensitive::new(body.string("code")?.unwrap_or_default());
    if code.expose().is_empty() {
        return Err(Fault::invalid("OAuth code parameter not provided"));
    }
    let door = Door::find(ctx, &config, outside).await?;
    let verifier = state.seal(ctx)?.verifier;
    let tokens = tokens(&door, &code, redirect_uri, &verifier)
        .await
        .map_err(|failure| exchange_failed(&failure))?;
    answered(ctx, &door, tokens, state).await
}

fn exchange_failed(why: &dyn std::fmt::Display) -> Fault {
    Fault::invalid(format!("error exchanging oidc code: {why}"))
}

async fn tokens(
    door: &Door<'_>,
    code: &Sensitive<String>,
    redirect_uri: &str,
    verifier: &str,
) -> Result<Tokens, Failure> {
    let url = door.provider.token_endpoint.as_ref();
    let url = url.ok_or(Failure::Answer("the provider has no token_endpoint"))?;
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", code.expose()),
        ("redirect_uri", redirect_uri),
        ("code_verifier", verifier),
    ];
    let body = door.post(url, &fields).await?.success()?;
    serde_json::from_slice(&body).map_err(|_| Failure::Answer("expected tokens as JSON"))
}

/// Verifies what the provider gave, and adds what it says elsewhere.
pub(super) async fn answered(
    ctx: &Ctx<'_>,
    door: &Door<'_>,
    tokens: Tokens,
    state: State,
) -> Result<Prepared, Fault> {
    let text = tokens.id_token;
    let text = text.ok_or_else(|| exchange_failed(&"the provider gave no id token"))?;
    let (config, allowed) = (door.config.clone(), door.config.id_token_algorithms());
    let mut proof = Proof::of(ctx, door.outside, config, text.expose(), &allowed).await?;
    if let Some(access) = &tokens.access_token {
        door.add_user_info(&mut proof.claims, access).await;
    }
    let nonce = match state.way {
        Way::Browser { .. } => Some(state.seal(ctx)?.nonce),
        Way::Device { .. } => None,
    };
    Ok(Prepared::IdToken(Box::new(Answered {
        proof,
        state,
        nonce,
    })))
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
    check_id_token(ctx, proof, &role, nonce.as_deref()).map_err(refused)?;
    state.use_up(view).await?;
    admit(ctx, &name, role, &proof.claims)
}

/// OpenID Connect Core 1.0, 3.1.3.7.
fn check_id_token(
    ctx: &Ctx<'_>,
    proof: &Proof,
    role: &Role,
    nonce: Option<&str>,
) -> Result<(), String> {
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
    if nonce.is_some() && claims.get("nonce").and_then(Value::as_str) != nonce {
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
