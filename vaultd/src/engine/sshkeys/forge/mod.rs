//! Forges: where they are, what they are asked with, and their deploy keys.

mod api;
mod app;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub(super) use self::api::{Api, Entry};
pub(super) use self::app::{App, Wish};

use super::handshake::Destination;
use super::name::{self, Name};
use crate::barrier::View;
use crate::core::body::Body;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;
use crate::engine::secret::Secret;
use crate::outbound::{Trust, Url};

const FOLDER: &str = "forges";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    Github,
    Gitlab,
    Gitea,
    Forgejo,
    Bitbucket,
}

impl Kind {
    fn parse(text: &str) -> Result<Kind, Fault> {
        Ok(match text {
            "github" => Kind::Github,
            "gitlab" => Kind::Gitlab,
            "gitea" => Kind::Gitea,
            "forgejo" => Kind::Forgejo,
            "bitbucket" => Kind::Bitbucket,
            _ => {
                return Err(Fault::invalid(
                    "unknown type: use github, gitlab, gitea, forgejo or bitbucket",
                ));
            }
        })
    }

    fn name(self) -> &'static str {
        match self {
            Kind::Github => "github",
            Kind::Gitlab => "gitlab",
            Kind::Gitea => "gitea",
            Kind::Forgejo => "forgejo",
            Kind::Bitbucket => "bitbucket",
        }
    }

    /// Of the public one, if there is one.
    fn public_url(self) -> Option<&'static str> {
        match self {
            Kind::Github => Some("https://api.github.com"),
            Kind::Gitlab => Some("https://gitlab.com/api/v4"),
            Kind::Bitbucket => Some("https://api.bitbucket.org/2.0"),
            Kind::Gitea | Kind::Forgejo => None,
        }
    }

    fn public_ssh_host(self) -> Option<&'static str> {
        match self {
            Kind::Github => Some("github.com"),
            Kind::Gitlab => Some("gitlab.com"),
            Kind::Bitbucket => Some("bitbucket.org"),
            Kind::Gitea | Kind::Forgejo => None,
        }
    }

    /// Where the API is below the address that people know.
    fn below(self) -> &'static str {
        match self {
            Kind::Gitlab => "api/v4",
            Kind::Gitea | Kind::Forgejo => "api/v1",
            Kind::Github | Kind::Bitbucket => "",
        }
    }
}

/// What vaultd shows the API.
#[derive(Serialize, Deserialize)]
pub(super) enum Credential {
    Token(Secret),
    App(App),
}

#[derive(Serialize, Deserialize)]
pub(super) struct Forge {
    pub kind: Kind,
    /// Of the API.
    pub url: Url,
    pub credential: Credential,
    pub ca_cert: String,
    pub ssh_host: String,
    pub ssh_port: u16,
    pub ssh_user: String,
}

fn row(name: &Name) -> String {
    format!("{FOLDER}/{}", name.as_str())
}

impl Forge {
    pub(super) async fn find(view: &mut View<'_>, name: &str) -> Result<Option<Forge>, Fault> {
        Ok(view.get(&format!("{FOLDER}/{name}")).await?)
    }

    pub(super) fn trust(&self) -> Result<Trust, Fault> {
        Trust::from_pem(&self.ca_cert).map_err(|failure| Fault::invalid(failure.to_string()))
    }

    /// On its API, for all to read.
    pub(super) fn publishes_host_keys(&self) -> bool {
        self.kind == Kind::Github
    }

    pub(super) fn destination(&self) -> Destination {
        Destination {
            address: self.ssh_host.clone(),
            port: self.ssh_port,
            user: self.ssh_user.clone(),
        }
    }

    fn show(&self, name: &Name) -> Value {
        let credential = match &self.credential {
            Credential::Token(_) => json!({"kind": "token"}),
            Credential::App(app) => json!({
                "kind": "app",
                "app_id": app.app_id,
                "installation_id": app.installation_id,
            }),
        };
        json!({
            "name": name.as_str(),
            "type": self.kind.name(),
            "url": self.url.as_str(),
            "credential": credential,
            "ca_cert": self.ca_cert,
            "ssh_host": self.ssh_host,
            "ssh_port": self.ssh_port,
            "ssh_user": self.ssh_user,
        })
    }
}

pub(super) async fn list(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    ctx.list_in(view, FOLDER).await
}

pub(super) async fn read(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let name = Name::parse(ctx.param("name"))?;
    let forge: Forge = view.get(&row(&name)).await?.ok_or(Fault::Missing)?;
    Ok(Reply::json(forge.show(&name)))
}

/// Keys whose targets name it fail from then on, and say so.
pub(super) async fn delete(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let name = Name::parse(ctx.param("name"))?;
    view.delete(&row(&name)).await?;
    Ok(Reply::none())
}

pub(super) async fn write(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let (name, body) = (Name::parse(ctx.param("name"))?, ctx.body());
    let before: Option<Forge> = view.get(&row(&name)).await?;
    let kind = match (body.string("type")?, &before) {
        (Some(text), _) => Kind::parse(&text)?,
        (None, Some(before)) => before.kind,
        (None, None) => return Err(Fault::invalid("missing type")),
    };
    let url = match (body.string("url")?, &before) {
        (Some(text), _) => self::url(&text, kind)?,
        (None, Some(before)) => before.url.clone(),
        (None, None) => {
            let public = kind.public_url().ok_or_else(|| {
                Fault::invalid(
                    "missing url: the address of the forge, such as https://git.example.com",
                )
            })?;
            self::url(public, kind)?
        }
    };
    let ca_cert = body.string("ca_cert")?;
    // Who may write a forge, but not read its credential, does not have it sent elsewhere.
    let goes_elsewhere = before.as_ref().is_some_and(|before| {
        before.url.as_str() != url.as_str()
            || ca_cert
                .as_ref()
                .is_some_and(|given| *given != before.ca_cert)
    });
    let is_public = Some(url.as_str()) == kind.public_url();
    let (old_credential, old) = match before {
        Some(forge) => (
            Some(forge.credential),
            Some((
                forge.ca_cert,
                forge.ssh_host,
                forge.ssh_port,
                forge.ssh_user,
            )),
        ),
        None => (None, None),
    };
    let (old_ca_cert, ssh_host, ssh_port, ssh_user) = old.unwrap_or_else(|| {
        let public = kind.public_ssh_host().filter(|_| is_public);
        let host = public.unwrap_or(url.bare_host()).to_owned();
        (String::new(), host, 22, "git".to_owned())
    });
    let forge = Forge {
        kind,
        credential: credential(body, kind, old_credential.filter(|_| !goes_elsewhere))?,
        ca_cert: ca_cert.unwrap_or(old_ca_cert),
        ssh_host: match body.string("ssh_host")? {
            Some(host) => name::host(&host)?,
            None => ssh_host,
        },
        ssh_port: port(body, "ssh_port")?.unwrap_or(ssh_port),
        ssh_user: match body.string("ssh_user")? {
            Some(user) => name::account(&user)?,
            None => ssh_user,
        },
        url,
    };
    forge.trust()?;
    view.put(&row(&name), &forge).await?;
    Ok(Reply::json(forge.show(&name)))
}

/// A credential that is given goes before the one from before.
fn credential(body: &Body, kind: Kind, before: Option<Credential>) -> Result<Credential, Fault> {
    let token = body.string("token")?.map(zeroize::Zeroizing::new);
    // One from a file ends in a line break.
    let token = token.as_ref().map(|text| text.trim());
    let token = token.filter(|text| !text.is_empty());
    match (token, App::parse(body)?, before) {
        (Some(_), Some(_), _) => Err(Fault::invalid("give a token, or a GitHub App, not both")),
        (Some(token), None, _) if token.bytes().all(|byte| byte.is_ascii_graphic()) => {
            Ok(Credential::Token(Secret::copy(token.as_bytes())))
        }
        (Some(_), None, _) => Err(Fault::invalid("token: holds characters that no token has")),
        (None, Some(app), _) if kind == Kind::Github => Ok(Credential::App(app)),
        (None, Some(_), _) => Err(Fault::invalid("only GitHub has Apps: give a token")),
        (None, None, Some(before)) => Ok(before),
        (None, None, None) => Err(Fault::invalid(
            "missing token: one that may administer the deploy keys of the repositories; or, for \
             GitHub, app_id, installation_id and private_key of an App; it is needed again when \
             url or ca_cert change",
        )),
    }
}

pub(super) fn port(body: &Body, field: &str) -> Result<Option<u16>, Fault> {
    let Some(number) = body.int(field)? else {
        return Ok(None);
    };
    let port = u16::try_from(number).ok().filter(|port| *port > 0);
    port.map(Some)
        .ok_or_else(|| Fault::invalid(format!("{field} must be 1 to 65535")))
}

fn url(text: &str, kind: Kind) -> Result<Url, Fault> {
    let wrong = |failure| Fault::invalid(format!("url: {failure}"));
    let text = text.trim_end_matches('/');
    let whole = match text.ends_with(kind.below()) {
        true => text.to_owned(),
        false => format!("{text}/{}", kind.below()),
    };
    let url = Url::parse(&whole).map_err(wrong)?;
    match url.is_tls() || url.is_loopback() {
        true => Ok(url),
        false => Err(Fault::invalid(
            "url must be https: a credential is sent there",
        )),
    }
}
