//! Certificates of P-256 with new keys, stored and not, beside the rate at which one core makes the same
//! ones without a server.

use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use jiff::Timestamp;
use serde_json::{Value, json};
use vault_crypto::{KeyKind, PrivateKey, Random, System};
use vault_x509::{
    AltName, Attribute, Extensions, Hash, Name, PublicKey, Purpose, Signer, Template,
};

use super::report::Series;
use super::vault::{Vault, request};
use super::{ROUNDS, load};

const CLIENTS: usize = 16;
/// In a second of the whole machine, which the load uses too: without and with a row for each.
const TARGETS: [(&str, f64); 2] = [("unstored", 2000.0), ("stored", 1000.0)];

/// Over TLS with token, policies and audit.
pub async fn issuing(vault: &Vault, time: Duration) -> Result<()> {
    prepare(vault).await?;
    let body = json!({"common_name": "a.example.com"}).to_string();
    let mut series = [Series::default(), Series::default()];
    let mut alone = Vec::new();
    for _ in 0..ROUNDS {
        for (at, (role, _)) in TARGETS.iter().enumerate() {
            let issue = request("POST", &format!("pki/issue/{role}"), vault.root(), &body);
            let answer: Value = serde_json::from_slice(&vault.ask(&issue).await?)?;
            let made = answer["data"]["certificate"].as_str().unwrap_or_default();
            ensure!(made.starts_with("-----BEGIN CERTIFICATE"), "{answer}");
            let next = move |_: &mut _, into: &mut Vec<u8>| into.extend_from_slice(&issue);
            series[at].add(load::run(&vault.target, CLIENTS, time, next).await?);
        }
        alone.push(raw(time)?);
    }
    alone.sort_by(f64::total_cmp);
    let alone = alone[ROUNDS / 2];
    for (series, (role, target)) in series.iter().zip(TARGETS) {
        println!(
            "{}",
            series.row(&format!("P-256 certificates, {role}"), CLIENTS)
        );
        println!(
            "ISSUE RATIO  {:.0} certificates a second, target {target}; {:.2} of {alone:.0} on one core without a server\n",
            series.per_second(),
            series.per_second() / alone
        );
    }
    Ok(())
}

async fn prepare(vault: &Vault) -> Result<()> {
    let role = |no_store: bool| json!({"key_type": "ec", "allowed_domains": "example.com", "allow_subdomains": true, "no_store": no_store});
    for (path, body) in [
        (
            "sys/mounts/pki",
            json!({"type": "pki", "config": {"max_lease_ttl": "87600h"}}),
        ),
        (
            "pki/root/generate/internal",
            json!({"common_name": "root", "key_type": "ec", "ttl": "87600h"}),
        ),
        ("pki/roles/unstored", role(true)),
        ("pki/roles/stored", role(false)),
    ] {
        vault.call("POST", path, vault.root(), &body).await?;
    }
    Ok(())
}

/// Keys and certificates that one thread makes in a second.
fn raw(time: Duration) -> Result<f64> {
    let authority = PrivateKey::generate(KeyKind::P256, &System)?;
    let name = Name::new(&[(Attribute::CommonName, vec!["root".to_owned()])]);
    let subject = Name::new(&[(Attribute::CommonName, vec!["a.example.com".to_owned()])]);
    let issuer_key_id = PublicKey::from_der(&authority.public_der()?)?.id();
    let extensions = Extensions {
        purposes: vec![Purpose::ServerAuth, Purpose::ClientAuth],
        names: vec![AltName::Dns("a.example.com".to_owned())],
        ..Extensions::default()
    };
    let (start, mut count) = (Instant::now(), 0u32);
    while start.elapsed() < time {
        let own = PrivateKey::generate(KeyKind::P256, &System)?;
        let mut serial = [0; 20];
        System.fill(&mut serial);
        let template = Template {
            serial: &serial,
            issuer: &name,
            issuer_key_id: &issuer_key_id,
            subject: &subject,
            key: &PublicKey::from_der(&own.public_der()?)?,
            not_before: Timestamp::UNIX_EPOCH,
            not_after: Timestamp::MAX,
            extensions: &extensions,
        };
        black_box(template.sign(&Signer::new(&authority, Hash::Sha256, false))?);
        count += 1;
    }
    Ok(f64::from(count) / start.elapsed().as_secs_f64())
}
