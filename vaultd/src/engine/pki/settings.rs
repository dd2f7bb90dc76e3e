//! Settings of the mount: URLs, the cluster's address, revocation lists.

use serde::{Deserialize, Serialize};
use serde_json::json;
use vault_x509::Urls;

use crate::barrier::View;
use crate::core::body::Body;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;

const URLS: &str = "config/urls";
const CLUSTER: &str = "config/cluster";
const LISTS: &str = "config/crl";

/// Where certificates say that more is to be learned.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Places {
    pub issuing_certificates: Vec<String>,
    pub crl_distribution_points: Vec<String>,
    pub delta_crl_distribution_points: Vec<String>,
    pub ocsp_servers: Vec<String>,
    /// The URLs may name the issuer and the cluster in `{{…}}`.
    pub enable_templating: bool,
}

impl Places {
    pub(super) async fn load(view: &mut View<'_>) -> Result<Places, Fault> {
        Ok(view.get(URLS).await?.unwrap_or_default())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.issuing_certificates.is_empty()
            && self.crl_distribution_points.is_empty()
            && self.delta_crl_distribution_points.is_empty()
            && self.ocsp_servers.is_empty()
    }

    /// Applies the fields that are present.
    pub(super) fn update(&mut self, body: &Body) -> Result<(), Fault> {
        let take = |field: &str, into: &mut Vec<String>| {
            if let Some(urls) = body.list(field)? {
                *into = urls;
            }
            Ok::<_, Fault>(())
        };
        take("issuing_certificates", &mut self.issuing_certificates)?;
        take("crl_distribution_points", &mut self.crl_distribution_points)?;
        take(
            "delta_crl_distribution_points",
            &mut self.delta_crl_distribution_points,
        )?;
        take("ocsp_servers", &mut self.ocsp_servers)?;
        if let Some(flag) = body.bool("enable_templating")? {
            self.enable_templating = flag;
        }
        let all = self.issuing_certificates.iter();
        let all = all
            .chain(&self.crl_distribution_points)
            .chain(&self.delta_crl_distribution_points)
            .chain(&self.ocsp_servers);
        for url in all {
            let shape = url.starts_with("http://") || url.starts_with("https://");
            let shape = shape || url.starts_with("ldap://");
            let shape = shape || self.enable_templating && url.starts_with("{{");
            if !shape || !url.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(Fault::invalid(
                    "invalid URL: expected one that begins with http://, https:// or ldap://",
                ));
            }
        }
        Ok(())
    }

    /// The URLs of a certificate by this issuer.
    pub(super) fn of(&self, issuer_id: &str, cluster: &Cluster) -> Result<Urls, Fault> {
        let fill = |urls: &[String]| {
            let filled = urls.iter().map(|url| match self.enable_templating {
                false => Ok(url.clone()),
                true => cluster.fill(url, issuer_id),
            });
            filled.collect::<Result<Vec<String>, Fault>>()
        };
        Ok(Urls {
            issuers: fill(&self.issuing_certificates)?,
            lists: fill(&self.crl_distribution_points)?,
            deltas: fill(&self.delta_crl_distribution_points)?,
            responders: fill(&self.ocsp_servers)?,
        })
    }

    pub(super) fn show(&self) -> serde_json::Value {
        json!({
            "issuing_certificates": self.issuing_certificates,
            "crl_distribution_points": self.crl_distribution_points,
            "delta_crl_distribution_points": self.delta_crl_distribution_points,
            "ocsp_servers": self.ocsp_servers,
            "enable_templating": self.enable_templating,
        })
    }
}

/// Under which address clients reach this mount.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Cluster {
    pub path: String,
    pub aia_path: String,
}

impl Cluster {
    pub(super) async fn load(view: &mut View<'_>) -> Result<Cluster, Fault> {
        Ok(view.get(CLUSTER).await?.unwrap_or_default())
    }

    fn fill(&self, url: &str, issuer_id: &str) -> Result<String, Fault> {
        let filled = url
            .replace("{{issuer_id}}", issuer_id)
            .replace("{{cluster_path}}", &self.path)
            .replace("{{cluster_aia_path}}", &self.aia_path);
        let whole = filled.starts_with("http") && !filled.contains("{{");
        match whole {
            true => Ok(filled),
            false => Err(Fault::invalid(
                "a URL of config/urls cannot be filled in: set path and aia_path in config/cluster",
            )),
        }
    }
}

/// Revocation lists and OCSP.
#[derive(Clone, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Lists {
    /// Seconds.
    pub expiry: u64,
    pub disable: bool,
    pub ocsp_disable: bool,
    /// Seconds.
    pub ocsp_expiry: u64,
    /// A list is made again shortly before it ends only, not for each revocation.
    pub auto_rebuild: bool,
    /// Seconds.
    pub auto_rebuild_grace_period: u64,
    pub enable_delta: bool,
    /// Seconds.
    pub delta_rebuild_interval: u64,
}

impl Default for Lists {
    fn default() -> Lists {
        Lists {
            expiry: 72 * 3600,
            disable: false,
            ocsp_disable: false,
            ocsp_expiry: 12 * 3600,
            auto_rebuild: false,
            auto_rebuild_grace_period: 12 * 3600,
            enable_delta: false,
            delta_rebuild_interval: 15 * 60,
        }
    }
}

impl Lists {
    pub(super) async fn load(view: &mut View<'_>) -> Result<Lists, Fault> {
        Ok(view.get(LISTS).await?.unwrap_or_default())
    }

    fn show(&self) -> Reply {
        let duration = |seconds: u64| format!("{seconds}s");
        Reply::json(json!({
            "expiry": duration(self.expiry),
            "disable": self.disable,
            "ocsp_disable": self.ocsp_disable,
            "ocsp_expiry": duration(self.ocsp_expiry),
            "auto_rebuild": self.auto_rebuild,
            "auto_rebuild_grace_period": duration(self.auto_rebuild_grace_period),
            "enable_delta": self.enable_delta,
            "delta_rebuild_interval": duration(self.delta_rebuild_interval),
            "cross_cluster_revocation": false,
            "unified_crl": false,
            "unified_crl_on_existing_paths": false,
        }))
    }

    fn update(&mut self, body: &Body) -> Result<(), Fault> {
        for (field, into) in [
            ("expiry", &mut self.expiry),
            ("ocsp_expiry", &mut self.ocsp_expiry),
            (
                "auto_rebuild_grace_period",
                &mut self.auto_rebuild_grace_period,
            ),
            ("delta_rebuild_interval", &mut self.delta_rebuild_interval),
        ] {
            if let Some(seconds) = body.seconds(field)? {
                *into = seconds;
            }
        }
        for (field, into) in [
            ("disable", &mut self.disable),
            ("ocsp_disable", &mut self.ocsp_disable),
            ("auto_rebuild", &mut self.auto_rebuild),
            ("enable_delta", &mut self.enable_delta),
        ] {
            if let Some(flag) = body.bool(field)? {
                *into = flag;
            }
        }
        if self.expiry == 0 {
            return Err(Fault::invalid("expiry has to be more than 0"));
        }
        if self.auto_rebuild && self.auto_rebuild_grace_period >= self.expiry {
            return Err(Fault::invalid(
                "auto_rebuild_grace_period has to be shorter than expiry",
            ));
        }
        if self.enable_delta && !self.auto_rebuild {
            return Err(Fault::invalid(
                "delta CRLs cannot be enabled when auto rebuilding is disabled",
            ));
        }
        if body.bool("unified_crl")?.unwrap_or(false)
            || body.bool("cross_cluster_revocation")?.unwrap_or(false)
        {
            return Err(Fault::invalid(
                "unified_crl and cross_cluster_revocation: all nodes share one store, so every list is the unified one",
            ));
        }
        Ok(())
    }
}

pub(super) async fn read_urls(view: &mut View<'_>) -> Result<Reply, Fault> {
    Ok(Reply::json(Places::load(view).await?.show()))
}

pub(super) async fn write_urls(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let mut places = Places::load(view).await?;
    places.update(ctx.body())?;
    view.put(URLS, &places).await?;
    Ok(Reply::json(places.show()))
}

pub(super) async fn read_cluster(view: &mut View<'_>) -> Result<Reply, Fault> {
    let cluster = Cluster::load(view).await?;
    Ok(Reply::json(
        json!({ "path": cluster.path, "aia_path": cluster.aia_path }),
    ))
}

pub(super) async fn write_cluster(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let mut cluster = Cluster::load(view).await?;
    for (field, into) in [
        ("path", &mut cluster.path),
        ("aia_path", &mut cluster.aia_path),
    ] {
        let Some(url) = ctx.body().string(field)? else {
            continue;
        };
        let shape = url.is_empty() || url.starts_with("http://") || url.starts_with("https://");
        if !shape || !url.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Fault::invalid(format!(
                "{field}: expected an http or https URL"
            )));
        }
        *into = url.trim_end_matches('/').to_owned();
    }
    view.put(CLUSTER, &cluster).await?;
    Ok(Reply::json(
        json!({ "path": cluster.path, "aia_path": cluster.aia_path }),
    ))
}

pub(super) async fn read_lists(view: &mut View<'_>) -> Result<Reply, Fault> {
    Ok(Lists::load(view).await?.show())
}

pub(super) async fn write_lists(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let mut lists = Lists::load(view).await?;
    lists.update(ctx.body())?;
    view.put(LISTS, &lists).await?;
    Ok(lists.show())
}
