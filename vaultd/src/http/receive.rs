//! An HTTP request -> a typed request, or the answer that it gets at once.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::sync::OnceLock;
use std::time::Duration;

use http::{HeaderMap, Method, Request as HttpRequest, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use jiff::Timestamp;
use vault_proto::path::{ApiPath, PathError};
use zeroize::Zeroizing;

use super::{json, query, stream};
use crate::core::body::{Body, parse_bool, parse_seconds};
use crate::core::fault::Fault;
use crate::core::request::{Peer, Request, Verb};

pub const BODY_MAX: usize = 32 << 20;
/// Without a token there is nothing to send but a login.
const BODY_MAX_ANONYMOUS: usize = 1 << 20;
const TOKEN_MAX: usize = 8 << 10;

/// What the edge answers without the core.
pub enum Refused {
    Fault(Fault),
    /// To the clean path.
    Moved(StatusCode, String),
    /// 404 for what is not below `/v1/`.
    NotApi,
    /// 400 with an empty list of errors.
    BadList,
}

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Refused {
        Refused::Fault(fault)
    }
}

pub struct Received {
    pub request: Request,
    /// The client wants a stream, behind the event with this id if it has seen one.
    pub follows: Option<Option<String>>,
}

pub async fn receive(
    http: HttpRequest<Incoming>,
    id: String,
    peer: Peer,
    now: Timestamp,
) -> Result<Received, Refused> {
    let (parts, http_body) = http.into_parts();
    let raw = parts.uri.path();
    let Some(raw) = raw.strip_prefix("/v1/") else {
        return Err(Refused::NotApi);
    };
    let mut path = match ApiPath::parse(raw) {
        Ok(path) => path,
        // Encoded ones stay as they are in a redirect, which would lead back here.
        Err(PathError::DoubleSlash) if raw.starts_with('/') || raw.contains("//") => {
            return Err(Refused::Moved(
                moved(&parts.method),
                cleaned(raw, parts.uri.query()),
            ));
        }
        Err(error) => return Err(Fault::invalid(error.to_string()).into()),
    };
    let query_text = parts.uri.query().unwrap_or("");
    let params = query::pairs(query_text)?;
    let wanted = |name: &str| {
        params
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    };
    let (verb, head) = verb(&parts.method, wanted("list"))?;
    if verb == Verb::List && !path.is_folder() {
        path = ApiPath::from_plain(&format!("{}/", path.as_str()))
            .map_err(|error| Fault::invalid(error.to_string()))?;
    }
    let token = presented(&parts.headers)?;
    refuse_namespace(&parts.headers)?;
    let wrap_ttl = wrap_ttl(&parts.headers)?;
    let help = wanted("help").is_some_and(|value| !value.is_empty());

    let mut body = Body::default();
    let content_type = content_type(&parts.headers);
    match verb {
        Verb::Write | Verb::Patch => {
            let bytes = read(http_body, token.is_some()).await?;
            body = parse(&bytes, &content_type, verb, token.is_none())?;
        }
        Verb::Read | Verb::Delete | Verb::List => {
            let rest: Vec<&str> = query_text
                .split('&')
                .filter(|pair| {
                    !pair.is_empty() && !pair.starts_with("help=") && !pair.starts_with("list=")
                })
                .collect();
            query::into_body(&rest.join("&"), &mut body)?;
        }
    }
    let request = Request {
        id,
        verb,
        path,
        body,
        token,
        wrap_ttl,
        remote: peer.address,
        client_chain: peer.chain,
        now,
        help,
        head,
        content_type,
        standing: OnceLock::new(),
    };
    let last = || {
        parts
            .headers
            .get("last-event-id")?
            .to_str()
            .ok()
            .map(str::to_owned)
    };
    Ok(Received {
        follows: stream::is_wanted(&parts.headers, &request).then(last),
        request,
    })
}

/// Clients turn a write into a read after a 301.
fn moved(method: &Method) -> StatusCode {
    match *method {
        Method::GET | Method::HEAD => StatusCode::MOVED_PERMANENTLY,
        _ => StatusCode::TEMPORARY_REDIRECT,
    }
}

fn cleaned(raw: &str, query: Option<&str>) -> String {
    let mut path = String::from("/v1");
    for segment in raw.split('/').filter(|segment| !segment.is_empty()) {
        path.push('/');
        path.push_str(segment);
    }
    if raw.ends_with('/') {
        path.push('/');
    }
    if let Some(query) = query {
        path.push('?');
        path.push_str(query);
    }
    path
}

fn verb(method: &Method, list: Option<&str>) -> Result<(Verb, bool), Refused> {
    let list = match list {
        Some(text) => parse_bool(text).ok_or(Refused::BadList)?,
        None => false,
    };
    Ok(match method.as_str() {
        "GET" if list => (Verb::List, false),
        "GET" => (Verb::Read, false),
        "HEAD" => (Verb::Read, true),
        "POST" | "PUT" => (Verb::Write, false),
        "PATCH" => (Verb::Patch, false),
        "DELETE" => (Verb::Delete, false),
        "LIST" => (Verb::List, false),
        _ => return Err(Fault::Unsupported.into()),
    })
}

fn presented(headers: &HeaderMap) -> Result<Option<Zeroizing<String>>, Fault> {
    let bearer = || {
        headers
            .get(header::AUTHORIZATION)?
            .to_str()
            .ok()?
            .strip_prefix("Bearer ")
    };
    let token = headers
        .get("x-vault-token")
        .and_then(|value| value.to_str().ok())
        .or_else(bearer);
    match token {
        Some(token) if token.len() > TOKEN_MAX => Err(Fault::invalid("the token is too long")),
        Some(token) if !token.trim().is_empty() => {
            Ok(Some(Zeroizing::new(token.trim().to_owned())))
        }
        _ => Ok(None),
    }
}

/// There is one namespace. Another one must not be ignored: the caller means other data.
fn refuse_namespace(headers: &HeaderMap) -> Result<(), Fault> {
    let name = headers
        .get("x-vault-namespace")
        .and_then(|value| value.to_str().ok())
        .unwrap_or("");
    match name.trim_matches('/') {
        "" | "root" => Ok(()),
        _ => Err(Fault::NoRoute(
            "no such namespace: this server has only the root namespace".to_owned(),
        )),
    }
}

fn wrap_ttl(headers: &HeaderMap) -> Result<Option<Duration>, Fault> {
    let Some(value) = headers.get("x-vault-wrap-ttl") else {
        return Ok(None);
    };
    let invalid = || Fault::invalid("X-Vault-Wrap-TTL must be a duration such as 60 or \"5m\"");
    let text = value.to_str().map_err(|_| invalid())?;
    let seconds = parse_seconds(text).ok_or_else(invalid)?;
    Ok((seconds > 0).then(|| Duration::from_secs(seconds)))
}

async fn read(body: Incoming, has_token: bool) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let max = if has_token {
        BODY_MAX
    } else {
        BODY_MAX_ANONYMOUS
    };
    let collected = Limited::new(body, max)
        .collect()
        .await
        .map_err(|error| match error.downcast_ref::<LengthLimitError>() {
            Some(_) => Fault::TooLarge,
            None => Fault::invalid("the request body ended early"),
        })?;
    Ok(Zeroizing::new(collected.to_bytes().to_vec()))
}

fn content_type(headers: &HeaderMap) -> String {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("");
    let kind = kind.split(';').next().unwrap_or("");
    kind.trim().to_ascii_lowercase()
}

fn parse(bytes: &[u8], kind: &str, verb: Verb, anonymous: bool) -> Result<Body, Fault> {
    if verb == Verb::Patch && kind != "application/merge-patch+json" {
        return Err(Fault::MediaType(
            "PATCH requires Content-Type of application/merge-patch+json".to_owned(),
        ));
    }
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    // `curl -d '{...}'` says form and sends JSON.
    if kind == "application/x-www-form-urlencoded" && !matches!(first, None | Some(b'{' | b'[')) {
        let text =
            std::str::from_utf8(bytes).map_err(|_| Fault::invalid("the form is not UTF-8"))?;
        let mut body = Body::default();
        query::into_body(text, &mut body)?;
        return Ok(body);
    }
    // RFC 6960, A.1: DER. It goes on as a field, so that it is recorded like any other.
    if kind == "application/ocsp-request" {
        let mut body = Body::default();
        body.set("request", &STANDARD.encode(bytes).into());
        return Ok(body);
    }
    json::check(bytes, anonymous)?;
    Body::parse(bytes)
}
