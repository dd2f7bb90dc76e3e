//! `ci explain`: an identity token's claims beside those that a role asks for.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use vault_sdk::Call;

use super::claims::{Asks, Finding, compare, shown};
use crate::command::login::job::Evidence;
use crate::command::raw::stdin_line;
use crate::error::{Failure, Outcome, local};
use crate::output::{Content, Format};
use crate::session::Session;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The job's identity token, or - for stdin [default: that of the job this runs in]
    token: Option<String>,
    /// Compare with this role; without, the claims are only listed
    #[arg(long, value_name = "NAME")]
    role: Option<String>,
    /// Where the jwt method is mounted
    #[arg(long, default_value = "jwt", value_name = "PATH")]
    path: String,
    #[command(flatten)]
    evidence: Evidence,
}

pub(super) async fn run(session: &Session, args: Args) -> Outcome {
    let token = match args.token.as_deref() {
        Some("-") => stdin_line()?,
        Some(token) => token.to_owned(),
        None => args.evidence.id_token(session).await?.expose().to_owned(),
    };
    let claims = claims(token.trim())?;
    let Some(role) = &args.role else {
        let rows: Vec<_> = claims
            .iter()
            .map(|(claim, value)| (claim.clone(), json!(shown(Some(value)))))
            .collect();
        return session.out.rows(&rows, Content::Open);
    };
    let mount = args.path.trim_matches('/');
    let config = session
        .send(Call::get(format!("auth/{mount}/config")))
        .await?;
    let answer = session
        .send(Call::get(format!("auth/{mount}/role/{role}")))
        .await?;
    let config = config.data();
    let text = |name: &str| config[name].as_str().filter(|text| !text.is_empty());
    let asks = Asks {
        issuer: text("bound_issuer")
            .or(text("oidc_discovery_url"))
            .unwrap_or_default(),
        role: answer.data(),
    };
    let now = jiff::Timestamp::now().as_millisecond() as f64 / 1000.0;
    let findings = compare(&claims, &asks, now);
    show(session, &findings)?;
    match findings.iter().all(|finding| finding.fits) {
        true => {
            eprintln!(
                "All of them fit. Not checked here: the signature, and whether it was used before."
            );
            Ok(())
        }
        false => Err(Failure::Silent(2)),
    }
}

fn show(session: &Session, findings: &[Finding]) -> Outcome {
    if session.out.format != Format::Table {
        let list: Vec<_> = findings
            .iter()
            .map(|f| json!({"claim": f.claim, "token": f.has, "role": f.wanted, "fits": f.fits}))
            .collect();
        return session.out.document(&json!(list));
    }
    let mut lines = Vec::new();
    for finding in findings {
        match finding.fits {
            true => lines.push(format!("ok  {}: {}", finding.claim, finding.has)),
            false => lines.push(format!(
                "NO  {}\n      the token has: {}\n      it must be:    {}",
                finding.claim, finding.has, finding.wanted
            )),
        }
    }
    session.out.line(&lines.join("\n"))
}

/// The middle part of a JWT (RFC 7519, 3). No error quotes from it.
fn claims(token: &str) -> Outcome<Map<String, Value>> {
    let wrong = || {
        local(
            "this is no identity token: a JWT has three parts with dots between them",
            "give the token itself, or - and the token on stdin",
        )
    };
    let parts: Vec<&str> = token.split('.').collect();
    let [_, middle, _] = parts[..] else {
        return Err(wrong());
    };
    let bytes = URL_SAFE_NO_PAD
        .decode(middle.trim_end_matches('='))
        .map_err(|_| wrong())?;
    serde_json::from_slice(&bytes).map_err(|_| wrong())
}
