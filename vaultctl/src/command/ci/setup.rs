//! `ci setup`: a mount, its config and a role, from ids.

use std::path::PathBuf;

use serde_json::{Value, json};
use vault_sdk::Call;

use super::forge::{Forge, Terms};
use super::snippet;
use crate::error::{Failure, Outcome, file, local};
use crate::session::Session;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    forge: Forge,
    /// The role to write
    #[arg(long, global = true, default_value = "ci", value_name = "NAME")]
    role: String,
    /// A policy of the jobs; once for each
    #[arg(long, global = true, value_name = "NAME")]
    policy: Vec<String>,
    /// Where the jwt method is mounted; it is mounted there if it is not
    #[arg(long, global = true, default_value = "jwt", value_name = "PATH")]
    path: String,
    /// Whom the tokens are made for [default: the server's address; CircleCI: the organization]
    #[arg(long, global = true, value_name = "URL")]
    audience: Option<String>,
    /// The forge's own issuer, if it is not the public one
    #[arg(long, global = true, value_name = "URL")]
    issuer: Option<String>,
    /// Who vouches for that issuer (PEM) [default: the server's system]
    #[arg(long, global = true, value_name = "FILE")]
    issuer_ca: Option<PathBuf>,
    /// How long a job's token lives
    #[arg(long, global = true, default_value = "15m", value_name = "TTL")]
    ttl: String,
}

pub(super) async fn run(session: &Session, args: Args) -> Outcome {
    let mut terms = args.forge.terms()?;
    if args.policy.is_empty() {
        return Err(local(
            "a role without a policy may read nothing",
            "write one (vaultctl policy write ci FILE), and add --policy ci",
        ));
    }
    if let Some(issuer) = &args.issuer {
        terms.issuer.clone_from(issuer);
    }
    let mount = args.path.trim_matches('/');
    let audience = args.audience.clone().or_else(|| terms.audience.clone());
    let audience = audience.unwrap_or_else(|| session.client.addr().to_owned());
    ensure_mount(session, mount).await?;
    ensure_config(session, mount, &terms.issuer, &args).await?;
    let path = format!("auth/{mount}/role/{}", args.role);
    let written = session
        .send(Call::post(&path, role(&args, &terms, &audience)))
        .await?;
    session.out.warnings(&written.body);
    eprintln!(
        "{path} is written: only these jobs may log in, and for {} at a time.",
        args.ttl
    );
    for (claim, value) in &terms.bound {
        eprintln!("  {claim} = {}", value.as_str().unwrap_or_default());
    }
    if let Some(subject) = &terms.subject {
        eprintln!("  sub = {subject}");
    }
    eprintln!("  aud = {audience}");
    if let Some(option) = args.forge.narrower() {
        eprintln!("note: builds of every branch may log in; {option} leaves one");
    }
    eprintln!("Add to the job:\n");
    let job = snippet::Job {
        forge: args.forge.name(),
        address: session.client.addr(),
        role: &args.role,
        mount,
        audience: &audience,
        environment: args.forge.environment(),
    };
    session.out.line(&job.text())
}

fn role(args: &Args, terms: &Terms, audience: &str) -> Value {
    let told: serde_json::Map<_, _> = terms
        .told
        .iter()
        .map(|claim| {
            let name = claim.rsplit('/').next().unwrap_or(claim);
            ((*claim).to_owned(), json!(name.replace('-', "_")))
        })
        .collect();
    json!({
        "role_type": "jwt",
        "user_claim": terms.user_claim,
        "bound_audiences": [audience],
        "bound_subject": terms.subject.as_deref().unwrap_or_default(),
        "bound_claims_type": "string",
        "refuse_replay": terms.fresh,
        "bound_claims": terms.bound,
        "claim_mappings": told,
        "token_policies": args.policy,
        "token_ttl": args.ttl,
        "token_max_ttl": args.ttl,
    })
}

async fn ensure_mount(session: &Session, mount: &str) -> Outcome {
    let mounts = session.send(Call::get("sys/auth")).await?;
    let found = &mounts.data()[format!("{mount}/")]["type"];
    match found.as_str() {
        Some("jwt" | "oidc") => Ok(()),
        Some(kind) => Err(local(
            format!("auth/{mount} is a mount of type {kind}"),
            "choose another one: --path NAME",
        )),
        None => {
            let call = Call::post(format!("sys/auth/{mount}"), json!({ "type": "jwt" }));
            session.send(call).await.map(drop)
        }
    }
}

/// A mount takes the tokens of one issuer.
async fn ensure_config(session: &Session, mount: &str, issuer: &str, args: &Args) -> Outcome {
    let path = format!("auth/{mount}/config");
    let config = match session.send(Call::get(&path)).await {
        Ok(answer) => answer.data().clone(),
        Err(Failure::Call(error)) if matches!(error.status(), Some(400 | 404)) => Value::Null,
        Err(failure) => return Err(failure),
    };
    let text = |name: &str| config[name].as_str().filter(|text| !text.is_empty());
    let keys = ["oidc_discovery_url", "jwks_url"].map(text);
    let pems = config["jwt_validation_pubkeys"].as_array();
    if keys.iter().all(Option::is_none) && pems.is_none_or(Vec::is_empty) {
        let ca = match &args.issuer_ca {
            Some(path) => std::fs::read_to_string(path).map_err(|e| file("read", path, &e))?,
            None => String::new(),
        };
        let body = json!({
            "oidc_discovery_url": issuer, "oidc_discovery_ca_pem": ca, "bound_issuer": issuer,
        });
        return session.send(Call::post(path, body)).await.map(drop);
    }
    let same = |known: &str| known.trim_end_matches('/') == issuer.trim_end_matches('/');
    match text("bound_issuer").or(keys[0]) {
        Some(known) if same(known) => Ok(()),
        known => Err(local(
            format!(
                "auth/{mount} takes the tokens of {}, not of {issuer}",
                known.unwrap_or("any issuer whose keys it has")
            ),
            format!(
                "give each issuer a mount of its own: --path {}",
                args.forge.name()
            ),
        )),
    }
}
