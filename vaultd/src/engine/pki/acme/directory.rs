//! Directories: where a client finds everything, and by which role and issuer its certificates are.

use http::header::LINK;
use ipnet::IpNet;
use serde_json::{Map, Value, json};

use super::nonce;
use super::problem::{Kind, Outcome, Problem};
use super::settings::{Binding, Settings};
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::name;
use crate::core::reply::Reply;
use crate::engine::pki::issue::usable;
use crate::engine::pki::issuer::Issuer;
use crate::engine::pki::role::Role;
use crate::engine::pki::settings::Cluster;

/// One of the places below which the server answers.
pub(super) struct Directory {
    role: Option<String>,
    issuer: Option<String>,
    /// `https://HOST/v1/MOUNT`
    cluster: String,
    pub settings: Settings,
}

/// By whom and how a certificate of a directory is.
pub(super) struct Policy {
    pub role: Role,
    pub issuer: Issuer,
    /// Networks besides the public ones that may be reached to validate.
    pub networks: Vec<IpNet>,
}

impl Directory {
    /// The one that the path is below.
    pub(super) async fn of(ctx: &Ctx<'_>, view: &mut View<'_>) -> Outcome<Directory> {
        let named = |name: &str, what: &str| match name {
            "" => Ok(None),
            name => name::check(name, what).map(|name| Some(name.to_owned())),
        };
        let role = named(ctx.param("name"), "role")?;
        let issuer = named(ctx.param("ref"), "issuer")?;
        Directory::open(role, issuer, view).await
    }

    /// The one with this name.
    pub(super) async fn named(id: &str, view: &mut View<'_>) -> Outcome<Directory> {
        let parts: Vec<&str> = id.split('/').collect();
        let (role, issuer) = match parts[..] {
            ["roles", role] => (Some(role), None),
            ["issuer", issuer] => (None, Some(issuer)),
            ["issuer", issuer, "roles", role] => (Some(role), Some(issuer)),
            _ => (None, None),
        };
        Directory::open(role.map(str::to_owned), issuer.map(str::to_owned), view).await
    }

    async fn open(
        role: Option<String>,
        issuer: Option<String>,
        view: &mut View<'_>,
    ) -> Outcome<Directory> {
        let settings = Settings::load(view).await?;
        let cluster = Cluster::load(view).await?.path;
        if !settings.enabled || cluster.is_empty() {
            let text = "this mount serves no ACME: it is not enabled in config/acme";
            return Err(Problem::new(Kind::Unauthorized, text).status(403).into());
        }
        Ok(Directory {
            role,
            issuer,
            cluster,
            settings,
        })
    }

    /// What accounts belong to: the path in front of `acme`, without a slash at its end.
    pub(super) fn id(&self) -> String {
        match (&self.issuer, &self.role) {
            (None, None) => String::new(),
            (None, Some(role)) => format!("roles/{role}"),
            (Some(issuer), None) => format!("issuer/{issuer}"),
            (Some(issuer), Some(role)) => format!("issuer/{issuer}/roles/{role}"),
        }
    }

    /// Of something below the directory.
    pub(super) fn url(&self, path: &str) -> String {
        match self.id().as_str() {
            "" => format!("{}/acme/{path}", self.cluster),
            id => format!("{}/{id}/acme/{path}", self.cluster),
        }
    }

    /// Which a client has to have signed for this request.
    pub(super) fn url_of(&self, ctx: &Ctx<'_>) -> String {
        let path = ctx.request.path.as_str();
        let path = path.strip_prefix(ctx.mount.path.as_str()).unwrap_or(path);
        format!("{}/{path}", self.cluster)
    }

    /// `Link: <…/directory>;rel="index"`, on everything.
    pub(super) fn index(&self) -> String {
        link(&self.url("directory"), "index")
    }

    /// Role and issuer, with the role of a profile if one is named.
    pub(super) async fn policy(
        &self,
        profile: Option<&str>,
        view: &mut View<'_>,
    ) -> Outcome<Policy> {
        let refused = |text: &str| Problem::new(Kind::Unauthorized, text).status(403);
        let named = match (profile, &self.role) {
            (Some(profile), None) => Some(self.profile(profile)?),
            (Some(_), Some(_)) => {
                let text = "this directory is that of a role and has no profiles";
                return Err(Problem::new(Kind::InvalidProfile, text).into());
            }
            (None, Some(role)) => Some(role.as_str()),
            (None, None) => self.settings.default_role(),
        };
        let mut networks = self.settings.allowed_networks.clone();
        let mut role = Role::verbatim();
        if let Some(name) = named {
            if !self.settings.allows_role(name) {
                return Err(refused("ACME is not allowed with this role").into());
            }
            let found = Role::find(name, view).await?;
            role = found.ok_or_else(|| refused("the directory's role does not exist"))?;
            // Nobody has logged in: what is a template of who asks allows nothing.
            role = role.for_caller(None);
            networks.clone_from(&role.acme_allowed_networks);
        } else if self.settings.default_directory_policy == "forbid" {
            return Err(refused("this mount serves ACME by roles only").into());
        }
        let reference = self.issuer.as_ref().unwrap_or(&role.issuer_ref);
        let issuer = Issuer::named(view, reference).await?;
        if !self
            .settings
            .allows_issuer(&[&issuer.id, &issuer.name, reference])
        {
            return Err(refused("ACME is not allowed with this issuer").into());
        }
        usable(&issuer)?;
        Ok(Policy {
            role,
            issuer,
            networks,
        })
    }

    fn profile<'p>(&self, name: &'p str) -> Result<&'p str, Problem> {
        let known = name::check(name, "role").is_ok() && self.settings.allows_role(name);
        match known {
            true => Ok(name),
            false => Err(Problem::new(
                Kind::InvalidProfile,
                "there is no such profile: see the directory's meta",
            )),
        }
    }

    /// Names of roles, which are the profiles of a directory without a role.
    async fn profiles(&self, view: &mut View<'_>) -> Result<Map<String, Value>, Fault> {
        let mut found = Map::new();
        if self.role.is_some() {
            return Ok(found);
        }
        for role in view.list("role").await? {
            if self.settings.allows_role(&role) {
                let text = format!("Certificates within the role {role}.");
                found.insert(role, text.into());
            }
        }
        Ok(found)
    }
}

pub(super) fn link(url: &str, relation: &str) -> String {
    format!("<{url}>;rel=\"{relation}\"")
}

/// RFC 8555, 7.1.1.
pub(super) async fn show(ctx: &Ctx<'_>, view: &mut View<'_>) -> Outcome<Reply> {
    let directory = Directory::of(ctx, view).await?;
    // What cannot be served is not offered.
    directory.policy(None, view).await?;
    let required = directory.settings.eab_policy != Binding::Voluntary;
    let mut meta = Map::new();
    meta.insert("externalAccountRequired".into(), required.into());
    let profiles = directory.profiles(view).await?;
    if !profiles.is_empty() {
        meta.insert("profiles".into(), profiles.into());
    }
    let body = json!({
        "newNonce": directory.url("new-nonce"),
        "newAccount": directory.url("new-account"),
        "newOrder": directory.url("new-order"),
        "revokeCert": directory.url("revoke-cert"),
        "keyChange": directory.url("key-change"),
        "renewalInfo": directory.url("renewal-info"),
        "meta": meta,
    });
    Ok(Reply::json(body).bare())
}

/// RFC 8555, 7.2.
pub(super) async fn new_nonce(ctx: &Ctx<'_>, view: &mut View<'_>) -> Outcome<Reply> {
    let directory = Directory::of(ctx, view).await?;
    let status = if ctx.request.head { 200 } else { 204 };
    Ok(Reply::none()
        .status(status)
        .header(super::NONCE, nonce::new(ctx))
        .header(LINK, directory.index()))
}
