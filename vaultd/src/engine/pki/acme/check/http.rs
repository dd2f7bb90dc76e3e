//! http-01 (RFC 8555, 8.3): a file on the host, over redirects too. Each step is resolved and checked
//! like the first one.

use bytes::Bytes;
use http::header::{ACCEPT, HOST, LOCATION, USER_AGENT};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;

use super::{Check, Failed, incorrect, tls};
use crate::engine::pki::acme::identifier::Identifier;
use crate::engine::pki::acme::problem::{Kind, Problem};
use crate::outbound::Url;

const REDIRECTS: usize = 10;
/// Bytes of the file: a key authorization has 87.
const LONGEST: usize = 4 << 10;
/// Bytes of the head of an answer.
const HEAD: usize = 16 << 10;

pub(super) async fn check(check: &Check) -> Result<(), Failed> {
    let mut url = first(check)?;
    for _ in 0..=REDIRECTS {
        match get(check, &url).await? {
            Got::File(bytes) => {
                let file = bytes.trim_ascii_end();
                return match file == check.key_authorization.as_bytes() {
                    true => Ok(()),
                    false => Err(incorrect(
                        "the file is not the token, a dot and the thumbprint of the account's key",
                    )),
                };
            }
            Got::Redirect(to) => url = next(check, &url, &to)?,
        }
    }
    Err(forbidden("too many redirects"))
}

fn connection(text: &str) -> Failed {
    Problem::new(Kind::Connection, text).into()
}

/// A redirect that is not followed, however often it is tried.
fn forbidden(text: &str) -> Failed {
    Failed {
        again: false,
        ..incorrect(text)
    }
}

fn first(check: &Check) -> Result<Url, Failed> {
    let host = match &check.identifier {
        Identifier::Ip(address) if address.is_ipv6() => format!("[{address}]"),
        other => other.text(),
    };
    let port = match check.http_port {
        80 => String::new(),
        port => format!(":{port}"),
    };
    let path = format!(".well-known/acme-challenge/{}", check.token);
    let url = Url::parse(&format!("http://{host}{port}/{path}"));
    url.map_err(|_| connection("the identifier is no host of a URL"))
}

/// Where a redirect leads, if that may be followed.
fn next(check: &Check, from: &Url, to: &str) -> Result<Url, Failed> {
    let refused = || forbidden("a redirect leads to something else than http or https");
    let scheme = if from.is_tls() { "https" } else { "http" };
    let absolute = match to {
        to if to.starts_with("//") => format!("{scheme}:{to}"),
        to if to.starts_with('/') => format!("{scheme}://{}{to}", from.authority()),
        to => to.to_owned(),
    };
    let url = Url::parse(&absolute).map_err(|_| refused())?;
    let ports = [80, 443, check.http_port, check.tls_port];
    match ports.contains(&url.port()) {
        true => Ok(url),
        false => Err(forbidden("a redirect leads to a port that is not followed")),
    }
}

enum Got {
    File(Vec<u8>),
    Redirect(String),
}

async fn get(check: &Check, url: &Url) -> Result<Got, Failed> {
    let stream = check.guarded.connect(url.bare_host(), url.port()).await?;
    match url.is_tls() {
        false => talk(stream, url).await,
        // Whose certificate that is was never promised: the first step had none.
        true => {
            let stream = tls::connect(stream, url.bare_host(), tls::HTTP).await?;
            talk(stream, url).await
        }
    }
}

async fn talk<S>(stream: S, url: &Url) -> Result<Got, Failed>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let broken = |_| connection("the host does not speak HTTP");
    let (mut sender, connection_task) = http1::Builder::new()
        .max_buf_size(HEAD)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    // Ends with this function.
    let mut driver = JoinSet::new();
    driver.spawn(connection_task);
    let request = http::Request::get(url.target())
        .header(HOST, url.authority())
        .header(ACCEPT, "*/*")
        .header(
            USER_AGENT,
            concat!("vaultd/", env!("CARGO_PKG_VERSION"), " (ACME http-01)"),
        )
        .body(Empty::<Bytes>::new())
        .map_err(|_| connection("the identifier is no host of a URL"))?;
    let answer = sender.send_request(request).await.map_err(broken)?;
    match answer.status().as_u16() {
        200 => {
            let body = Limited::new(answer.into_body(), LONGEST).collect().await;
            let body = body.map_err(|_| incorrect("the file is longer than the expected one"))?;
            Ok(Got::File(body.to_bytes().to_vec()))
        }
        301 | 302 | 303 | 307 | 308 => {
            let to = answer.headers().get(LOCATION);
            let to = to.and_then(|to| to.to_str().ok());
            let to = to.ok_or_else(|| incorrect("a redirect leads nowhere"))?;
            Ok(Got::Redirect(to.to_owned()))
        }
        status => Err(incorrect(&format!(
            "the host answered with status {status}"
        ))),
    }
}
