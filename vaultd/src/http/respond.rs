//! An outcome -> an HTTP response.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use serde_json::json;

use super::receive::Refused;
use crate::core::envelope::{self, status_of};
use crate::core::fault::Fault;
use crate::core::quota::Standing;
use crate::core::reply::Reply;
use crate::engine::kv2;

pub type Answer = Response<Full<Bytes>>;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

pub fn respond(mut outcome: Result<Reply, Fault>, request_id: &str, head: bool) -> Answer {
    let status = status_of(&outcome);
    // A load balancer may ask for 204, which has no body.
    let head = head || status == 204;
    let mut headers = Vec::new();
    if let Ok(reply) = &mut outcome {
        headers = std::mem::take(&mut reply.headers);
    }
    let mut response = match outcome {
        Ok(Reply {
            text: Some((kind, bytes)),
            ..
        }) => {
            let mut response = Response::new(body(bytes, head));
            response
                .headers_mut()
                .insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
            response
        }
        Ok(reply) => match envelope::encode(&reply, request_id) {
            Ok(Some(bytes)) => json_response(bytes, head),
            Ok(None) => Response::new(Full::default()),
            Err(fault) => return respond(Err(fault), request_id, head),
        },
        Err(fault) => return refuse(&fault, status, request_id, head),
    };
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    add_headers(&mut response, headers);
    finish(response)
}

/// Of several with one name all are sent, but for the type of the content, which is one.
fn add_headers(response: &mut Answer, headers: Vec<(HeaderName, String)>) {
    for (name, value) in headers {
        let Ok(value) = HeaderValue::try_from(value) else {
            continue;
        };
        match name {
            header::CONTENT_TYPE => drop(response.headers_mut().insert(name, value)),
            _ => drop(response.headers_mut().append(name, value)),
        }
    }
}

fn refuse(fault: &Fault, status: u16, request_id: &str, head: bool) -> Answer {
    let errors = match fault {
        Fault::Missing => json!({"errors": []}),
        Fault::Denied => json!({"errors": ["1 error occurred:\n\t* permission denied\n\n"]}),
        Fault::NotVersioned => {
            let bytes = envelope::encode(&kv2::unknown_path(), request_id)
                .ok()
                .flatten()
                .unwrap_or_default();
            let mut response = json_response(bytes, head);
            *response.status_mut() = StatusCode::NOT_FOUND;
            return finish(response);
        }
        Fault::Described { text, data } => json!({"errors": [text], "data": data}),
        fault => json!({"errors": [fault.to_string()]}),
    };
    let mut response = json_response(errors.to_string().into_bytes(), head);
    // What `sys/why` explains.
    if matches!(fault, Fault::Denied | Fault::BadToken)
        && let Ok(id) = HeaderValue::from_str(request_id)
    {
        response.headers_mut().insert("x-vault-request-id", id);
    }
    let retry_after = match fault {
        Fault::Limited { retry_after } => Some(*retry_after),
        Fault::Quota { retry_after, .. } => *retry_after,
        _ => None,
    };
    if let Some(seconds) = retry_after {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    finish(response)
}

/// How much the caller's rate limit leaves, on every answer that is under one.
pub fn tell_standing(answer: &mut Answer, standing: Standing) {
    for (name, value) in [
        ("x-ratelimit-limit", standing.limit),
        ("x-ratelimit-remaining", standing.remaining),
        ("x-ratelimit-reset", standing.reset),
    ] {
        answer.headers_mut().insert(name, HeaderValue::from(value));
    }
}

pub fn respond_at_once(refused: Refused, request_id: &str) -> Answer {
    match refused {
        Refused::Fault(fault) => respond(Err(fault), request_id, false),
        Refused::NotApi => respond(Err(Fault::Missing), request_id, false),
        Refused::BadList => {
            let mut response = json_response(br#"{"errors":[]}"#.to_vec(), false);
            *response.status_mut() = StatusCode::BAD_REQUEST;
            finish(response)
        }
        Refused::Moved(status, to) => {
            let mut response = Response::new(Full::default());
            *response.status_mut() = status;
            if let Ok(to) = HeaderValue::from_str(&to) {
                response.headers_mut().insert(header::LOCATION, to);
            }
            finish(response)
        }
    }
}

fn json_response(bytes: Vec<u8>, head: bool) -> Answer {
    let mut response = Response::new(body(bytes, head));
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    response
}

fn body(bytes: Vec<u8>, head: bool) -> Full<Bytes> {
    if head {
        Full::default()
    } else {
        Full::from(bytes)
    }
}

fn finish(mut response: Answer) -> Answer {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // What a browser is led to stays what it says it is, though it holds a caller's text.
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
}
