//! The login of a CI job: with the identity token that its runner gives it.

use serde_json::{Value, json};
use vault_sdk::runner::{self, Runner};
use vault_sdk::{Call, Secret};

use crate::error::{Failure, Outcome, local, remote};
use crate::session::{Session, TokenSource, text};

/// Where the token comes from, and for whom it is made.
#[derive(Clone, clap::Args)]
pub(crate) struct Evidence {
    /// Whom the job's identity token is made for (GitHub, Buildkite) [default: the server's address]
    #[arg(long, value_name = "URL")]
    audience: Option<String>,
    /// The variable that holds the job's identity token, or with _FILE its file
    /// [default: VAULT_ID_TOKEN, else what the runner offers]
    #[arg(long, value_name = "NAME")]
    pub(crate) id_token_env: Option<String>,
}

impl Evidence {
    pub(crate) fn audience(&self, session: &Session) -> String {
        let own = || session.client.addr().to_owned();
        self.audience.clone().unwrap_or_else(own)
    }

    /// The job's identity token.
    pub(crate) async fn id_token(&self, session: &Session) -> Outcome<Secret> {
        if let Some(name) = &self.id_token_env {
            return runner::given(name)?.ok_or_else(|| {
                local(
                    format!("{name} is not set"),
                    "name the variable that the job's definition puts the identity token into",
                )
            });
        }
        if let Some(token) = runner::given(runner::ID_TOKEN)? {
            return Ok(token);
        }
        let runner = Runner::detect().ok_or_else(|| {
            local(
                "this is no CI job that is known: GitHub, GitLab, Buildkite, CircleCI or Jenkins",
                "put the job's identity token into VAULT_ID_TOKEN",
            )
        })?;
        Ok(runner.id_token(&self.audience(session)).await?)
    }
}

/// Logs in; the server's answer.
pub(crate) async fn log_in(
    session: &Session,
    mount: &str,
    role: &str,
    evidence: &Evidence,
) -> Outcome<Value> {
    let token = evidence.id_token(session).await?;
    let mount = mount.trim_matches('/');
    let body = json!({ "role": role, "jwt": token.expose() });
    let call = Call::post(format!("auth/{mount}/login"), body).no_token();
    match session.send(call).await {
        Ok(answer) => Ok(answer.body),
        Err(Failure::Call(error)) if error.status() == Some(400) => Err(remote(
            error.to_string(),
            format!(
                "see claim by claim why, as one who may read the role: vaultctl ci explain --role {role} -"
            ),
        )),
        Err(failure) => Err(failure),
    }
}

/// Logs in for this process alone: the token is kept nowhere.
pub(crate) async fn become_job(
    session: &mut Session,
    mount: &str,
    role: &str,
    evidence: &Evidence,
) -> Outcome {
    // A person's own token has no part in this, whatever comes of it.
    session.client.set_token(None);
    session.token_source = TokenSource::None;
    let answer = log_in(session, mount, role, evidence).await?;
    let token = text(&answer["auth"], "client_token")?;
    session.client.set_token(Some(Secret::new(token)));
    Ok(())
}
