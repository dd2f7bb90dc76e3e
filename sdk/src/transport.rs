//! One HTTP exchange: a call becomes bytes, bytes become an answer.
//! Decides nothing about retries or logins.

use std::error::Error as StdError;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use serde_json::Value;
use vault_proto::{ApiPath, Errors};
use zeroize::Zeroizing;

use crate::tls::{Trust, client_config};
use crate::{Answer, Call, Error, Secret};

/// The server's own limit is 32 MiB; listings are far below.
const LARGEST_ANSWER: usize = 64 << 20;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

type Hyper = hyper_util::client::legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

pub(crate) struct Transport {
    http: Hyper,
    addr: String,
    user_agent: HeaderValue,
}

/// A call that was checked and encoded, ready to be sent many times.
pub(crate) struct Encoded {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
    /// In plain text, for errors.
    pub(crate) path: String,
    accepted: Vec<u16>,
}

impl Encoded {
    /// Reads an address that is not of the API, with one header that its server asks for.
    pub(crate) fn get(url: &str, name: &'static str, value: &Secret) -> Result<Self, Error> {
        let wrong = |_| Error::Config("this is no URL that can be asked".into());
        let uri: Uri = url.parse().map_err(wrong)?;
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        insert(&mut headers, name, value.expose())?;
        if let Some(value) = headers.get_mut(name) {
            value.set_sensitive(true);
        }
        Ok(Self {
            method: Method::GET,
            path: uri.host().unwrap_or_default().to_owned(),
            uri,
            headers,
            body: Bytes::new(),
            accepted: Vec::new(),
        })
    }
}

impl Transport {
    pub(crate) fn new(
        addr: String,
        tls: ClientConfig,
        server_name: Option<ServerName<'static>>,
        user_agent: HeaderValue,
    ) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http();
        let https = match server_name {
            Some(name) => https.with_server_name_resolver(FixedServerNameResolver::new(name)),
            None => https,
        };
        let http = hyper_util::client::legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(60))
            .build(https.enable_http1().wrap_connector(tcp));
        Self {
            http,
            addr,
            user_agent,
        }
    }

    /// To another server than the API's; `name` is what errors call it.
    pub(crate) fn elsewhere(name: &str) -> Result<Self, Error> {
        let agent = HeaderValue::from_static(concat!("vault-sdk/", env!("CARGO_PKG_VERSION")));
        let tls = client_config(Trust::System, None)?;
        Ok(Self::new(name.to_owned(), tls, None, agent))
    }

    pub(crate) fn addr(&self) -> &str {
        &self.addr
    }

    pub(crate) fn encode(&self, call: &Call, namespace: Option<&str>) -> Result<Encoded, Error> {
        let path = ApiPath::from_plain(&call.path)?;
        let mut target = format!("{}/v1/{}", self.addr, path.encode());
        for (index, (key, value)) in call.query.iter().enumerate() {
            target.push(if index == 0 { '?' } else { '&' });
            target.push_str(&encode_query(key));
            target.push('=');
            target.push_str(&encode_query(value));
        }
        let uri = target
            .parse()
            .map_err(|_| Error::Config("the address and path do not form a URL".into()))?;

        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, self.user_agent.clone());
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert("x-vault-request", HeaderValue::from_static("true"));
        if let Some(namespace) = call.namespace.as_deref().or(namespace) {
            insert(&mut headers, "x-vault-namespace", namespace)?;
        }
        let body = match &call.body {
            None => Bytes::new(),
            Some(body) => {
                let kind = if call.method == Method::PATCH {
                    "application/merge-patch+json"
                } else {
                    "application/json"
                };
                headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
                let mut json = Zeroizing::new(Vec::new());
                serde_json::to_writer(&mut *json, &**body)
                    .map_err(|_| Error::Config("the body cannot be written as JSON".into()))?;
                Bytes::from_owner(json)
            }
        };
        for (name, value) in &call.headers {
            insert(&mut headers, name, value)?;
        }
        Ok(Encoded {
            method: call.method.clone(),
            uri,
            headers,
            body,
            path: path.as_str().to_owned(),
            accepted: call.accepted.clone(),
        })
    }

    /// One attempt, without a deadline of its own.
    pub(crate) async fn exchange(
        &self,
        call: &Encoded,
        token: Option<&Secret>,
    ) -> Result<Answer, Error> {
        let mut request = Request::new(Full::new(call.body.clone()));
        *request.method_mut() = call.method.clone();
        *request.uri_mut() = call.uri.clone();
        *request.headers_mut() = call.headers.clone();
        if let Some(token) = token {
            let mut value = HeaderValue::from_str(token.expose()).map_err(|_| {
                Error::Config("the token holds characters that no token has; set it again".into())
            })?;
            value.set_sensitive(true);
            request.headers_mut().insert("x-vault-token", value);
        }
        let response = self
            .http
            .request(request)
            .await
            .map_err(|failure| self.connection_error(&failure))?;
        let (head, body) = response.into_parts();
        let bytes = self.read(Limited::new(body, LARGEST_ANSWER)).await?;
        answer(call, head.status.as_u16(), head.headers, &bytes)
    }

    async fn read<B>(&self, mut body: B) -> Result<Zeroizing<Vec<u8>>, Error>
    where
        B: hyper::body::Body<Data = Bytes, Error = Box<dyn StdError + Send + Sync>> + Unpin,
    {
        // Sized once, so that growing leaves no copies behind.
        let expected = body.size_hint().exact().unwrap_or(8 << 10);
        let capacity = usize::try_from(expected).unwrap_or(LARGEST_ANSWER);
        let mut bytes = Zeroizing::new(Vec::with_capacity(capacity.min(LARGEST_ANSWER)));
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|cause| Error::Broken {
                addr: self.addr.clone(),
                cause: cause.to_string(),
            })?;
            if let Ok(data) = frame.into_data() {
                bytes.extend_from_slice(&data);
            }
        }
        Ok(bytes)
    }

    fn connection_error(&self, failure: &hyper_util::client::legacy::Error) -> Error {
        let addr = self.addr.clone();
        if let Some(tls) = find_tls(failure) {
            return Error::Tls {
                addr,
                cause: tls.to_string(),
            };
        }
        let cause = innermost(failure);
        if failure.is_connect() {
            Error::Connect { addr, cause }
        } else {
            Error::Broken { addr, cause }
        }
    }
}

fn answer(call: &Encoded, status: u16, headers: HeaderMap, bytes: &[u8]) -> Result<Answer, Error> {
    let wanted = status < 400 || call.accepted.contains(&status);
    if wanted && !(300..400).contains(&status) {
        return Ok(Answer {
            status,
            body: decode(call, &headers, bytes)?,
            headers,
        });
    }
    let body: Value = serde_json::from_slice(bytes).unwrap_or_default();
    Err(refusal(call, status, &headers, &body))
}

fn decode(call: &Encoded, headers: &HeaderMap, bytes: &[u8]) -> Result<Value, Error> {
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    let wrong = |cause: &str| Error::Decode {
        path: call.path.clone(),
        cause: cause.to_owned(),
    };
    let json = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .is_some_and(|kind| kind.contains("json"));
    if json {
        // serde's own text may quote the content.
        return serde_json::from_slice(bytes).map_err(|_| wrong("it is not valid JSON"));
    }
    std::str::from_utf8(bytes)
        .map(Value::from)
        .map_err(|_| wrong("it is neither JSON nor text"))
}

fn refusal(call: &Encoded, status: u16, headers: &HeaderMap, body: &Value) -> Error {
    let path = call.path.clone();
    let errors = serde_json::from_value::<Errors>(body.clone())
        .unwrap_or_default()
        .errors;
    let says = |text: &str| errors.iter().any(|error| error.contains(text));
    match status {
        400 if says("check-and-set parameter did not match") => Error::CasMismatch,
        400 if says("not yet initialized") || says("is not initialized") => Error::Uninitialized,
        // An unknown token gets exactly this; a denial by policy is longer.
        403 if says("invalid token")
            || says("missing client token")
            || errors.iter().any(|error| error == "permission denied") =>
        {
            Error::InvalidToken { path }
        }
        // That is said of the token that the caller asked about, not of the caller.
        403 if !says("bad token") => Error::Denied {
            path,
            errors,
            request_id: headers
                .get("x-vault-request-id")
                .and_then(|id| id.to_str().ok())
                .map(str::to_owned),
        },
        404 if errors.is_empty() => Error::NotFound { path },
        429 if path != "sys/health" => Error::RateLimited {
            after: retry_after(headers),
        },
        501 if path == "sys/health" => Error::Uninitialized,
        503 if says("sealed") || body.get("sealed") == Some(&Value::Bool(true)) => Error::Sealed,
        _ => Error::Api {
            status,
            errors,
            path,
            request_id: body
                .get("request_id")
                .and_then(Value::as_str)
                .map(str::to_owned),
        },
    }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

fn insert(headers: &mut HeaderMap, name: &str, value: &str) -> Result<(), Error> {
    let wrong = || {
        Error::Config(format!(
            "the header {name} holds characters that a header cannot"
        ))
    };
    let value = HeaderValue::from_str(value).map_err(|_| wrong())?;
    let name = HeaderName::try_from(name)
        .map_err(|_| Error::Config("a header has an invalid name".into()))?;
    headers.insert(name, value);
    Ok(())
}

pub(crate) fn encode_query(text: &str) -> String {
    let mut url = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            url.push(char::from(byte));
        } else {
            url.push_str(&format!("%{byte:02X}"));
        }
    }
    url
}

/// `io::Error` hides what it wraps from `source`, so both are searched.
fn find_tls<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    let mut next: Option<&'a (dyn StdError + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return Some(tls);
        }
        next = match error
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref)
        {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

fn innermost(error: &dyn StdError) -> String {
    let mut last: &dyn StdError = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    last.to_string()
}
