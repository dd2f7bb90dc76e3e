//! `login --method oidc`: a browser goes to the provider and comes back to a port on this machine.
//!
//! Promises: listens on loopback only, takes one answer whose state is the one that was given out,
//! and binds the login to this process by a nonce of its own (RFC 8252, 8.1).

use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use vault_sdk::Call;

use super::device;
use crate::error::{Outcome, local, remote};
use crate::session::Session;

const PORT: u16 = 8250;
/// As long as the server remembers the login.
const PATIENCE: Duration = Duration::from_secs(300);
const HEAD_MAX: usize = 16 << 10;

/// `fields` may hold `role`, `port` and `skip_browser`.
pub(super) async fn log_in(
    session: &Session,
    mount: &str,
    fields: &Map<String, Value>,
) -> Outcome<Value> {
    let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
    let port = match text("port") {
        "" => PORT,
        port => port
            .parse()
            .map_err(|_| local("port is not a port number", "use port=8250"))?,
    };
    let listener = TcpListener::bind(("127.0.0.1", port)).await.map_err(|cause| {
        local(
            format!("cannot listen on port {port}: {cause}"),
            "use port=NUMBER with a free one; the role must allow http://localhost:NUMBER/oidc/callback",
        )
    })?;
    let client_nonce = vault_crypto::random_base62(32, &vault_crypto::System);
    let ask = json!({
        "role": text("role"),
        "redirect_uri": format!("http://localhost:{port}/oidc/callback"),
        "client_nonce": client_nonce.as_str(),
    });
    let call = Call::post(format!("auth/{mount}/oidc/auth_url"), ask).no_token();
    let answer = session.send(call).await?;
    if device::is_begun(answer.data()) {
        return device::finish(session, mount, answer.data(), &client_nonce).await;
    }
    let url = answer.data()["auth_url"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    if url.is_empty() {
        return Err(remote(
            "the server gave no URL to log in at",
            "check the role's allowed_redirect_uris",
        ));
    }
    anstream::eprintln!(
        "Complete the login with your provider, in this browser or another one on this machine:\n\n    {}\n",
        crate::output::clean(&url)
    );
    if text("skip_browser") != "true" {
        open(&url);
    }
    let state = query(&url, "state").unwrap_or_default();
    let waited = tokio::time::timeout(PATIENCE, wait(&listener, &state)).await;
    let (mut stream, code) = waited.map_err(|_| {
        remote(
            "nobody came back from the provider within five minutes",
            "log in again",
        )
    })??;
    let call = Call::get(format!("auth/{mount}/oidc/callback"))
        .query("state", &state)
        .query("code", &code)
        .query("client_nonce", client_nonce.as_str())
        .no_token();
    let outcome = session.send(call).await;
    let said = match &outcome {
        Ok(_) => "You are logged in. This page can be closed.",
        Err(_) => "The login failed. The terminal says why.",
    };
    say(&mut stream, "200 OK", said).await;
    Ok(outcome?.body)
}

/// The person may as well copy the URL: failing here is no failure.
fn open(url: &str) {
    let program = crate::session::setting("BROWSER").unwrap_or_else(|| "xdg-open".to_owned());
    let _ = Command::new(program)
        .arg(url)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
}

/// Waits for the browser that brings the state back, and answers all others.
async fn wait(listener: &TcpListener, state: &str) -> Outcome<(TcpStream, String)> {
    loop {
        let Ok((mut stream, _)) = listener.accept().await else {
            continue;
        };
        let target = match tokio::time::timeout(Duration::from_secs(10), target(&mut stream)).await
        {
            Ok(Some(target)) => target,
            _ => continue,
        };
        if !target.starts_with("/oidc/callback?")
            || query(&target, "state").as_deref() != Some(state)
        {
            say(
                &mut stream,
                "404 Not Found",
                "This is not the login that is waited for.",
            )
            .await;
            continue;
        }
        match query(&target, "code") {
            Some(code) if !code.is_empty() => return Ok((stream, code)),
            _ => {
                say(&mut stream, "200 OK", "The provider did not log you in.").await;
                return Err(remote(
                    "the provider did not log you in",
                    "log in again, or ask the provider's administrator",
                ));
            }
        }
    }
}

/// Path and query of a GET.
async fn target(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    while !bytes.windows(4).any(|window| window == b"\r\n\r\n") {
        let mut chunk = [0; 2048];
        let read = stream.read(&mut chunk).await.ok()?;
        if read == 0 || bytes.len() + read > HEAD_MAX {
            return None;
        }
        bytes.extend_from_slice(&chunk[..read]);
    }
    let head = std::str::from_utf8(&bytes).ok()?;
    let target = head.strip_prefix("GET ")?.split(' ').next()?;
    Some(target.to_owned())
}

async fn say(stream: &mut TcpStream, status: &str, text: &str) {
    let page = format!("<!doctype html><meta charset=utf-8><title>vaultctl</title><p>{text}\n");
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{page}",
        page.len()
    );
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}

/// A field of a URL's query, unescaped.
fn query(url: &str, name: &str) -> Option<String> {
    let (_, query) = url.split_once('?')?;
    let found = query
        .split('&')
        .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
    let mut out = Vec::new();
    let mut rest = found.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match (first, after.get(..2)) {
            (b'%', Some(digits)) => {
                out.push(*hex::decode(digits).ok()?.first()?);
                rest = &after[2..];
            }
            (b'+', _) => out.push(b' '),
            (byte, _) => out.push(*byte),
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_a_query_are_unescaped() {
        let url = "/oidc/callback?code=a%2Fb+c&state=x.y&empty=&codex=no";
        let field = |name| query(url, name);
        assert_eq!(field("code").as_deref(), Some("a/b c"));
        assert_eq!(field("state").as_deref(), Some("x.y"));
        assert_eq!(field("empty").as_deref(), Some(""));
        assert_eq!(field("missing"), None);
        assert_eq!(query("/x?a=%zz", "a"), None);
        assert_eq!(query("/x?a=%ff", "a"), None);
    }
}
