//! A real Vault, if `VAULTD_BENCH_VAULT` names its program: the same requests, side by side. As it is
//! run for real on one machine: raft storage, one file audit device, TLS with vaultd's certificate.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::load::{self, Connection, Dice, Target};
use super::report::Series;
use super::vault::Vault;
use super::{CLIENTS, ROUNDS};

pub const PROGRAM: &str = "VAULTD_BENCH_VAULT";

/// Prints how many times as much vaultd serves.
pub async fn compare(ours: &Vault, program: &Path, time: Duration) -> Result<()> {
    let theirs = start(ours, program).await?;
    for clients in CLIENTS {
        side(ours, &theirs, "read", Vault::reads, clients, time).await?;
    }
    for clients in CLIENTS {
        side(ours, &theirs, "write", Vault::writes, clients, time).await?;
    }
    side(ours, &theirs, "login", Vault::logins, 64, time).await
}

async fn side<N>(
    ours: &Vault,
    theirs: &Vault,
    what: &str,
    requests: impl Fn(&Vault) -> N,
    clients: usize,
    time: Duration,
) -> Result<()>
where
    N: Fn(&mut Dice, &mut Vec<u8>) + Clone + Send + 'static,
{
    let (mut one, mut other) = (Series::default(), Series::default());
    for _ in 0..ROUNDS {
        other.add(load::run(&theirs.target, clients, time, requests(theirs)).await?);
        one.add(load::run(&ours.target, clients, time, requests(ours)).await?);
    }
    println!("{}", other.row(&format!("Vault, {what}"), clients));
    println!("{}", one.row(&format!("vaultd, {what}"), clients));
    println!("{}", one.times(&other, what, clients));
    Ok(())
}

async fn start(ours: &Vault, program: &Path) -> Result<Vault> {
    let keep = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let (dir, tls) = (keep.path(), ours.dir.join("data/tls"));
    std::fs::create_dir(dir.join("raft"))?;
    let free = || TcpListener::bind("127.0.0.1:0")?.local_addr();
    let (address, cluster) = (free()?, free()?);
    let config = json!({
        "storage": {"raft": {"path": dir.join("raft"), "node_id": "one"}},
        "listener": {"tcp": {
            "address": address.to_string(),
            "cluster_address": cluster.to_string(),
            "tls_cert_file": tls.join("server.pem"),
            "tls_key_file": tls.join("server.key"),
        }},
        "api_addr": format!("https://{address}"),
        "cluster_addr": format!("https://{cluster}"),
        "disable_mlock": true,
        "log_level": "error",
    });
    std::fs::write(dir.join("vault.json"), config.to_string())?;
    let mut process = Command::new(program)
        .arg("server")
        .arg("-config")
        .arg(dir.join("vault.json"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("{PROGRAM}: {}", program.display()))?;
    let target = Target {
        address,
        pid: process.id(),
        ..ours.target.clone()
    };
    listens(&mut process, &target).await?;
    let audit = json!({"type": "file", "options": {"file_path": dir.join("audit.log")}});
    let vault = Vault::prepared(process, target, keep).await?;
    vault
        .call("PUT", "sys/audit/file", vault.root(), &audit)
        .await?;
    Ok(vault)
}

async fn listens(process: &mut Child, target: &Target) -> Result<()> {
    for _ in 0..100 {
        if let Some(status) = process.try_wait()? {
            bail!("the other server ended: {status}");
        }
        if Connection::open(target).await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let _ = process.kill();
    bail!("the other server does not listen")
}
