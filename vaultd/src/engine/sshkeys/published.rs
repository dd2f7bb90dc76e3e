//! The host keys that GitHub publishes about itself (REST API, `GET /meta`).

use std::collections::BTreeSet;

use serde::Deserialize;

use super::forge::Forge;
use super::{known_hosts, name};
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::slow::Outside;
use crate::outbound::{Trust, Url};

const HOST: &str = "github.com";
const API: &str = "https://api.github.com";

/// Keys of a host, and who said so.
pub struct Published {
    pub(super) keys: BTreeSet<String>,
    pub(super) source: String,
}

#[derive(Deserialize)]
struct Meta {
    ssh_keys: Vec<String>,
}

pub(super) async fn ask(
    ctx: &Ctx<'_>,
    view: &mut View<'_>,
    outside: &Outside<'_>,
) -> Result<Published, Fault> {
    let host = name::host(ctx.param("host"))?;
    let named = ctx.body().string("forge")?.filter(|text| !text.is_empty());
    let (base, trust) = match named {
        Some(forge) => {
            let forge = name::Name::parse(&forge)?;
            let forge = Forge::find(view, forge.as_str()).await?;
            let forge = forge.ok_or_else(|| Fault::invalid("there is no such forge"))?;
            if !forge.publishes_host_keys() || forge.destination().host() != host {
                return Err(Fault::invalid(
                    "only GitHub publishes the keys of its host, and only of its own: pin others with \
                     the lines that their operator gives",
                ));
            }
            (forge.url.clone(), forge.trust()?)
        }
        None if host == HOST => (url(API)?, trust()?),
        None => {
            return Err(Fault::invalid(
                "missing forge: which one publishes the keys of the host?",
            ));
        }
    };
    let from = base.join("meta").map_err(failed)?;
    let body = outside.outbound.get(&trust, &from).await.map_err(failed)?;
    let meta: Meta = serde_json::from_slice(&body)
        .map_err(|_| Fault::invalid("the forge's answer holds no ssh_keys"))?;
    let keys = known_hosts::parse("ssh_keys", &meta.ssh_keys)?;
    match keys.is_empty() {
        true => Err(Fault::invalid("the forge publishes no key")),
        false => Ok(Published {
            keys,
            source: format!("published at {}", from.as_str()),
        }),
    }
}

fn url(text: &str) -> Result<Url, Fault> {
    Url::parse(text).map_err(failed)
}

fn trust() -> Result<Trust, Fault> {
    Trust::from_pem("").map_err(failed)
}

fn failed(failure: crate::outbound::Failure) -> Fault {
    Fault::invalid(format!("the forge was not asked: {failure}"))
}
