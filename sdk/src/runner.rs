//! CI runners, and the identity tokens (JWT) that they give their jobs: what a job logs in with instead
//! of a stored secret.
//!
//! Sources: "OpenID Connect reference" (docs.github.com), "ID token authentication" (docs.gitlab.com),
//! "Buildkite Agent OIDC" (buildkite.com/docs), "Using OpenID Connect tokens in jobs" (circleci.com/docs),
//! the Jenkins plugin "OpenID Connect Provider".

use std::path::Path;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use crate::login::read_secret_file;
use crate::transport::{Encoded, Transport, encode_query};
use crate::{Error, Secret};

/// Where a job puts its token, unless it says another name; with `_FILE`, the name of a file.
pub const ID_TOKEN: &str = "VAULT_ID_TOKEN";

const PATIENCE: Duration = Duration::from_secs(30);

/// A system that runs jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runner {
    /// GitHub Actions.
    GitHub,
    /// GitLab CI.
    GitLab,
    /// Buildkite.
    Buildkite,
    /// CircleCI.
    CircleCi,
    /// Jenkins.
    Jenkins,
}

impl Runner {
    /// The one that this process runs in, by the variables that it sets.
    pub fn detect() -> Option<Runner> {
        let is_set = |name| variable(name).is_some();
        [
            (Runner::GitHub, "GITHUB_ACTIONS"),
            (Runner::GitLab, "GITLAB_CI"),
            (Runner::Buildkite, "BUILDKITE"),
            (Runner::CircleCi, "CIRCLECI"),
            (Runner::Jenkins, "JENKINS_URL"),
        ]
        .into_iter()
        .find_map(|(runner, name)| is_set(name).then_some(runner))
    }

    /// Gets the job's token, made for an audience where the runner lets a job choose.
    ///
    /// # Errors
    /// [`Error::Config`] if the job has none, and what to add to it; what goes wrong on the way.
    pub async fn id_token(self, audience: &str) -> Result<Secret, Error> {
        match self {
            Runner::GitHub => github(audience).await,
            Runner::Buildkite => {
                // The ids are in it only if they are asked for.
                let ids = ["--claim", "organization_id", "--claim", "pipeline_id"];
                let words = [&["oidc", "request-token", "--audience", audience], &ids[..]].concat();
                printed("buildkite-agent", &words).await
            }
            Runner::CircleCi => {
                let found = variable("CIRCLE_OIDC_TOKEN_V2").or_else(|| variable("CIRCLE_OIDC_TOKEN"));
                found.map(Secret::new).ok_or_else(|| {
                    missing("CIRCLE_OIDC_TOKEN_V2 is not set: the job must use a context, any one")
                })
            }
            Runner::GitLab => given(ID_TOKEN)?.ok_or_else(|| {
                missing("VAULT_ID_TOKEN is not set: add to the job  id_tokens: { VAULT_ID_TOKEN: { aud: … } }")
            }),
            Runner::Jenkins => given(ID_TOKEN)?.ok_or_else(|| {
                missing(
                    "VAULT_ID_TOKEN is not set: bind an OpenID Connect id token credential to it (withCredentials)",
                )
            }),
        }
    }
}

/// A token in a variable, or in the file that the variable with `_FILE` names.
///
/// # Errors
/// [`Error::Config`] if the file cannot be read.
pub fn given(name: &str) -> Result<Option<Secret>, Error> {
    if let Some(token) = variable(name) {
        return Ok(Some(Secret::new(token.trim())));
    }
    let file = variable(&format!("{name}_FILE"));
    let read = |path: String| read_secret_file(Path::new(&path), "id token");
    file.map(read).transpose()
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn missing(what: &str) -> Error {
    Error::Config(what.to_owned())
}

/// The job asks GitHub for it, with a token of its own for just that.
async fn github(audience: &str) -> Result<Secret, Error> {
    let given =
        variable("ACTIONS_ID_TOKEN_REQUEST_URL").zip(variable("ACTIONS_ID_TOKEN_REQUEST_TOKEN"));
    let (url, bearer) = given.ok_or_else(|| {
        missing("the job may not ask for an identity token: add  permissions: { id-token: write }")
    })?;
    // What is sent there lets anyone have a token of this job.
    if !url.starts_with("https://") {
        return Err(missing(
            "ACTIONS_ID_TOKEN_REQUEST_URL is no https:// address",
        ));
    }
    let separator = if url.contains('?') { '&' } else { '?' };
    let target = format!("{url}{separator}audience={}", encode_query(audience));
    let bearer = Secret::new(format!("Bearer {bearer}"));
    let call = Encoded::get(&target, "authorization", &bearer)?;
    let forge = Transport::elsewhere("the forge's token service")?;
    let answer = timeout(PATIENCE, forge.exchange(&call, None));
    let answer = answer.await.map_err(|_| Error::Timeout)??;
    let token = answer.body["value"]
        .as_str()
        .filter(|token| !token.is_empty());
    token.map(Secret::new).ok_or_else(|| Error::Decode {
        path: call.path,
        cause: "it holds no token".to_owned(),
    })
}

/// What a program prints. What it complains about goes where our own complaints go.
async fn printed(program: &str, words: &[&str]) -> Result<Secret, Error> {
    let mut command = Command::new(program);
    command
        .args(words)
        .stdin(std::process::Stdio::null())
        .stderr(std::process::Stdio::inherit())
        .kill_on_drop(true);
    let output = timeout(PATIENCE, command.output());
    let output = output
        .await
        .map_err(|_| Error::Timeout)?
        .map_err(|error| Error::Config(format!("cannot start {program}: {error}")))?;
    let text = String::from_utf8(output.stdout).map(Secret::new);
    let token = text.ok().map(|text| Secret::new(text.expose().trim()));
    match token.filter(|token| output.status.success() && !token.is_empty()) {
        Some(token) => Ok(token),
        None => Err(Error::Config(format!("{program} gave no identity token"))),
    }
}
