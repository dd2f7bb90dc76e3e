//! SSH certificates, beside the rate at which one core makes the same ones without a server.

use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use vault_crypto::{KeyKind, Random, System};
use vault_ssh::{Certificate, Claims, Key, PrivateKey, Subject};

use super::report::Series;
use super::vault::{Vault, request};
use super::{ROUNDS, load};

/// For each second of one core that the server had.
const PER_CORE_MIN: f64 = 2000.0;
const CLIENTS: usize = 16;

/// Ed25519 keys signed by an ed25519 CA, over TLS with token, policies and audit.
pub async fn certificates(vault: &Vault, time: Duration) -> Result<()> {
    let own = PrivateKey::generate(KeyKind::Ed25519, &System)?;
    let line = own.public().line();
    prepare(vault).await?;
    let body = json!({"public_key": line, "valid_principals": "deploy"});
    let sign = request("POST", "ssh/sign/bench", vault.root(), &body.to_string());
    let answer: Value = serde_json::from_slice(&vault.ask(&sign).await?)?;
    let signed = answer["data"]["signed_key"].as_str().unwrap_or_default();
    ensure!(Certificate::from_line(signed)?.key == *own.public());
    let mut series = Series::default();
    let mut alone = Vec::new();
    for _ in 0..ROUNDS {
        let sign = sign.clone();
        let next = move |_: &mut _, into: &mut Vec<u8>| into.extend_from_slice(&sign);
        series.add(load::run(&vault.target, CLIENTS, time, next).await?);
        alone.push(raw(own.public(), time)?);
    }
    alone.sort_by(f64::total_cmp);
    let alone = alone[ROUNDS / 2];
    println!("{}", series.row("SSH certificates", CLIENTS));
    let per_core = 1.0 / series.cpu().as_secs_f64();
    println!(
        "SIGN RATIO   {per_core:.0} certificates for each second of a core, target {PER_CORE_MIN}; \
         {:.2} of {alone:.0} without a server\n",
        per_core / alone
    );
    Ok(())
}

async fn prepare(vault: &Vault) -> Result<()> {
    let role = json!({
        "key_type": "ca", "allow_user_certificates": true, "allowed_users": "deploy", "ttl": "5m",
        "default_extensions": {"permit-pty": ""},
    });
    for (path, body) in [
        ("sys/mounts/ssh", json!({"type": "ssh"})),
        ("ssh/config/ca", json!({"key_type": "ed25519"})),
        ("ssh/roles/bench", role),
    ] {
        vault.call("POST", path, vault.root(), &body).await?;
    }
    Ok(())
}

/// Certificates that one thread makes in a second.
fn raw(key: &Key, time: Duration) -> Result<f64> {
    let authority = PrivateKey::generate(KeyKind::Ed25519, &System)?;
    let claims = Claims {
        key: key.clone(),
        subject: Subject::User,
        serial: 1,
        key_id: "vault-root-bench".to_owned(),
        principals: vec!["deploy".to_owned()],
        valid_after: 1,
        valid_before: 2,
        critical_options: Default::default(),
        extensions: [("permit-pty".to_owned(), String::new())].into(),
    };
    let (start, mut count) = (Instant::now(), 0u32);
    while start.elapsed() < time {
        let mut nonce = [0; 32];
        System.fill(&mut nonce);
        black_box(claims.sign_line(&authority, "ssh-ed25519", &nonce)?);
        count += 1;
    }
    Ok(f64::from(count) / start.elapsed().as_secs_f64())
}
