//! Two promises that are times and not ratios: what a long list takes, and what many rules cost.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use vault_policy::{Acl, Ask, Capability, NoTemplates, Policy};

use super::report::Series;
use super::vault::{SECRETS, Vault, path, request};
use super::{ROUNDS, load};

const NAMES: usize = 10_000;
const LIST_MAX: Duration = Duration::from_millis(50);
const PAGE: &str = "secret/metadata/app/many?list=true&after=name-05000&limit=100";
const PAGE_MAX: Duration = Duration::from_millis(5);
const POLICIES: usize = 50;
const RULES: usize = 100;
const DECISION_MAX: Duration = Duration::from_micros(5);

/// A list of many names, and a page of it; one client, over TLS with token, policies and audit.
pub async fn lists(vault: &Vault, time: Duration) -> Result<()> {
    fill(vault).await?;
    let list = request("LIST", "secret/metadata/app/many", vault.token(), "");
    let answer: Value = serde_json::from_slice(&vault.ask(&list).await?)?;
    let listed = answer["data"]["keys"].as_array().context("no keys")?.len();
    ensure!(listed == NAMES, "{listed} names are listed");
    let whole = timed(vault, "LIST of 10,000 names", &list, time).await?;
    println!("LIST: {whole:.1?}, target {LIST_MAX:?}");
    let page = request("GET", PAGE, vault.token(), "");
    let page = timed(vault, "100 of 10,000 names", &page, time).await?;
    println!("PAGE: {page:.2?}, target {PAGE_MAX:?}\n");
    Ok(())
}

async fn timed(vault: &Vault, what: &str, request: &[u8], time: Duration) -> Result<Duration> {
    let mut series = Series::default();
    for _ in 0..ROUNDS {
        let request = request.to_vec();
        let next = move |_: &mut _, into: &mut Vec<u8>| into.extend_from_slice(&request);
        series.add(load::run(&vault.target, 1, time, next).await?);
    }
    println!("{}", series.row(what, 1));
    Ok(series.typical())
}

async fn fill(vault: &Vault) -> Result<()> {
    let (made, token) = (Arc::new(AtomicUsize::new(0)), vault.token().to_owned());
    while made.load(Ordering::Relaxed) < NAMES {
        let (made, token) = (Arc::clone(&made), token.clone());
        let next = move |_: &mut _, into: &mut Vec<u8>| {
            let number = made.fetch_add(1, Ordering::Relaxed) % NAMES;
            let path = format!("secret/data/app/many/name-{number:05}");
            *into = request("POST", &path, &token, r#"{"data":{"k":"v"}}"#);
        };
        load::run(&vault.target, 64, Duration::from_secs(1), next).await?;
    }
    Ok(())
}

/// The reads of [`Vault::reads`] by a token with few rules and by one with 5,000, and the decision alone.
pub async fn rules(vault: &Vault, time: Duration) -> Result<()> {
    let policies: Vec<(String, String)> = (0..POLICIES)
        .map(|number| (format!("many-{number}"), text(number)))
        .collect();
    let token = token(vault, &policies).await?;
    let reads: Arc<Vec<Vec<u8>>> = Arc::new(
        (0..SECRETS)
            .map(|number| request("GET", &path(number), &token, ""))
            .collect(),
    );
    let (mut few, mut many) = (Series::default(), Series::default());
    for _ in 0..ROUNDS {
        let reads = Arc::clone(&reads);
        let next = move |dice: &mut load::Dice, into: &mut Vec<u8>| {
            into.extend_from_slice(&reads[dice.roll(SECRETS)]);
        };
        few.add(load::run(&vault.target, 16, time, vault.reads()).await?);
        many.add(load::run(&vault.target, 16, time, next).await?);
    }
    println!("{}", few.row("KV v2 read, 20 rules", 16));
    println!("{}", many.row("KV v2 read, 5,000 rules", 16));
    println!("{}", many.ratio(&few, "RULES RATIO", 16, 1.0));
    let decision = decision(&policies)?;
    println!("DECISION over 5,000 rules: {decision:?}, target {DECISION_MAX:?}\n");
    Ok(())
}

async fn token(vault: &Vault, policies: &[(String, String)]) -> Result<String> {
    for (name, text) in policies {
        let body = json!({ "policy": text });
        vault
            .call(
                "PUT",
                &format!("sys/policies/acl/{name}"),
                vault.root(),
                &body,
            )
            .await?;
    }
    let names: Vec<&String> = policies.iter().map(|(name, _)| name).collect();
    let body = json!({"policies": names, "ttl": "1h"});
    let made = vault
        .call("POST", "auth/token/create", vault.root(), &body)
        .await?;
    let token = made["auth"]["client_token"].as_str().context("no token")?;
    Ok(token.to_owned())
}

/// A third each of whole paths, prefixes and paths with `+`; one of them opens the secrets of a team.
fn text(policy: usize) -> String {
    let team = ["app", "web", "data", "build", "infra"][policy % 5];
    let open = format!("path \"secret/data/{team}/*\" {{ capabilities = [\"read\"] }}\n");
    let rule = |number: usize| {
        let path = match number % 3 {
            0 => format!("secret/data/{team}/service-{number}/own-{policy}"),
            1 => format!("secret/data/{team}/service-{number}-{policy}*"),
            _ => format!("secret/data/+/service-{number}/config-{policy}"),
        };
        format!("path \"{path}\" {{ capabilities = [\"read\", \"list\"] }}\n")
    };
    (1..RULES).map(rule).chain([open]).collect()
}

/// The mean over the paths of the secrets, once the rules are compiled.
fn decision(policies: &[(String, String)]) -> Result<Duration> {
    let parsed = policies
        .iter()
        .map(|(name, text)| Ok(Policy::parse(&name.parse()?, text)?))
        .collect::<Result<Vec<_>>>()?;
    let acl = Acl::compile(parsed.iter(), &NoTemplates, jiff::Timestamp::UNIX_EPOCH);
    let paths: Vec<String> = (0..SECRETS).map(path).collect();
    let rounds = 100;
    let start = Instant::now();
    for _ in 0..rounds {
        for path in &paths {
            let decision = acl.decide(black_box(&Ask::new(path, Capability::Read)));
            ensure!(black_box(decision.allowed), "{path} is denied");
        }
    }
    Ok(start.elapsed() / rounds / u32::try_from(paths.len())?)
}
