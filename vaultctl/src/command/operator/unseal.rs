//! `operator unseal`.

use serde_json::{Value, json};
use vault_sdk::Call;

use super::shares::{self, Passphrases};
use crate::error::{Failure, Outcome, remote};
use crate::output::{Content, Format, clean};
use crate::session::Session;

#[derive(clap::Args)]
pub(crate) struct Unseal {
    /// A share file; - or @FILE for a plain share; without it you are asked, hidden
    share: Option<String>,
    /// Forget the shares given so far
    #[arg(long, conflicts_with = "share")]
    reset: bool,
    #[command(flatten)]
    passphrases: Passphrases,
    /// Agree to the seal of the server's config in place of the present one
    #[arg(long)]
    migrate: bool,
}

pub(crate) async fn run(session: &Session, args: Unseal) -> Outcome {
    if args.reset {
        let answer = session
            .send(Call::put("sys/unseal", json!({ "reset": true })).no_token())
            .await?;
        return tell(session, &answer.body);
    }
    let before = session
        .send(Call::get("sys/seal-status").no_token())
        .await?
        .body;
    if before["initialized"] == false {
        return Err(remote(
            "the server is not initialised",
            "vaultctl operator init",
        ));
    }
    if before["sealed"] == false && !session.face.is_compat() {
        return match session.out.format {
            Format::Table => session.out.line("The server is unsealed already."),
            _ => tell(session, &before),
        };
    }
    let given = shares::take(args.share.as_deref(), &args.passphrases)?;
    let mut body = json!({ "key": given.share.as_str() });
    if args.migrate {
        body["migrate"] = json!(true);
    }
    let call = Call::put("sys/unseal", body).no_token();
    let answer = session
        .send(call)
        .await
        .map_err(|failure| refused(failure, &given.name))?;
    tell(session, &answer.body)
}

/// A refusal, told with the name of the share.
pub(super) fn refused(failure: Failure, name: &str) -> Failure {
    let Failure::Call(error) = &failure else {
        return failure;
    };
    match &**error {
        vault_sdk::Error::Api { errors, status, .. } if *status < 500 => remote(
            format!("{name} was refused: {}", clean(&errors.join("; "))),
            "check that the share is of this server and of its newest set, then give it again",
        ),
        _ => failure,
    }
}

fn tell(session: &Session, body: &Value) -> Outcome {
    let out = &session.out;
    if out.field.is_none() && out.format == Format::Table && !out.compat {
        let (progress, needed) = (
            body["progress"].as_u64().unwrap_or(0),
            body["t"].as_u64().unwrap_or(0),
        );
        return out.line(&match body["sealed"].as_bool() {
            Some(false) => "Unsealed.".to_owned(),
            _ => format!("{progress} of {needed} shares given; the server is still sealed."),
        });
    }
    if out.format == Format::Table {
        return out.rows(&crate::command::status::rows(body), Content::Open);
    }
    out.document(body)
}
