//! What has to be asked over the network.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use vault_sdk::Call;

use super::Check;
use crate::duration;
use crate::session::Session;

const LIMIT: Duration = Duration::from_secs(5);
/// Tokens and certificates start to fail when clocks differ by more.
const MAX_SKEW: i64 = 30;

/// Name and port.
pub(super) async fn network(address: &str) -> Vec<Check> {
    let Ok(uri) = address.parse::<http::Uri>() else {
        return Vec::new();
    };
    let Some(host) = uri.host() else {
        return Vec::new();
    };
    let port = uri
        .port_u16()
        .unwrap_or(if uri.scheme_str() == Some("http") {
            80
        } else {
            443
        });
    let name = host.trim_start_matches('[').trim_end_matches(']');
    let found = match timeout(LIMIT, lookup_host((name, port))).await {
        Ok(Ok(found)) => found.collect::<Vec<_>>(),
        _ => {
            return vec![Check::fail(
                "name",
                format!("{host} has no address"),
                "check the host name in VAULT_ADDR and the resolver",
            )];
        }
    };
    let list: Vec<_> = found.iter().map(|a| a.ip().to_string()).collect();
    let mut checks = vec![Check::pass(
        "name",
        format!("{host} is {}", list.join(", ")),
    )];
    for target in found {
        checks.push(connect(target).await);
    }
    checks
}

async fn connect(target: SocketAddr) -> Check {
    let fix = "check that the server runs, its port, and the firewall between";
    match timeout(LIMIT, TcpStream::connect(target)).await {
        Ok(Ok(_)) => Check::pass("port", format!("{target} accepts connections")),
        Ok(Err(e)) => Check::fail("port", format!("{target}: {e}"), fix),
        Err(_) => Check::fail(
            "port",
            format!("{target} does not answer within {} s", LIMIT.as_secs()),
            fix,
        ),
    }
}

/// TLS, state, clock and token.
pub(super) async fn server(session: &Session) -> Vec<Check> {
    let call = Call::get("sys/health")
        .no_token()
        .timeout(LIMIT)
        .accept(&[429, 472, 473, 501, 503]);
    let answer = match session.client.send(call).await {
        Ok(answer) => answer,
        Err(error) => {
            let name = if matches!(error, vault_sdk::Error::Tls { .. }) {
                "tls"
            } else {
                "server"
            };
            return vec![Check::fail(
                name,
                error.to_string(),
                error.hint().unwrap_or("check VAULT_ADDR"),
            )];
        }
    };
    let body = &answer.body;
    let mut checks = Vec::new();
    if session.client.addr().starts_with("https://") {
        checks.push(Check::pass(
            "tls",
            "the server's certificate is trusted and carries its name",
        ));
    }
    checks.push(state(body));
    checks.extend(clock(body));
    if body["sealed"] == false && session.client.token().is_some() {
        checks.push(token(session).await);
    }
    checks
}

fn state(body: &Value) -> Check {
    let version = body["version"].as_str().unwrap_or("unknown");
    match (body["initialized"].as_bool(), body["sealed"].as_bool()) {
        (Some(false), _) => Check::fail(
            "server",
            format!("version {version}, not initialised"),
            "vaultctl operator init",
        ),
        (_, Some(true)) => Check::fail(
            "server",
            format!("version {version}, sealed"),
            "vaultctl operator unseal",
        ),
        (_, Some(false)) => Check::pass("server", format!("version {version}, unsealed")),
        _ => Check::fail(
            "server",
            "what answers there does not speak this protocol",
            "check VAULT_ADDR",
        ),
    }
}

fn clock(body: &Value) -> Option<Check> {
    let there = body["server_time_utc"].as_i64()?;
    let skew = jiff::Timestamp::now().as_second() - there;
    Some(if skew.abs() > MAX_SKEW {
        Check::warn(
            "clock",
            format!("this clock and the server's differ by {} s", skew.abs()),
            "set both by NTP",
        )
    } else {
        Check::pass("clock", "agrees with the server's")
    })
}

async fn token(session: &Session) -> Check {
    let answer = match session
        .client
        .send(Call::get("auth/token/lookup-self").timeout(LIMIT))
        .await
    {
        Ok(answer) => answer,
        Err(error) => {
            return Check::fail(
                "token",
                error.to_string(),
                error.hint().unwrap_or("log in again: vaultctl login"),
            );
        }
    };
    let data = answer.data();
    let policies = super::super::raw::strings(&data["policies"]);
    let ttl = data["ttl"].as_u64().unwrap_or(0);
    if policies.iter().any(|p| p == "root") {
        return Check::warn(
            "token",
            "it is a root token: it may do anything and every slip counts",
            "log in with a smaller one",
        );
    }
    let life = if ttl == 0 {
        "no end".to_owned()
    } else {
        duration::show(ttl)
    };
    let text = format!("policies {}; time left: {life}", policies.join(", "));
    if ttl > 0 && ttl < 600 {
        return Check::warn("token", text, "vaultctl token renew, or log in again");
    }
    Check::pass("token", text)
}
