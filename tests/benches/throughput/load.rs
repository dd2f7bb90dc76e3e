//! A closed loop: every client sends its next request when it has its answer, on one kept connection.
//!
//! HTTP is written and read by hand, as little of it as a benchmark needs: what the load costs is
//! taken from the servers' cores.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use vault_tests::process::cpu_of;

/// A server and how to reach it.
#[derive(Clone)]
pub struct Target {
    pub address: SocketAddr,
    pub tls: Arc<rustls::ClientConfig>,
    pub pid: u32,
}

pub struct Connection {
    stream: TlsStream<TcpStream>,
    answer: Vec<u8>,
    head: usize,
}

impl Connection {
    pub async fn open(target: &Target) -> Result<Connection> {
        let stream = TcpStream::connect(target.address).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from("localhost")?;
        let stream = TlsConnector::from(Arc::clone(&target.tls))
            .connect(name, stream)
            .await?;
        Ok(Connection {
            stream,
            answer: Vec::with_capacity(16 << 10),
            head: 0,
        })
    }

    /// One request, one answer; its status.
    pub async fn exchange(&mut self, request: &[u8]) -> Result<u16> {
        self.stream.write_all(request).await?;
        self.stream.flush().await?;
        self.answer.clear();
        loop {
            if self.stream.read_buf(&mut self.answer).await? == 0 {
                bail!("the server closed the connection");
            }
            let Some(head) = self.answer.windows(4).position(|end| end == b"\r\n\r\n") else {
                continue;
            };
            self.head = head + 4;
            let text = std::str::from_utf8(&self.answer[..head])?;
            let status: u16 = text.get(9..12).context("no status")?.parse()?;
            let length = text
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            let whole = self.head + length.map_or(Ok(0), str::parse::<usize>)?;
            while self.answer.len() < whole {
                if self.stream.read_buf(&mut self.answer).await? == 0 {
                    bail!("the answer ended early");
                }
            }
            return Ok(status);
        }
    }

    pub fn body(&self) -> &[u8] {
        &self.answer[self.head..]
    }
}

/// What one round measured.
pub struct Round {
    pub per_second: f64,
    pub p50: Duration,
    pub p99: Duration,
    /// CPU time that the server took for one request; zero if it is not known.
    pub cpu: Duration,
}

impl Round {
    pub fn new(mut latencies: Vec<Duration>, time: Duration, cpu: Duration) -> Result<Round> {
        latencies.sort_unstable();
        let count = latencies.len();
        let rank = |percent: usize| {
            latencies
                .get(count * percent / 100)
                .copied()
                .context("no request was finished")
        };
        Ok(Round {
            per_second: count as f64 / time.as_secs_f64(),
            p50: rank(50)?,
            p99: rank(99)?,
            cpu: cpu / u32::try_from(count)?,
        })
    }
}

/// A small generator (xorshift): which secret is next needs no more.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % sides
    }
}

/// Runs `clients` at once for `time`. `next` writes a request into an empty buffer.
pub async fn run(
    target: &Target,
    clients: usize,
    time: Duration,
    next: impl Fn(&mut Dice, &mut Vec<u8>) + Clone + Send + 'static,
) -> Result<Round> {
    let mut connections = Vec::with_capacity(clients);
    for _ in 0..clients {
        connections.push(Connection::open(target).await?);
    }
    let cpu = cpu_of(target.pid);
    let start = Instant::now();
    let mut running = JoinSet::new();
    for connection in connections {
        let dice = Dice::new(u64::from(seed()));
        running.spawn(client(connection, dice, start + time, next.clone()));
    }
    let mut latencies = Vec::new();
    while let Some(done) = running.join_next().await {
        latencies.append(&mut done??);
    }
    Round::new(
        latencies,
        start.elapsed(),
        cpu_of(target.pid).saturating_sub(cpu),
    )
}

async fn client(
    mut connection: Connection,
    mut dice: Dice,
    until: Instant,
    next: impl Fn(&mut Dice, &mut Vec<u8>),
) -> Result<Vec<Duration>> {
    let mut latencies = Vec::with_capacity(1 << 14);
    let mut request = Vec::with_capacity(4 << 10);
    let mut now = Instant::now();
    while now < until {
        request.clear();
        next(&mut dice, &mut request);
        let status = connection.exchange(&request).await?;
        if !(200..300).contains(&status) {
            bail!(
                "status {status}: {}",
                String::from_utf8_lossy(connection.body())
            );
        }
        let then = std::mem::replace(&mut now, Instant::now());
        latencies.push(now - then);
    }
    Ok(latencies)
}

fn seed() -> u32 {
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(1);
    NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}
