//! The mount's config: which organisation, at which GitHub, and the settings of its tokens.

use serde::{Deserialize, Serialize};
use serde_json::{Map, json};

use super::api::Api;
use crate::auth::token_fields;
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::login::TokenParams;
use crate::core::reply::Reply;
use crate::core::slow::Outside;
use crate::outbound::Url;

const CONFIG: &str = "config";
const PUBLIC: &str = "https://api.github.com/";

#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Config {
    pub(super) organization: String,
    /// Names can be given to others; numbers are not.
    pub(super) organization_id: u64,
    /// Empty for github.com.
    pub(super) base_url: String,
    pub(super) token: TokenParams,
}

impl Config {
    pub(super) fn url(&self) -> Result<Url, Fault> {
        let text = match self.base_url.as_str() {
            "" => PUBLIC,
            text => text,
        };
        Url::parse(text).map_err(|failure| Fault::invalid(format!("base_url: {failure}")))
    }
}

pub(super) async fn get(view: &mut View<'_>) -> Result<Option<Config>, Fault> {
    Ok(view.get(CONFIG).await?)
}

/// The config, which must be there.
pub(super) async fn require(view: &mut View<'_>) -> Result<Config, Fault> {
    get(view)
        .await?
        .ok_or_else(|| Fault::invalid("configuration has not been set"))
}

/// The config as it will be; an organisation whose number is not given is asked for.
pub(super) async fn check(
    ctx: &Ctx<'_>,
    view: &mut View<'_>,
    outside: &Outside<'_>,
) -> Result<Config, Fault> {
    let body = ctx.body();
    let before = get(view).await?;
    let mut config = before.clone().unwrap_or(Config {
        organization: String::new(),
        organization_id: 0,
        base_url: String::new(),
        token: TokenParams::default(),
    });
    if let Some(name) = body.string("organization")? {
        config.organization = name;
    }
    if let Some(url) = body.string("base_url")? {
        config.base_url = url;
    }
    token_fields::update(&mut config.token, body)?;
    let odd = |c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c));
    if config.organization.is_empty() || config.organization.contains(odd) {
        return Err(Fault::invalid(
            "organization is a required parameter: the name in its GitHub URL",
        ));
    }
    let url = config.url()?;
    if !url.is_tls() && !url.is_loopback() {
        return Err(Fault::invalid(
            "base_url must be https: people's tokens are sent there",
        ));
    }
    let same =
        |old: &Config| old.organization == config.organization && old.base_url == config.base_url;
    match body.int("organization_id")? {
        Some(id) if id > 0 => config.organization_id = id.unsigned_abs(),
        _ if before.as_ref().is_some_and(same) && config.organization_id != 0 => {}
        _ => {
            let api = Api {
                outbound: outside.outbound,
                base: url,
            };
            config.organization_id = api.organization(&config.organization).await.map_err(|failure| {
                Fault::invalid(format!(
                    "unable to fetch the organization_id, you must manually set it in the config: {failure}"
                ))
            })?;
        }
    }
    Ok(config)
}

pub(super) async fn write(config: &Config, view: &mut View<'_>) -> Result<Reply, Fault> {
    view.put(CONFIG, config).await?;
    Ok(Reply::none())
}

pub(super) async fn read(view: &mut View<'_>) -> Result<Reply, Fault> {
    let config = get(view).await?.ok_or(Fault::Missing)?;
    let mut map = Map::new();
    map.insert("organization".into(), json!(config.organization));
    map.insert("organization_id".into(), json!(config.organization_id));
    map.insert("base_url".into(), json!(config.base_url));
    config.token.show(&mut map);
    Ok(Reply::map(map))
}
