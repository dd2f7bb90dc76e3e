//! Requests per second of a real `vaultd`, against two references in the same run.
//!
//! Reads (KV v2) are compared with a static JSON answer of the same size by axum over TLS; writes with
//! the rate at which as many writers get the same rows through a group-committing SQLite writer on
//! the same file system. vaultd runs as shipped: release build, own TLS, file audit on, a service
//! token with five policies. Servers are processes of their own; the load shares the cores with
//! them, so ratios travel between machines and absolute figures do not. A and B alternate in short
//! rounds; figures are medians, ratios are medians of the ratios of neighbouring rounds.
//!
//! `cargo bench -p vault-tests --bench throughput [-- reads|writes|logins|lists|rules|ssh|pki|vault ...]`.
//! `VAULTD_BENCH_SECONDS` is the length of a round (default 2), `VAULTD_BENCH_BIN` another vaultd.
//! `VAULTD_BENCH_VAULT` is the program of a real Vault, which is then compared too.

mod certificates;
mod claims;
mod fixed;
mod issuing;
mod load;
mod other;
mod raw;
mod report;
mod vault;

use std::time::Duration;

use anyhow::{Context, Result};

use load::{Round, Target};
use report::Series;
use vault::Vault;

const ROUNDS: usize = 5;
const CLIENTS: [usize; 3] = [1, 16, 64];

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.first().map(String::as_str) {
        Some(fixed::COMMAND) => return fixed::serve(&args[1..]),
        _ if args.iter().any(|arg| arg == "--bench") => {}
        _ => {
            println!("run this with `cargo bench -p vault-tests --bench throughput`");
            return Ok(());
        }
    }
    let seconds = match std::env::var("VAULTD_BENCH_SECONDS") {
        Ok(text) => text
            .parse()
            .context("VAULTD_BENCH_SECONDS: expected seconds, such as 0.5")?,
        Err(_) => 2.0,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(bench(Duration::from_secs_f64(seconds), &args))
}

async fn bench(time: Duration, args: &[String]) -> Result<()> {
    let named: Vec<&str> = args
        .iter()
        .map(String::as_str)
        .filter(|arg| !arg.starts_with("--"))
        .collect();
    let wanted = |part: &str| named.is_empty() || named.contains(&part);
    let vault = Vault::start().await?;
    let fixed = fixed::Fixed::start(&vault)?;
    println!(
        "{} rounds of {time:?} each, alternating; secrets of {} B, answers of {} B",
        ROUNDS,
        vault::SECRET_BYTES,
        vault.answer.len()
    );
    println!("{}", report::HEADING);
    if wanted("reads") {
        for clients in CLIENTS {
            reads(&vault, &fixed.target, clients, time).await?;
        }
    }
    if wanted("lists") {
        claims::lists(&vault, time).await?;
    }
    if wanted("rules") {
        claims::rules(&vault, time).await?;
    }
    if wanted("pki") {
        issuing::issuing(&vault, time).await?;
    }
    if wanted("ssh") {
        certificates::certificates(&vault, time).await?;
    }
    if let Some(program) = std::env::var_os(other::PROGRAM)
        && wanted("vault")
    {
        other::compare(&vault, program.as_ref(), time).await?;
    }
    if !wanted("writes") && !wanted("logins") {
        return Ok(());
    }
    let shape = raw::Shape::measure(&vault).await?;
    let mut plain_writes = 0.0;
    for clients in CLIENTS {
        plain_writes = writes(&vault, &shape, clients, time).await?;
    }
    if wanted("logins") {
        logins(&vault, plain_writes, time).await?;
    }
    println!("\n{shape}");
    Ok(())
}

async fn reads(vault: &Vault, fixed: &Target, clients: usize, time: Duration) -> Result<()> {
    let (mut ours, mut theirs) = (Series::default(), Series::default());
    for _ in 0..ROUNDS {
        theirs.add(load::run(fixed, clients, time, vault.reads()).await?);
        ours.add(load::run(&vault.target, clients, time, vault.reads()).await?);
    }
    println!("{}", theirs.row("static JSON over TLS", clients));
    println!("{}", ours.row("KV v2 read", clients));
    println!("{}", ours.ratio(&theirs, "READ RATIO", clients, 0.6));
    Ok(())
}

async fn writes(vault: &Vault, shape: &raw::Shape, clients: usize, time: Duration) -> Result<f64> {
    let (mut ours, mut theirs) = (Series::default(), Series::default());
    for _ in 0..ROUNDS {
        theirs.add(raw::run(&vault.dir, shape, clients, time).await?);
        ours.add(load::run(&vault.target, clients, time, vault.writes()).await?);
    }
    println!("{}", theirs.row("the same rows, raw SQLite", clients));
    println!("{}", ours.row("KV v2 write, durable", clients));
    println!("{}", ours.ratio(&theirs, "WRITE RATIO", clients, 0.5));
    Ok(ours.per_second())
}

async fn logins(vault: &Vault, plain_writes: f64, time: Duration) -> Result<()> {
    let mut logins = Series::default();
    for _ in 0..ROUNDS {
        logins.add(load::run(&vault.target, 64, time, vault.logins()).await?);
    }
    println!("{}", logins.row("AppRole login", 64));
    println!(
        "LOGIN RATIO  64 clients: {:.2} of KV v2 writes",
        logins.per_second() / plain_writes
    );
    Ok(())
}
