//! The mount's config: written as a whole, read without its secret.

use serde_json::{Map, Value, json};

use super::issuers::{discover, jwks};
use super::model::{CONFIG, Client, Config, Place, Role, Source};
use super::published::{self, static_keys};
use super::shared_issuer::{Judgement, judge};
use crate::auth::name::RoleName;
use crate::auth::roles;
use crate::auth::secret::Secret;
use crate::barrier::View;
use crate::core::body::Body;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;
use crate::jose::Algorithm;
use crate::outbound::{Outbound, Trust, Url};

/// A new config, and what its author should know.
pub struct Checked {
    config: Config,
    warnings: Vec<String>,
}

/// Reads the config from the request and asks its issuer once.
pub(super) async fn check(
    ctx: &Ctx<'_>,
    view: &mut View<'_>,
    outbound: &Outbound,
) -> Result<Checked, Fault> {
    let config = parse(ctx.body())?;
    let mut warnings = Vec::new();
    for name in view.list("role").await? {
        let role: Option<Role> = roles::get(view, &RoleName::parse(&name)?).await?;
        match role.map(|role| judge(&config, &role)) {
            None | Some(Judgement::Bound) => {}
            Some(Judgement::NamesOnly(why) | Judgement::Strangers(why)) => {
                warnings.push(format!("role {name:?}: {why}"));
            }
        }
    }
    match &config.source {
        Source::Discovery(place) => {
            discover(outbound, place).await.map_err(|failure| {
                Fault::invalid(format!("error checking oidc discovery URL: {failure}"))
            })?;
            warn_plain(&mut warnings, place);
        }
        Source::Jwks(place) => try_keys(&mut warnings, outbound, place).await,
        Source::Pairs(places) => {
            for place in places {
                try_keys(&mut warnings, outbound, place).await;
            }
        }
        Source::Keys(texts) => {
            static_keys(texts).map_err(|_| {
                Fault::invalid("error parsing public key: jwt_validation_pubkeys are PEM of RSA, P-256, P-384, P-521 or Ed25519 keys")
            })?;
        }
    }
    Ok(Checked { config, warnings })
}

async fn try_keys(warnings: &mut Vec<String>, outbound: &Outbound, place: &Place) {
    if let Err(failure) = jwks(outbound, place).await {
        warnings.push(format!(
            "error checking jwks URL: {failure}; it is stored, and tried again at the next login"
        ));
    }
    warn_plain(warnings, place);
}

fn warn_plain(warnings: &mut Vec<String>, place: &Place) {
    if !place.url.is_tls() && !place.url.is_loopback() {
        warnings.push(
            "keys are fetched over plain http: who is between here and there can log in as anybody"
                .into(),
        );
    }
}

fn parse(body: &Body) -> Result<Config, Fault> {
    let supported_algs = body.list("jwt_supported_algs")?.unwrap_or_default();
    if supported_algs
        .iter()
        .any(|name| Algorithm::parse(name).is_none())
    {
        return Err(Fault::invalid(
            "unsupported signing algorithm in jwt_supported_algs: expected RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512 or EdDSA",
        ));
    }
    let source = source(body)?;
    let client = client(body)?;
    if client.is_some() && !matches!(source, Source::Discovery(_)) {
        return Err(Fault::invalid("'oidc_discovery_url' must be set for OIDC"));
    }
    let default_role = body.string("default_role")?.unwrap_or_default();
    if !default_role.is_empty() {
        RoleName::parse(&default_role)?;
    }
    Ok(Config {
        source,
        bound_issuer: body.string("bound_issuer")?.unwrap_or_default(),
        supported_algs,
        default_role,
        client,
        response_mode: response_mode(body)?,
        response_types: response_types(body)?,
        provider_config: provider_config(body)?,
        namespace_in_state: body.bool("namespace_in_state")?.unwrap_or(false),
    })
}

fn place(url: &str, ca_pem: String, field: &str) -> Result<Place, Fault> {
    let wrong = |failure| Fault::invalid(format!("{field}: {failure}"));
    Trust::from_pem(&ca_pem).map_err(wrong)?;
    let url = Url::parse(url).map_err(wrong)?;
    Ok(Place { url, ca_pem })
}

fn source(body: &Body) -> Result<Source, Fault> {
    let text = |field| Ok::<_, Fault>(body.string(field)?.unwrap_or_default());
    let mut sources = Vec::new();
    let discovery = text("oidc_discovery_url")?;
    if !discovery.is_empty() {
        let ca = text("oidc_discovery_ca_pem")?;
        sources.push(Source::Discovery(place(
            &discovery,
            ca,
            "oidc_discovery_url",
        )?));
    }
    let keys = text("jwks_url")?;
    if !keys.is_empty() {
        sources.push(Source::Jwks(place(
            &keys,
            text("jwks_ca_pem")?,
            "jwks_url",
        )?));
    }
    let pairs: Vec<Map<String, Value>> = body
        .typed(
            "jwks_pairs",
            "a list of objects with jwks_url and jwks_ca_pem",
        )?
        .unwrap_or_default();
    if !pairs.is_empty() {
        let one = |pair: &Map<String, Value>| {
            let text = |name: &str| pair.get(name).and_then(Value::as_str).unwrap_or("");
            place(
                text("jwks_url"),
                text("jwks_ca_pem").to_owned(),
                "jwks_pairs",
            )
        };
        sources.push(Source::Pairs(
            pairs.iter().map(one).collect::<Result<_, _>>()?,
        ));
    }
    let pems = body.list("jwt_validation_pubkeys")?.unwrap_or_default();
    if !pems.is_empty() {
        sources.push(Source::Keys(pems));
    }
    match (sources.pop(), sources.is_empty()) {
        (Some(source), true) => Ok(source),
        _ => Err(Fault::invalid(
            "exactly one of 'jwt_validation_pubkeys', 'jwks_url', 'jwks_pairs' or 'oidc_discovery_url' fields must be set",
        )),
    }
}

fn client(body: &Body) -> Result<Option<Client>, Fault> {
    let id = body.string("oidc_client_id")?.unwrap_or_default();
    let secret = Secret::new(body.string("oidc_client_secret")?.unwrap_or_default());
    match (id.is_empty(), secret) {
        (true, None) => Ok(None),
        (false, Some(secret)) => Ok(Some(Client { id, secret })),
        _ => Err(Fault::invalid(
            "both 'oidc_client_id' and 'oidc_client_secret' must be set for OIDC",
        )),
    }
}

fn response_mode(body: &Body) -> Result<String, Fault> {
    let mode = body.string("oidc_response_mode")?.unwrap_or_default();
    match mode.as_str() {
        "" | "query" | "form_post" => Ok(mode),
        _ => Err(Fault::invalid(
            "invalid oidc_response_mode: expected query or form_post",
        )),
    }
}

fn response_types(body: &Body) -> Result<Vec<String>, Fault> {
    let types = body.list("oidc_response_types")?.unwrap_or_default();
    match types.iter().all(|one| one == "code") {
        true => Ok(types),
        false => Err(Fault::invalid(
            "oidc_response_types: only \"code\" is supported: an id token does not travel through a browser",
        )),
    }
}

/// Providers with a way of their own are refused, so that nobody waits for groups that never come.
fn provider_config(body: &Body) -> Result<Map<String, Value>, Fault> {
    let config = body.map("provider_config")?.unwrap_or_default();
    match config.get("provider").and_then(Value::as_str) {
        None | Some("") => Ok(config),
        Some(_) => Err(Fault::invalid(
            "provider_config: no provider has special handling here; use groups_claim and oidc_scopes",
        )),
    }
}

/// The config, which must be there.
pub(super) async fn require(view: &mut View<'_>) -> Result<Config, Fault> {
    let config = view.get(CONFIG).await?;
    config.ok_or_else(|| {
        Fault::invalid("could not load configuration: write the mount's config first")
    })
}

pub(super) async fn write(checked: &Checked, view: &mut View<'_>) -> Result<Reply, Fault> {
    let before: Option<Config> = view.get(CONFIG).await?;
    if before.is_some_and(|before| before.source != checked.config.source) {
        published::forget(view).await?;
    }
    view.put(CONFIG, &checked.config).await?;
    let warnings = checked.warnings.iter();
    Ok(warnings.fold(Reply::none(), |reply, text| reply.warn(text)))
}

pub(super) async fn read(view: &mut View<'_>) -> Result<Reply, Fault> {
    let config: Config = view.get(CONFIG).await?.ok_or(Fault::Missing)?;
    Ok(Reply::map(show(&config)))
}

fn show(config: &Config) -> Map<String, Value> {
    let mut map = Map::new();
    let mut put = |name: &str, value: Value| drop(map.insert(name.to_owned(), value));
    let (mut discovery, mut keys, mut pairs, mut pems) = (None, None, Vec::new(), &Vec::new());
    match &config.source {
        Source::Discovery(place) => discovery = Some(place),
        Source::Jwks(place) => keys = Some(place),
        Source::Pairs(places) => pairs.extend(
            places
                .iter()
                .map(|place| json!({"jwks_url": place.url, "jwks_ca_pem": place.ca_pem})),
        ),
        Source::Keys(texts) => pems = texts,
    }
    let url = |place: Option<&Place>| json!(place.map_or("", |place| place.url.as_str()));
    let ca = |place: Option<&Place>| json!(place.map_or("", |place| place.ca_pem.as_str()));
    put("oidc_discovery_url", url(discovery));
    put("oidc_discovery_ca_pem", ca(discovery));
    put("jwks_url", url(keys));
    put("jwks_ca_pem", ca(keys));
    put("jwks_pairs", json!(pairs));
    put("jwt_validation_pubkeys", json!(pems));
    put("jwt_supported_algs", json!(config.supported_algs));
    put("bound_issuer", json!(config.bound_issuer));
    put("default_role", json!(config.default_role));
    let client = config
        .client
        .as_ref()
        .map_or("", |client| client.id.as_str());
    put("oidc_client_id", json!(client));
    put("oidc_response_mode", json!(config.response_mode));
    put("oidc_response_types", json!(config.response_types));
    put("provider_config", json!(config.provider_config));
    put("namespace_in_state", json!(config.namespace_in_state));
    map
}
