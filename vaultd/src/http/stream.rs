//! Server-sent events (HTML Standard, 9.2): a long poll after the other over one connection. Each of
//! them goes through the whole pipeline as a request of its own, so that a stream ends when its token
//! does; and the next one begins when the client has taken the last answer, so that nothing queues.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::unfold;
use http::{HeaderValue, Response, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Either, Full, StreamBody};
use hyper::body::Frame;
use serde_json::{Map, Value, json};
use vault_proto::path::ApiPath;
use zeroize::Zeroizing;

use super::respond::respond;
use crate::core::Core;
use crate::core::body::Body;
use crate::core::fault::Fault;
use crate::core::reply::Data;
use crate::core::request::{Request, Verb};

/// An answer whose body may go on.
pub type Sent = Response<Either<Full<Bytes>, UnsyncBoxBody<Bytes, Infallible>>>;

/// Seconds between signs of life.
const WAIT: u64 = 15;

/// What every poll of one stream has in common. Holds the token: not `Debug`.
struct Follow {
    core: Arc<Core>,
    path: ApiPath,
    prefix: Option<Value>,
    token: Option<Zeroizing<String>>,
    remote: IpAddr,
    cursor: String,
}

/// Whether a request asks for a stream of something that streams.
pub fn is_wanted(headers: &http::HeaderMap, request: &Request) -> bool {
    let accepts = headers
        .get(header::ACCEPT)
        .and_then(|kinds| kinds.to_str().ok())
        .is_some_and(|kinds| kinds.contains("text/event-stream"));
    accepts
        && request.verb == Verb::Read
        && request.path.as_str().starts_with("sys/events/subscribe/")
}

/// `last` is the id of the last event that the client has seen.
pub async fn serve(core: Arc<Core>, request: Request, last: Option<String>) -> Sent {
    let given = |name: &str| request.body.value(name);
    let cursor = last.or_else(|| given("cursor")?.as_str().map(str::to_owned));
    let mut follow = Follow {
        prefix: given("prefix"),
        cursor: cursor.unwrap_or_default(),
        path: request.path,
        token: request.token,
        remote: request.remote,
        core,
    };
    let given = follow.cursor.clone();
    let first = match follow.poll(request.id.clone(), 0).await {
        Ok(text) => text,
        Err(fault) => return respond(Err(fault), &request.id, false).map(Either::Left),
    };
    // Whoever loses the connection before the events goes on from before them.
    let id = if given.is_empty() {
        &follow.cursor
    } else {
        &given
    };
    let start = format!("id: {id}\nevent: cursor\ndata: {{}}\n\n{first}");
    let chunks = unfold((Some(follow), Some(start)), |(follow, ready)| async move {
        let mut follow = follow?;
        if let Some(text) = ready {
            return Some((frame(text), (Some(follow), None)));
        }
        let id = vault_crypto::uuid_v4(&follow.core.ids);
        match follow.poll(id, WAIT).await {
            Ok(text) => Some((frame(text), (Some(follow), None))),
            Err(fault) => Some((frame(last_words(&fault)), (None, None))),
        }
    });
    let mut response = Response::new(Either::Right(StreamBody::new(chunks).boxed_unsync()));
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/event-stream"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn frame(text: String) -> Result<Frame<Bytes>, Infallible> {
    Ok(Frame::data(Bytes::from(text)))
}

/// A stream that only ends looks like a broken connection, and would be opened again.
fn last_words(fault: &Fault) -> String {
    let event = match fault {
        Fault::Gone(_) => "resync",
        _ => "end",
    };
    let data = json!({"errors": [fault.to_string()]});
    format!("event: {event}\ndata: {data}\n\n")
}

impl Follow {
    /// The next events as text; a comment if there are none.
    async fn poll(&mut self, id: String, wait: u64) -> Result<String, Fault> {
        let mut body = Body::default();
        body.set("cursor", &self.cursor.as_str().into());
        body.set("wait", &wait.into());
        if let Some(prefix) = &self.prefix {
            body.set("prefix", prefix);
        }
        let request = Request {
            id,
            verb: Verb::Read,
            path: self.path.clone(),
            body,
            token: self.token.clone(),
            wrap_ttl: None,
            remote: self.remote,
            client_chain: None,
            now: (self.core.clock)(),
            help: false,
            head: false,
            content_type: String::new(),
            standing: Default::default(),
        };
        let reply = self.core.handle(&request).await?;
        let Data::Map(data) = reply.data else {
            return Err(Fault::Internal("a stream of something else"));
        };
        self.cursor = text(&data, "cursor");
        let events = data.get("events").and_then(Value::as_array);
        let told: String = events
            .into_iter()
            .flatten()
            .filter_map(Value::as_object)
            .map(|event| {
                format!(
                    "id: {}\nevent: change\ndata: {}\n\n",
                    text(event, "cursor"),
                    json!(event)
                )
            })
            .collect();
        Ok(match told.is_empty() {
            true => ": nothing new\n\n".to_owned(),
            false => told,
        })
    }
}

fn text(map: &Map<String, Value>, name: &str) -> String {
    let text = map.get(name).and_then(Value::as_str);
    text.unwrap_or_default().to_owned()
}
