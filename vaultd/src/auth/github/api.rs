//! What is asked of GitHub's API (REST, 2022-11-28).

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::outbound::{Failure, Outbound, Request, Trust, Url};

const PAGE: usize = 100;
/// Pages of a listing that are read.
const PAGES_MAX: usize = 50;

pub(super) struct Api<'a> {
    pub outbound: &'a Outbound,
    pub base: Url,
}

#[derive(Deserialize)]
pub(super) struct Organization {
    pub id: u64,
}

#[derive(Deserialize)]
pub(super) struct User {
    pub login: String,
}

#[derive(Deserialize)]
pub(super) struct Team {
    pub name: String,
    pub slug: String,
    pub organization: Organization,
}

impl Api<'_> {
    /// The number of an organisation; public.
    pub(super) async fn organization(&self, name: &str) -> Result<u64, Failure> {
        let url = self.base.join(&format!("orgs/{name}"))?;
        let body = self.outbound.get(&Trust::System, &url).await?;
        let found: Organization = parse(&body)?;
        Ok(found.id)
    }

    pub(super) async fn user(&self, token: &str) -> Result<User, Failure> {
        self.get("user", token).await
    }

    pub(super) async fn organizations(&self, token: &str) -> Result<Vec<Organization>, Failure> {
        self.all("user/orgs", token).await
    }

    pub(super) async fn teams(&self, token: &str) -> Result<Vec<Team>, Failure> {
        self.all("user/teams", token).await
    }

    async fn get<T: DeserializeOwned>(&self, path: &str, token: &str) -> Result<T, Failure> {
        let request = Request::get(self.base.join(path)?).bearer(token);
        let answer = self.outbound.send(&Trust::System, request).await?;
        parse(&answer.success()?)
    }

    async fn all<T: DeserializeOwned>(&self, path: &str, token: &str) -> Result<Vec<T>, Failure> {
        let mut found: Vec<T> = Vec::new();
        for page in 1..=PAGES_MAX {
            let target = match page {
                1 => format!("{path}?per_page={PAGE}"),
                _ => format!("{path}?per_page={PAGE}&page={page}"),
            };
            let more: Vec<T> = self.get(&target, token).await?;
            let last = more.len() < PAGE;
            found.extend(more);
            if last {
                break;
            }
        }
        Ok(found)
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(body).map_err(|_| Failure::Answer("expected GitHub's JSON"))
}
