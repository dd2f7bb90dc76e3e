//! `whoami`, and `print token` for old scripts.

use serde_json::json;
use vault_sdk::Call;

use crate::error::{Outcome, local};
use crate::output::{Content, Format, Output, Rows};
use crate::session::{Session, TokenSource, token};

#[derive(clap::Subcommand)]
pub(crate) enum Print {
    /// The token in use
    Token,
}

pub(crate) async fn run(session: &Session) -> Outcome {
    let answer = session.send(Call::get("auth/token/lookup-self")).await?;
    if session.out.format != Format::Table {
        return session.out.document(&strip_id(answer.data().clone()));
    }
    let source = match &session.token_source {
        TokenSource::Environment(name) => (*name).to_owned(),
        TokenSource::File(path) => path.display().to_string(),
        TokenSource::None => "none".to_owned(),
    };
    let data = answer.data();
    let mut rows: Rows = vec![
        ("address".into(), json!(session.client.addr())),
        ("token_from".into(), json!(source)),
    ];
    for key in [
        "display_name",
        "policies",
        "ttl",
        "renewable",
        "orphan",
        "num_uses",
        "accessor",
        "entity_id",
        "expire_time",
    ] {
        if let Some(value) = data.get(key).filter(|v| !v.is_null() && *v != &json!("")) {
            rows.push((key.to_owned(), value.clone()));
        }
    }
    session.out.rows(&rows, Content::Open)
}

fn strip_id(mut data: serde_json::Value) -> serde_json::Value {
    if let Some(map) = data.as_object_mut() {
        map.remove("id");
    }
    data
}

pub(crate) fn print(out: &Output, what: &Print) -> Outcome {
    match what {
        Print::Token => {
            let token = token()?
                .0
                .ok_or_else(|| local("there is no token", "log in: vaultctl login"))?;
            out.value(&json!(token.expose()), Content::Stored)
        }
    }
}
