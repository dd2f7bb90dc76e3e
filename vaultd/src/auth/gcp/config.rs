//! The mount's config: how Google is asked. Read without the credentials' key.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use vault_crypto::PrivateKey;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::model::{AliasSource, CONFIG, Config, Credentials, Endpoints};
use crate::auth::secret::Secret;
use crate::barrier::View;
use crate::core::body::Body;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;
use crate::outbound::Url;

const TOKEN_URI: &str = "https://oauth2.googleapis.com/token";
const IAM_METADATA: [&str; 4] = [
    "project_id",
    "role",
    "service_account_id",
    "service_account_email",
];
const GCE_METADATA: [&str; 9] = [
    "instance_creation_timestamp",
    "instance_id",
    "instance_name",
    "project_id",
    "project_number",
    "role",
    "service_account_id",
    "service_account_email",
    "zone",
];

/// A service account's file, as Google gives it out.
#[derive(Deserialize, Zeroize, ZeroizeOnDrop)]
struct File {
    #[serde(default)]
    r#type: String,
    #[serde(default)]
    client_email: String,
    #[serde(default)]
    client_id: String,
    #[serde(default)]
    project_id: String,
    #[serde(default)]
    private_key_id: String,
    #[serde(default)]
    private_key: String,
    #[serde(default)]
    token_uri: String,
}

/// The config; an empty one if there is none.
pub(super) async fn load(view: &mut View<'_>) -> Result<Config, Fault> {
    let config: Option<Config> = view.get(CONFIG).await?;
    Ok(config.unwrap_or_default())
}

pub(super) async fn write(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let before = load(view).await?;
    let mut config = before.clone();
    update(&mut config, ctx.body())?;
    let (old, new) = (&before.endpoints, &config.endpoints);
    let moved = (&old.iam, &old.crm, &old.compute) != (&new.iam, &new.crm, &new.compute);
    if moved && config.credentials.is_some() && !ctx.body().has("credentials") {
        return Err(Fault::invalid(
            "custom_endpoint: give the credentials again, since access tokens for them would be sent to another server",
        ));
    }
    view.put(CONFIG, &config).await?;
    Ok(Reply::none())
}

fn update(config: &mut Config, body: &Body) -> Result<(), Fault> {
    if body.asks("identity_token_audience") || body.asks("service_account_email") {
        return Err(Fault::invalid(
            "identity_token_audience and service_account_email are not supported: give credentials",
        ));
    }
    if let Some(text) = body.string("credentials")?.map(Zeroizing::new) {
        config.credentials = match text.is_empty() {
            true => None,
            false => Some(credentials(&text)?),
        };
    }
    for (field, into, other, name) in [
        (
            "iam_alias",
            &mut config.iam_alias,
            AliasSource::Account,
            "unique_id",
        ),
        (
            "gce_alias",
            &mut config.gce_alias,
            AliasSource::Instance,
            "instance_id",
        ),
    ] {
        match body.string(field)?.as_deref() {
            None => {}
            Some("" | "role_id") => *into = AliasSource::Role,
            Some(given) if given == name => *into = other,
            Some(_) => {
                return Err(Fault::invalid(format!(
                    "invalid {field}: expected role_id or {name}"
                )));
            }
        }
    }
    metadata(
        &mut config.iam_metadata,
        body,
        "iam_metadata",
        &IAM_METADATA,
    )?;
    metadata(
        &mut config.gce_metadata,
        body,
        "gce_metadata",
        &GCE_METADATA,
    )?;
    endpoints(&mut config.endpoints, body)
}

fn reachable(url: Url, field: &str) -> Result<Url, Fault> {
    match url.is_tls() || url.is_loopback() {
        true => Ok(url),
        false => Err(Fault::invalid(format!("{field} must be https"))),
    }
}

fn credentials(text: &str) -> Result<Credentials, Fault> {
    let odd = |what: &str| Fault::invalid(format!("failed to read credentials: {what}"));
    let file: File = serde_json::from_str(text)
        .map_err(|_| odd("expected the JSON of a service account's key file"))?;
    if !matches!(file.r#type.as_str(), "" | "service_account") {
        return Err(odd("their type must be service_account"));
    }
    if file.private_key_id.is_empty() {
        return Err(Fault::invalid("missing private key in credentials"));
    }
    if !file.client_email.contains('@') {
        return Err(odd("client_email is missing"));
    }
    let key = PrivateKey::from_pem(&file.private_key);
    if !matches!(key, Ok(PrivateKey::Rsa(_))) {
        return Err(odd("private_key is no PEM of an RSA key"));
    }
    let token_uri = match file.token_uri.as_str() {
        "" => TOKEN_URI,
        uri => uri,
    };
    let token_uri = Url::parse(token_uri).map_err(|_| odd("token_uri is no URL"))?;
    Ok(Credentials {
        client_email: file.client_email.clone(),
        client_id: file.client_id.clone(),
        project_id: file.project_id.clone(),
        private_key_id: file.private_key_id.clone(),
        private_key: Secret::new(file.private_key.clone()).ok_or_else(|| odd("no key"))?,
        token_uri: reachable(token_uri, "token_uri")?,
    })
}

/// `default` stands for all of them.
fn metadata(
    into: &mut Option<Vec<String>>,
    body: &Body,
    field: &str,
    known: &[&str],
) -> Result<(), Fault> {
    let Some(names) = body.list(field)? else {
        return Ok(());
    };
    if names.iter().any(|name| name == "default") {
        *into = None;
        return Ok(());
    }
    if !names.iter().all(|name| known.contains(&name.as_str())) {
        return Err(Fault::invalid(format!(
            "{field}: expected default, or some of {}",
            known.join(", ")
        )));
    }
    *into = Some(names);
    Ok(())
}

/// Those that are named change; an empty text stands for Google's own.
fn endpoints(endpoints: &mut Endpoints, body: &Body) -> Result<(), Fault> {
    for (name, text) in body.strings("custom_endpoint")?.unwrap_or_default() {
        let into = match name.as_str() {
            "api" => &mut endpoints.api,
            "iam" => &mut endpoints.iam,
            "crm" => &mut endpoints.crm,
            "compute" => &mut endpoints.compute,
            _ => {
                return Err(Fault::invalid(
                    "invalid custom endpoint type: available types are 'api', 'iam', 'crm', 'compute'",
                ));
            }
        };
        let field = format!("custom_endpoint: {name}");
        *into = match text.is_empty() {
            true => None,
            false => {
                let url = Url::parse(&text)
                    .map_err(|failure| Fault::invalid(format!("{field}: {failure}")))?;
                Some(reachable(url, &field)?)
            }
        };
    }
    Ok(())
}

pub(super) async fn read(view: &mut View<'_>) -> Result<Reply, Fault> {
    Ok(Reply::map(show(&load(view).await?)))
}

fn show(config: &Config) -> Map<String, Value> {
    let mut map = Map::new();
    let mut put = |name: &str, value: Value| drop(map.insert(name.to_owned(), value));
    if let Some(credentials) = &config.credentials {
        for (name, value) in [
            ("client_email", &credentials.client_email),
            ("client_id", &credentials.client_id),
            ("private_key_id", &credentials.private_key_id),
            ("project_id", &credentials.project_id),
        ] {
            if !value.is_empty() {
                put(name, json!(value));
            }
        }
    }
    let metadata = |chosen: &Option<Vec<String>>, all: &[&str]| match chosen {
        Some(chosen) => json!(chosen),
        None => json!(all),
    };
    put("iam_alias", json!(config.iam_alias));
    put("gce_alias", json!(config.gce_alias));
    put(
        "iam_metadata",
        metadata(&config.iam_metadata, &IAM_METADATA),
    );
    put(
        "gce_metadata",
        metadata(&config.gce_metadata, &GCE_METADATA),
    );
    let endpoints = [
        ("api", &config.endpoints.api),
        ("iam", &config.endpoints.iam),
        ("crm", &config.endpoints.crm),
        ("compute", &config.endpoints.compute),
    ];
    let given: Map<String, Value> = endpoints
        .into_iter()
        .filter_map(|(name, url)| Some((name.to_owned(), json!(url.as_ref()?))))
        .collect();
    if !given.is_empty() {
        put("custom_endpoint", Value::Object(given));
    }
    map
}
