//! The deploy keys of a repository, in each forge's own REST API: GitHub (2022-11-28), GitLab (v4),
//! Gitea and Forgejo (v1), Bitbucket Cloud (2.0).
//!
//! Promises: a key that is there already is not put a second time; one that is gone is not missed; a
//! key is found by what it is, not by its title.

use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use vault_ssh::Key as PublicKey;
use zeroize::Zeroizing;

use super::{Credential, Forge, Kind};
use crate::engine::sshkeys::target::Trouble;
use crate::outbound::{Answer, Failure, Outbound, Request, Trust, Url, percent};

/// Keys of one page, and pages that are read.
const PAGE: usize = 50;
const PAGES_MAX: usize = 100;

pub(in crate::engine::sshkeys) struct Api<'a> {
    outbound: &'a Outbound,
    kind: Kind,
    base: &'a Url,
    trust: Trust,
    token: Zeroizing<String>,
    repository: &'a str,
}

/// What is put to a repository.
pub(in crate::engine::sshkeys) struct Entry<'a> {
    pub title: String,
    /// `ssh-ed25519 AAAA…`
    pub line: &'a str,
    pub read_only: bool,
}

#[derive(Deserialize)]
struct Found {
    id: u64,
    key: String,
    read_only: Option<bool>,
    can_push: Option<bool>,
}

#[derive(Deserialize)]
struct Values {
    values: Vec<Found>,
}

impl<'a> Api<'a> {
    pub(in crate::engine::sshkeys) async fn open(
        outbound: &'a Outbound,
        forge: &'a Forge,
        repository: &'a str,
        now: jiff::Timestamp,
    ) -> Result<Api<'a>, Trouble> {
        let trust = forge
            .trust()
            .map_err(|fault| Trouble::new(fault.to_string(), "write the forge's ca_cert anew"))?;
        let token = match &forge.credential {
            Credential::Token(token) => {
                Zeroizing::new(String::from_utf8_lossy(token.expose()).into_owned())
            }
            Credential::App(app) => {
                let permissions = json!({"administration": "write"});
                let wish = super::app::Wish {
                    repository,
                    permissions: &permissions,
                };
                let granted = app.token(outbound, &trust, &forge.url, &wish, now).await?;
                Zeroizing::new(granted.token.as_str().to_owned())
            }
        };
        Ok(Api {
            outbound,
            kind: forge.kind,
            base: &forge.url,
            trust,
            token,
            repository,
        })
    }

    /// Puts a key that is not there yet.
    pub(in crate::engine::sshkeys) async fn put(&self, entry: &Entry<'_>) -> Result<(), Trouble> {
        if let Some(found) = self.find(entry.line).await? {
            return self.check_rights(&found, entry);
        }
        let body = match self.kind {
            Kind::Github | Kind::Gitea | Kind::Forgejo => json!({
                "title": entry.title,
                "key": entry.line,
                "read_only": entry.read_only,
            }),
            Kind::Gitlab => json!({
                "title": entry.title,
                "key": entry.line,
                "can_push": !entry.read_only,
            }),
            Kind::Bitbucket if entry.read_only => json!({
                "label": entry.title,
                "key": entry.line,
            }),
            Kind::Bitbucket => {
                return Err(Trouble::new(
                    "Bitbucket's deploy keys only read",
                    "set read_only=true at the target",
                ));
            }
        };
        let answer = self.send(Method::POST, &self.keys(), Some(&body)).await?;
        match answer.status {
            200..=299 => Ok(()),
            // Or somebody else put it just now.
            400 | 409 | 422 => match self.find(entry.line).await? {
                Some(found) => self.check_rights(&found, entry),
                None => Err(Trouble::new(
                    format!("the forge refuses the key (status {})", answer.status),
                    "it is used elsewhere there, or of a type that the forge does not take: a forge \
                     may let a key be in one repository only, so make a key for each repository",
                )),
            },
            status => Err(self.trouble(status)),
        }
    }

    /// Takes a key away, if it is there.
    pub(in crate::engine::sshkeys) async fn take(&self, line: &str) -> Result<(), Trouble> {
        let Some(found) = self.find(line).await? else {
            return Ok(());
        };
        let path = format!("{}/{}", self.keys(), found.id);
        let answer = self.send(Method::DELETE, &path, None).await?;
        match answer.status {
            200..=299 | 404 => Ok(()),
            status => Err(self.trouble(status)),
        }
    }

    fn check_rights(&self, found: &Found, entry: &Entry<'_>) -> Result<(), Trouble> {
        let read_only = found.read_only.or(found.can_push.map(|can| !can));
        match read_only.is_none_or(|read_only| read_only == entry.read_only) {
            true => Ok(()),
            false => Err(Trouble::new(
                "the key is there already, with other rights to write",
                "remove it there, or set the target's read_only to what it is",
            )),
        }
    }

    async fn find(&self, line: &str) -> Result<Option<Found>, Trouble> {
        let wanted = PublicKey::from_line(line).ok();
        for page in 1..=PAGES_MAX {
            let found = self.page(page).await?;
            let last = found.len() < PAGE;
            let same = |found: &Found| PublicKey::from_line(&found.key).ok() == wanted;
            if let Some(found) = found.into_iter().find(same) {
                return Ok(Some(found));
            }
            if last {
                return Ok(None);
            }
        }
        Err(Trouble::new(
            "the repository has thousands of deploy keys",
            "remove those that nobody uses",
        ))
    }

    async fn page(&self, page: usize) -> Result<Vec<Found>, Trouble> {
        let size = match self.kind {
            Kind::Github | Kind::Gitlab => "per_page",
            Kind::Gitea | Kind::Forgejo => "limit",
            Kind::Bitbucket => "pagelen",
        };
        let path = format!("{}?{size}={PAGE}&page={page}", self.keys());
        let answer = self.send(Method::GET, &path, None).await?;
        if !(200..=299).contains(&answer.status) {
            return Err(self.trouble(answer.status));
        }
        let parsed = match self.kind {
            Kind::Bitbucket => {
                serde_json::from_slice(&answer.body).map(|found: Values| found.values)
            }
            _ => serde_json::from_slice(&answer.body),
        };
        parsed.map_err(|_| {
            Trouble::new(
                "the answer is not the forge's JSON",
                "check the forge's type and url",
            )
        })
    }

    fn keys(&self) -> String {
        match self.kind {
            Kind::Github | Kind::Gitea | Kind::Forgejo => format!("repos/{}/keys", self.repository),
            Kind::Gitlab => format!("projects/{}/deploy_keys", percent(self.repository)),
            Kind::Bitbucket => format!("repositories/{}/deploy-keys", self.repository),
        }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer, Trouble> {
        let url = self
            .base
            .join(path)
            .map_err(|failure| unreached(&failure))?;
        let request = match (method, body) {
            (Method::DELETE, _) => Request::delete(url),
            (_, Some(body)) => {
                Request::post(url, "application/json", body.to_string().into_bytes())
            }
            (_, None) => Request::get(url),
        };
        let request = match self.kind {
            Kind::Github => request
                .accept("application/vnd.github+json")
                .bearer(&self.token),
            Kind::Gitea | Kind::Forgejo => {
                request.authorization(format!("token {}", self.token.as_str()))
            }
            Kind::Gitlab | Kind::Bitbucket => request.bearer(&self.token),
        };
        let answer = self.outbound.send(&self.trust, request).await;
        answer.map_err(|failure| unreached(&failure))
    }

    fn trouble(&self, status: u16) -> Trouble {
        trouble(status, self.repository)
    }
}

/// No answer came.
pub(super) fn unreached(failure: &Failure) -> Trouble {
    Trouble::new(
        format!("the forge's API is not reached: {failure}"),
        "check the forge's url and ca_cert; it is tried again",
    )
}

pub(super) fn trouble(status: u16, repository: &str) -> Trouble {
    let cause = format!("the forge's API answers with status {status}");
    let hint = match status {
        401 => "the forge does not know the credential (any more): write a new one to the forge"
            .to_owned(),
        403 => format!(
            "the credential may not administer the deploy keys of {repository}, or asks too often: \
             give it that right; it is tried again"
        ),
        404 => format!(
            "there is no repository {repository}, or the credential does not see it: check the name \
             and what the credential may see"
        ),
        429 => "too many requests: it is tried again, less and less often".to_owned(),
        500..=599 => "the forge itself fails: it is tried again".to_owned(),
        _ => "check the forge's type and url".to_owned(),
    };
    Trouble::new(cause, hint)
}
