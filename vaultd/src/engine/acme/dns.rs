//! Writing DNS records for dns-01: to a server that takes updates (RFC 2136), or by a program that the
//! server's config names. What is written is looked for before the authority is told.

mod hook;
mod message;
mod rfc2136;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use zeroize::Zeroizing;

use self::rfc2136::{Algorithm, Server};
use super::cert::{Answer, Cert};
use super::name::Name;
use super::trouble::Trouble;
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::errand::Means;
use crate::core::fault::Fault;
use crate::core::reply::Reply;
use crate::engine::secret::Secret;

const FOLDER: &str = "dns";
const TTL: u32 = 60;
/// Between two looks whether a record is visible, and how long one errand looks.
const LOOK: Duration = Duration::from_secs(1);
const LOOKS: u32 = 20;
const WAIT_MAX: u64 = 300;
const SERVERS_MAX: usize = 10;

fn row(name: &Name) -> String {
    format!("{FOLDER}/{}", name.as_str())
}

#[derive(Serialize, Deserialize)]
pub(super) struct Provider {
    way: Way,
    /// `HOST:PORT` of servers that have to answer with the records.
    check: Vec<String>,
    /// Seconds after that.
    wait: u64,
}

#[derive(Serialize, Deserialize)]
enum Way {
    Hook { hook: String },
    Rfc2136(Server),
}

/// What is done about records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    Add,
    Remove,
}

/// The name of the record that proves a host.
fn record_name(answer: &Answer) -> String {
    format!("_acme-challenge.{}", answer.host)
}

impl Provider {
    pub(super) async fn find(view: &mut View<'_>, name: &Name) -> Result<Option<Provider>, Fault> {
        Ok(view.get(&row(name)).await?)
    }

    /// Doing it again does no harm.
    pub(super) async fn carry_out(
        &self,
        deed: Deed,
        answers: &[Answer],
        means: &Means<'_>,
    ) -> Result<(), Trouble> {
        for answer in answers {
            let name = record_name(answer);
            match &self.way {
                Way::Hook { hook } => {
                    hook::run(means.hooks, hook, deed, &name, &answer.record).await?;
                }
                Way::Rfc2136(server) => {
                    server.update(deed, &name, &answer.record, means).await?;
                }
            }
        }
        match deed {
            Deed::Add => self.see(answers, means).await,
            Deed::Remove => Ok(()),
        }
    }

    /// Every server that is asked has to know every record.
    async fn see(&self, answers: &[Answer], means: &Means<'_>) -> Result<(), Trouble> {
        for server in &self.check {
            for answer in answers {
                let name = record_name(answer);
                let mut looks = 0;
                while !rfc2136::has_text(server, &name, &answer.record, means).await? {
                    looks += 1;
                    if looks == LOOKS {
                        return Err(Trouble::passing(
                            format!("{server} does not answer with the record at {name} yet"),
                            "nothing if it only takes time; else see that what dns/NAME writes to is what this \
                             server answers from",
                        ));
                    }
                    tokio::time::sleep(LOOK).await;
                }
            }
        }
        tokio::time::sleep(Duration::from_secs(self.wait)).await;
        Ok(())
    }

    fn show(&self) -> Reply {
        let (check, wait) = (&self.check, self.wait);
        Reply::json(match &self.way {
            Way::Hook { hook } => {
                json!({ "type": "hook", "hook": hook, "check": check, "wait": wait })
            }
            Way::Rfc2136(server) => json!({
                "type": "rfc2136",
                "server": server.address,
                "zone": server.zone,
                "key_name": server.key_name,
                "key_algorithm": server.algorithm.name(),
                "ttl": server.ttl,
                "check": check,
                "wait": wait,
            }),
        })
    }
}

/// `HOST:PORT`; the port is DNS's if none is said.
fn server(text: &str) -> Result<String, Fault> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.starts_with('[') => (host, port),
        _ => (text, "53"),
    };
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-.:[]".contains(&byte);
    let is_host = (1..=253).contains(&host.len()) && host.bytes().all(fits);
    let port: Option<u16> = port.parse().ok().filter(|port| *port > 0);
    match (port, is_host) {
        (Some(port), true) if host.contains(':') && !host.starts_with('[') => {
            Ok(format!("[{host}]:{port}"))
        }
        (Some(port), true) => Ok(format!("{host}:{port}")),
        _ => Err(Fault::invalid(
            "server and check: expected HOST or HOST:PORT of a DNS server",
        )),
    }
}

pub(super) async fn write(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let (name, body) = (Name::parse(ctx.param("name"))?, ctx.body());
    let old = Provider::find(view, &name).await?;
    let kind = match (&old, body.string("type")?) {
        (_, Some(kind)) => kind,
        (
            Some(Provider {
                way: Way::Hook { .. },
                ..
            }),
            None,
        ) => "hook".to_owned(),
        (Some(_), None) => "rfc2136".to_owned(),
        (None, None) => String::new(),
    };
    let (before, check, wait) = match old {
        Some(old) => (Some(old.way), Some(old.check), old.wait),
        None => (None, None, 0),
    };
    let way = match (kind.as_str(), before) {
        ("hook", before) => {
            let given = body.string("hook")?;
            let hook = match (given, before) {
                (Some(hook), _) | (None, Some(Way::Hook { hook })) => hook,
                _ => body.required("hook")?,
            };
            Way::Hook { hook }
        }
        ("rfc2136", Some(Way::Rfc2136(before))) => Way::Rfc2136(update(ctx, Some(before))?),
        ("rfc2136", _) => Way::Rfc2136(update(ctx, None)?),
        _ => return Err(Fault::invalid("type: use rfc2136 or hook")),
    };
    let given = body.list("check")?;
    let given = given.map(|given| {
        given
            .iter()
            .map(|one| server(one))
            .collect::<Result<Vec<_>, _>>()
    });
    let check = match (given.transpose()?, check, &way) {
        (Some(given), _, _) | (None, Some(given), _) => given,
        (None, None, Way::Rfc2136(server)) => vec![server.address.clone()],
        (None, None, Way::Hook { .. }) => Vec::new(),
    };
    let wait = body.seconds("wait")?.unwrap_or(wait);
    if check.len() > SERVERS_MAX || wait > WAIT_MAX {
        return Err(Fault::invalid(
            "check names at most 10 servers, and wait is at most 300 seconds",
        ));
    }
    let provider = Provider { way, check, wait };
    view.put(&row(&name), &provider).await?;
    Ok(provider.show())
}

fn update(ctx: &Ctx<'_>, before: Option<Server>) -> Result<Server, Fault> {
    let body = ctx.body();
    let key = body.string("key_secret")?.map(Zeroizing::new);
    let key = match key {
        Some(text) => {
            let bytes = crate::engine::secret::from_base64(&text, "key_secret")?;
            Some(Secret::copy(&bytes))
        }
        None => None,
    };
    let missing = || Fault::invalid("rfc2136 needs server, key_name and key_secret");
    let mut found = match before {
        Some(before) => before,
        None => Server {
            address: String::new(),
            zone: None,
            key_name: String::new(),
            algorithm: Algorithm::Sha256,
            key: Secret::new(Vec::new()),
            ttl: TTL,
        },
    };
    if let Some(text) = body.string("server")? {
        found.address = server(&text)?;
    }
    let fits = |text: &str| message::name(text).is_ok();
    if let Some(zone) = body.string("zone")? {
        found.zone = Some(zone).filter(|zone| !zone.is_empty());
    }
    if let Some(name) = body.string("key_name")? {
        found.key_name = name;
    }
    if !found.zone.as_deref().is_none_or(fits) || !fits(&found.key_name) {
        return Err(Fault::invalid("zone and key_name: expected DNS names"));
    }
    if let Some(text) = body.string("key_algorithm")? {
        found.algorithm = Algorithm::parse(&text)?;
    }
    if let Some(key) = key {
        found.key = key;
    }
    if let Some(ttl) = body.seconds("ttl")? {
        found.ttl = u32::try_from(ttl)
            .ok()
            .filter(|ttl| *ttl <= 86_400)
            .ok_or_else(|| Fault::invalid("ttl: at most a day"))?;
    }
    match found.address.is_empty() || found.key_name.is_empty() || found.key.len() == 0 {
        true => Err(missing()),
        false => Ok(found),
    }
}

pub(super) async fn list(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    ctx.list_in(view, FOLDER).await
}

pub(super) async fn read(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let name = Name::parse(ctx.param("name"))?;
    let found = Provider::find(view, &name).await?;
    Ok(found.ok_or(Fault::Missing)?.show())
}

pub(super) async fn delete(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let name = Name::parse(ctx.param("name"))?;
    for cert in Cert::names(view).await? {
        let Some(cert) = Cert::find(view, &cert).await? else {
            continue;
        };
        let cleans = cert.order.as_ref().and_then(|order| order.dns.as_ref());
        if cert.dns.as_ref() == Some(&name) || cleans == Some(&name) {
            return Err(Fault::invalid(
                "certificates use it: give them another dns, or delete them, first",
            ));
        }
    }
    view.delete(&row(&name)).await?;
    Ok(Reply::none())
}

pub(super) async fn exists(view: &mut View<'_>, name: &Name) -> Result<bool, Fault> {
    Ok(view.exists(&row(name)).await?)
}
