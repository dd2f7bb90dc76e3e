//! The forges: who issues their tokens, and which claims stay the same when names change hands.
//!
//! Names of projects, groups and people can be given up and taken by others; numbers and UUIDs cannot.
//! So roles are bound to those, and to what an outsider's pull request cannot have: an environment, or
//! a protected ref.

use serde_json::{Map, Value, json};

use crate::error::{Outcome, local};

#[derive(clap::Subcommand)]
pub(crate) enum Forge {
    /// GitHub Actions. Its numbers: gh api repos/OWNER/NAME --jq '.id, .owner.id'
    Github {
        /// The number of the repository
        #[arg(long, value_name = "N", value_parser = number)]
        repository_id: String,
        /// The number of its owner
        #[arg(long, value_name = "N", value_parser = number)]
        owner_id: String,
        #[command(flatten)]
        place: Place,
    },
    /// GitLab CI. Its numbers are in the project's and the group's settings
    Gitlab {
        /// The number of the project
        #[arg(long, value_name = "N", value_parser = number)]
        project_id: String,
        /// The number of its group or user
        #[arg(long, value_name = "N", value_parser = number)]
        namespace_id: String,
        #[command(flatten)]
        place: Place,
    },
    /// Buildkite. The UUIDs are in the settings of the organization and of the pipeline
    Buildkite {
        #[arg(long, value_name = "UUID", value_parser = uuid)]
        organization_id: String,
        #[arg(long, value_name = "UUID", value_parser = uuid)]
        pipeline_id: String,
        /// Only builds of this branch
        #[arg(long, value_name = "NAME")]
        branch: Option<String>,
    },
    /// CircleCI. The UUIDs are in the settings of the organization and of the project
    Circleci {
        #[arg(long, value_name = "UUID", value_parser = uuid)]
        org_id: String,
        #[arg(long, value_name = "UUID", value_parser = uuid)]
        project_id: String,
        /// Only jobs of this ref: refs/heads/main
        #[arg(long = "ref", value_name = "REF")]
        reference: Option<String>,
    },
    /// Jenkins with the plugin OpenID Connect Provider
    Jenkins {
        /// The issuer's address: https://jenkins.example.org/oidc
        #[arg(long, value_name = "URL")]
        jenkins: String,
        /// The subject of the job's tokens: the address of the job
        #[arg(long, value_name = "URL")]
        sub: String,
    },
}

/// Where in a project a job runs.
#[derive(clap::Args)]
#[group(multiple = true)]
pub(crate) struct Place {
    /// Only jobs of this deployment environment
    #[arg(long, value_name = "NAME")]
    environment: Option<String>,
    /// Only jobs of this ref, which must be protected: refs/heads/main (GitHub), main (GitLab)
    #[arg(long = "ref", value_name = "REF")]
    reference: Option<String>,
}

fn number(text: &str) -> Result<String, String> {
    match text.parse::<u64>() {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err("this is the forge's number, not a name: a name can change hands".to_owned()),
    }
}

fn uuid(text: &str) -> Result<String, String> {
    let right = text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        });
    match right {
        true => Ok(text.to_ascii_lowercase()),
        false => Err("this is the UUID, not a name: a name can change hands".to_owned()),
    }
}

/// What a role asks of the tokens of a forge.
pub(super) struct Terms {
    pub(super) issuer: String,
    /// Who the tokens are made for, where the forge says so itself.
    pub(super) audience: Option<String>,
    pub(super) user_claim: &'static str,
    pub(super) subject: Option<String>,
    /// Jobs ask for a token of its own for each login.
    pub(super) fresh: bool,
    pub(super) bound: Map<String, Value>,
    /// Claims that the audit log and templates of policies get to see.
    pub(super) told: &'static [&'static str],
}

impl Forge {
    pub(super) fn terms(&self) -> Outcome<Terms> {
        let mut bound = Map::new();
        let mut bind =
            |claim: &str, value: &str| drop(bound.insert(claim.to_owned(), json!(value)));
        let terms = |issuer: &str, user_claim, told| Terms {
            issuer: issuer.to_owned(),
            audience: None,
            user_claim,
            subject: None,
            fresh: matches!(self, Forge::Github { .. } | Forge::Buildkite { .. }),
            bound: Map::new(),
            told,
        };
        let mut terms = match self {
            Forge::Github {
                repository_id,
                owner_id,
                place,
            } => {
                bind("repository_id", repository_id);
                bind("repository_owner_id", owner_id);
                place.bind(&mut bind, false)?;
                let told = &["repository", "ref", "actor", "run_id", "workflow_ref"];
                terms(
                    "https://token.actions.githubusercontent.com",
                    "repository_id",
                    told,
                )
            }
            Forge::Gitlab {
                project_id,
                namespace_id,
                place,
            } => {
                bind("project_id", project_id);
                bind("namespace_id", namespace_id);
                place.bind(&mut bind, true)?;
                let told = &["project_path", "ref", "user_login", "pipeline_id", "job_id"];
                terms("https://gitlab.com", "project_id", told)
            }
            Forge::Buildkite {
                organization_id,
                pipeline_id,
                branch,
            } => {
                bind("organization_id", organization_id);
                bind("pipeline_id", pipeline_id);
                if let Some(branch) = branch {
                    bind("build_branch", branch);
                }
                let told = &["pipeline_slug", "build_branch", "build_number", "job_id"];
                terms("https://agent.buildkite.com", "pipeline_id", told)
            }
            Forge::Circleci {
                org_id,
                project_id,
                reference,
            } => {
                bind("oidc.circleci.com/project-id", project_id);
                if let Some(reference) = reference {
                    bind("oidc.circleci.com/vcs-ref", reference);
                }
                let issuer = format!("https://oidc.circleci.com/org/{org_id}");
                let told = &["oidc.circleci.com/vcs-origin", "oidc.circleci.com/vcs-ref"];
                let mut terms = terms(&issuer, "oidc.circleci.com/project-id", told);
                // The organization is the audience of every token that jobs find.
                terms.audience = Some(org_id.clone());
                terms
            }
            Forge::Jenkins { jenkins, sub } => {
                let mut terms = terms(jenkins, "sub", &["build_number"]);
                terms.subject = Some(sub.clone());
                terms
            }
        };
        terms.bound = bound;
        Ok(terms)
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Forge::Github { .. } => "github",
            Forge::Gitlab { .. } => "gitlab",
            Forge::Buildkite { .. } => "buildkite",
            Forge::Circleci { .. } => "circleci",
            Forge::Jenkins { .. } => "jenkins",
        }
    }

    /// What to add so that not every branch gets the secrets, where that is not asked for.
    pub(super) fn narrower(&self) -> Option<&'static str> {
        match self {
            Forge::Buildkite { branch: None, .. } => Some("--branch NAME"),
            Forge::Circleci {
                reference: None, ..
            } => Some("--ref REF"),
            _ => None,
        }
    }

    pub(super) fn environment(&self) -> Option<&str> {
        match self {
            Forge::Github { place, .. } | Forge::Gitlab { place, .. } => {
                place.environment.as_deref()
            }
            _ => None,
        }
    }
}

impl Place {
    /// At least one of the two: otherwise every branch that anyone may push gets the secrets.
    fn bind(&self, bind: &mut impl FnMut(&str, &str), environments_are_protected: bool) -> Outcome {
        if self.environment.is_none() && self.reference.is_none() {
            return Err(local(
                "a role for all branches would give the secrets to everyone who may push one",
                "add --environment NAME, or --ref REF of a protected branch",
            ));
        }
        if let Some(environment) = &self.environment {
            bind("environment", environment);
            if environments_are_protected {
                bind("environment_protected", "true");
            }
        }
        if let Some(reference) = &self.reference {
            bind("ref", reference);
            bind("ref_protected", "true");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_no_ids() {
        assert!(number("octo-org/app").is_err() && number("74").is_ok());
        assert!(uuid("acme-inc").is_err());
        assert!(
            uuid("0184990A-477b-4fa8-9968-496074483cee").is_ok_and(|id| id.starts_with("0184990a"))
        );
    }

    #[test]
    fn a_role_for_every_branch_is_refused() {
        let github = |environment: Option<&str>, reference: Option<&str>| Forge::Github {
            repository_id: "74".to_owned(),
            owner_id: "65".to_owned(),
            place: Place {
                environment: environment.map(str::to_owned),
                reference: reference.map(str::to_owned),
            },
        };
        assert!(github(None, None).terms().is_err());
        let bound = |forge: Forge| forge.terms().map(|terms| Value::Object(terms.bound)).ok();
        assert_eq!(
            bound(github(None, Some("refs/heads/main"))),
            Some(json!({
                "repository_id": "74", "repository_owner_id": "65",
                "ref": "refs/heads/main", "ref_protected": "true",
            }))
        );
        assert_eq!(
            bound(github(Some("production"), None)),
            Some(json!({
                "repository_id": "74", "repository_owner_id": "65", "environment": "production",
            }))
        );
    }
}
