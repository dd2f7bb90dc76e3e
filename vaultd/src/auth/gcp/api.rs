//! What Google's APIs are asked with the mount's credentials: IAM, Compute Engine and Resource Manager.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::model::{Account, Config, Credentials, Instance};
use crate::core::fault::Fault;
use crate::core::slow::Outside;
use crate::outbound::{Failure, Request, Trust, Url, form, percent};

const IAM: &str = "https://iam.googleapis.com";
const COMPUTE: &str = "https://compute.googleapis.com";
const CRM: &str = "https://cloudresourcemanager.googleapis.com";
/// Pages of a listing that are read.
const PAGES_MAX: usize = 50;

/// Google, asked in the name of one mount.
pub(super) struct Api<'a> {
    pub outside: &'a Outside<'a>,
    pub mount: u64,
    pub config: &'a Config,
    pub credentials: &'a Credentials,
    pub now: Timestamp,
}

/// Of IAM v1.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ServiceAccount {
    email: String,
    unique_id: String,
    project_id: String,
    #[serde(default)]
    disabled: bool,
}

/// A machine of Compute Engine v1.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Machine {
    id: String,
    status: String,
    self_link: String,
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

impl Machine {
    /// Or on its way to run.
    pub(super) fn runs(&self) -> bool {
        matches!(self.status.as_str(), "PROVISIONING" | "STAGING" | "RUNNING")
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Members {
    #[serde(default)]
    items: Vec<Member>,
    next_page_token: Option<String>,
}

#[derive(Deserialize)]
struct Member {
    instance: String,
}

#[derive(Deserialize)]
struct Ancestry {
    #[serde(default)]
    ancestor: Vec<Ancestor>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Ancestor {
    resource_id: ResourceId,
}

#[derive(Deserialize)]
struct ResourceId {
    #[serde(rename = "type")]
    kind: String,
    id: String,
}

/// Other than Google's own, if one is given.
fn base(given: Option<&Url>, own: &str) -> Result<Url, Failure> {
    given.map_or_else(|| Url::parse(own), |url| Ok(url.clone()))
}

impl Api<'_> {
    /// The account with this email or unique id.
    pub(super) async fn account(&self, id: &str) -> Result<Account, Fault> {
        let path = format!("v1/projects/-/serviceAccounts/{}", percent(id));
        let endpoint = base(self.config.endpoints.iam.as_ref(), IAM);
        let found: Result<ServiceAccount, _> = match endpoint.and_then(|url| url.join(&path)) {
            Ok(url) => self.ask(Request::get(url)).await,
            Err(failure) => Err(failure),
        };
        let found = found.map_err(|failure| {
            let absent = "the service account does not exist, or the mount's credentials lack iam.serviceAccounts.get on it";
            unanswered(&failure, absent)
        })?;
        if found.email != id && found.unique_id != id {
            return Err(Fault::invalid(
                "Google answered about another service account",
            ));
        }
        match found.disabled {
            true => Err(Fault::invalid("the service account is disabled")),
            false => Ok(Account {
                email: Some(found.email),
                unique_id: Some(found.unique_id),
                project: Some(found.project_id),
            }),
        }
    }

    fn compute(&self, instance: &Instance, path: &str) -> Result<Url, Failure> {
        let given = self.config.endpoints.compute.as_ref();
        let base = base(given, COMPUTE)?;
        // An endpoint with a path says where the API begins.
        let base = match base.target() {
            "/" => base.join("compute/v1")?,
            _ => base,
        };
        base.join(&format!(
            "projects/{}/{path}",
            percent(&instance.project_id)
        ))
    }

    /// The machine, which must be the very one, and not stopped.
    pub(super) async fn machine(&self, instance: &Instance) -> Result<Machine, Fault> {
        let path = format!(
            "zones/{}/instances/{}",
            percent(&instance.zone),
            percent(&instance.name)
        );
        let found: Result<Machine, _> = match self.compute(instance, &path) {
            Ok(url) => self.ask(Request::get(url)).await,
            Err(failure) => Err(failure),
        };
        let machine = found.map_err(|failure| {
            let absent = "the instance does not exist, or the mount's credentials lack compute.instances.get in its project";
            unanswered(&failure, absent)
        })?;
        match machine.id == instance.id {
            true => Ok(machine),
            false => Err(Fault::invalid(
                "the instance was deleted, and another one has its name",
            )),
        }
    }

    /// Whether one of these instance groups holds the machine, which can only be in groups of its own
    /// zone and region.
    pub(super) async fn in_group(
        &self,
        groups: &[String],
        instance: &Instance,
        machine: &Machine,
    ) -> Result<bool, Fault> {
        let region = region(&instance.zone);
        for group in groups {
            let name = percent(group);
            for place in [
                format!("zones/{}", percent(&instance.zone)),
                format!("regions/{}", percent(region)),
            ] {
                let path = format!("{place}/instanceGroups/{name}/listInstances");
                match self.holds(instance, &path, machine).await {
                    Ok(true) => return Ok(true),
                    // There is no such group there.
                    Ok(false) | Err(Failure::Status(404)) => {}
                    Err(failure) => {
                        let absent = "the mount's credentials lack compute.instanceGroups.list in the instance's project";
                        return Err(unanswered(&failure, absent));
                    }
                }
            }
        }
        Ok(false)
    }

    async fn holds(
        &self,
        instance: &Instance,
        path: &str,
        machine: &Machine,
    ) -> Result<bool, Failure> {
        let filter = format!("instance eq {}", machine.self_link);
        let mut page = String::new();
        for _ in 0..PAGES_MAX {
            let query = form(&[("filter", &filter), ("pageToken", &page)]);
            let url = self.compute(instance, &format!("{path}?{query}"))?;
            let body = json!({}).to_string().into_bytes();
            let members: Members = self
                .ask(Request::post(url, "application/json", body))
                .await?;
            let mut items = members.items.iter();
            if items.any(|member| member.instance == machine.self_link) {
                return Ok(true);
            }
            match members.next_page_token {
                Some(next) if !next.is_empty() => page = next,
                _ => break,
            }
        }
        Ok(false)
    }

    /// The project, and the folders and the organisation above it.
    pub(super) async fn ancestors(&self, project: &str) -> Result<Vec<String>, Fault> {
        let path = format!("v1/projects/{}:getAncestry", percent(project));
        let endpoint = base(self.config.endpoints.crm.as_ref(), CRM);
        let found: Result<Ancestry, _> = match endpoint.and_then(|url| url.join(&path)) {
            Ok(url) => {
                let body = json!({}).to_string().into_bytes();
                self.ask(Request::post(url, "application/json", body)).await
            }
            Err(failure) => Err(failure),
        };
        let found = found.map_err(|failure| {
            let absent = "the mount's credentials lack resourcemanager.projects.get on the project";
            unanswered(&failure, absent)
        })?;
        let ids = found.ancestor.into_iter().map(|one| one.resource_id);
        Ok(ids.map(|id| format!("{}-{}", id.kind, id.id)).collect())
    }

    async fn ask<T: DeserializeOwned>(&self, request: Request) -> Result<T, Failure> {
        let (google, outbound) = (&self.outside.vault.google, self.outside.outbound);
        let token = google
            .token(self.mount, outbound, self.credentials, self.now)
            .await
            // Not what the API itself would answer with.
            .map_err(|failure| match failure {
                Failure::Status(_) => Failure::Answer("the mount's credentials are refused"),
                other => other,
            })?;
        let answer = outbound
            .send(&Trust::System, request.bearer(&token))
            .await?;
        if answer.status == 401 {
            google.forget(self.mount, &token).await;
        }
        serde_json::from_slice(&answer.success()?)
            .map_err(|_| Failure::Answer("expected the JSON of Google's API"))
    }
}

/// Google Compute Engine calls a zone REGION-LETTER.
pub(super) fn region(zone: &str) -> &str {
    zone.rsplit_once('-').map_or(zone, |(region, _)| region)
}

fn unanswered(failure: &Failure, absent: &str) -> Fault {
    Fault::invalid(match failure {
        Failure::Status(403 | 404) => absent.to_owned(),
        failure => format!("Google does not answer as expected: {failure}"),
    })
}
