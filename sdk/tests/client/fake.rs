//! A server that answers by a function and remembers what it was asked.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::to_bytes;
use axum::extract::Request;
use axum::response::Response;
use serde_json::{Value, json};
use vault_sdk::{Builder, Client};

/// One request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) verb: String,
    /// Raw, after `/v1/`, with the query.
    pub(crate) path: String,
    pub(crate) token: Option<String>,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: Value,
}

pub(crate) struct Reply(u16, Value, Vec<(&'static str, String)>);

impl Reply {
    pub(crate) fn header(mut self, name: &'static str, value: impl ToString) -> Self {
        self.2.push((name, value.to_string()));
        self
    }
}

pub(crate) fn bare(status: u16, body: Value) -> Reply {
    Reply(status, body, Vec::new())
}

pub(crate) fn data(data: Value) -> Reply {
    bare(
        200,
        json!({
            "request_id": "3f7a1c1e", "lease_id": "", "renewable": false, "lease_duration": 0,
            "data": data, "wrap_info": null, "warnings": null, "auth": null
        }),
    )
}

pub(crate) fn auth(token: &str, ttl: u64, renewable: bool) -> Reply {
    bare(
        200,
        json!({
            "request_id": "3f7a1c1e", "lease_id": "", "renewable": false, "lease_duration": 0,
            "data": null, "wrap_info": null, "warnings": null,
            "auth": {
                "client_token": token, "accessor": "acc", "policies": ["default"],
                "token_policies": ["default"], "metadata": {}, "lease_duration": ttl,
                "renewable": renewable, "entity_id": "", "token_type": "service",
                "orphan": true, "mfa_requirement": null, "num_uses": 0
            }
        }),
    )
}

pub(crate) fn no_content() -> Reply {
    bare(204, Value::Null)
}

pub(crate) fn refused(status: u16, error: &str) -> Reply {
    bare(status, json!({ "errors": [error] }))
}

pub(crate) fn sealed() -> Reply {
    refused(503, "Vault is sealed")
}

pub(crate) fn not_found() -> Reply {
    bare(404, json!({ "errors": [] }))
}

/// What a policy says.
pub(crate) fn denied() -> Reply {
    refused(403, "1 error occurred:\n\t* permission denied\n\n")
}

/// What an unknown token gets.
pub(crate) fn unknown_token() -> Reply {
    refused(403, "permission denied")
}

pub(crate) fn kv2_data(version: u64, values: Value) -> Reply {
    data(json!({
        "data": values,
        "metadata": {
            "created_time": "2026-01-02T03:04:05.678901234Z", "custom_metadata": null,
            "deletion_time": "", "destroyed": false, "version": version
        }
    }))
}

pub(crate) fn kv_mount(version: &str) -> Reply {
    data(json!({ "path": "secret/", "type": "kv", "options": { "version": version } }))
}

#[derive(Clone)]
pub(crate) struct Fake {
    addr: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Fake {
    /// Answers each request with `answer`, on a port of its own.
    pub(crate) async fn start(answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let fake = Self {
            addr: format!("http://{}", listener.local_addr().unwrap()),
            seen: Arc::default(),
        };
        let (seen, answer) = (Arc::clone(&fake.seen), Arc::new(answer));
        let app = Router::new().fallback(move |request: Request| {
            let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
            async move {
                let request = read(request).await;
                let reply = answer(&request);
                seen.lock().unwrap().push(request);
                write(reply)
            }
        });
        tokio::spawn(async move { axum::serve(listener, app).await });
        fake
    }

    pub(crate) fn builder(&self) -> Builder {
        Client::builder().addr(&self.addr)
    }

    pub(crate) fn client(&self) -> Client {
        self.builder().token("hvs.first").build().unwrap()
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn count(&self, path: &str) -> usize {
        let seen = self.seen.lock().unwrap();
        seen.iter().filter(|request| request.path == path).count()
    }
}

async fn read(request: Request) -> Seen {
    let (head, body) = request.into_parts();
    let bytes = to_bytes(body, 1 << 20).await.unwrap();
    let target = head.uri.path_and_query().unwrap().as_str();
    Seen {
        verb: head.method.to_string(),
        path: target.trim_start_matches("/v1/").to_owned(),
        token: head
            .headers
            .get("x-vault-token")
            .map(|token| token.to_str().unwrap().to_owned()),
        headers: head.headers,
        body: serde_json::from_slice(&bytes).unwrap_or_default(),
    }
}

fn write(Reply(status, body, headers): Reply) -> Response {
    let text = match body {
        Value::Null => String::new(),
        body => body.to_string(),
    };
    let mut response = Response::builder()
        .status(status)
        .header("content-type", "application/json");
    for (name, value) in headers {
        response = response.header(name, value);
    }
    response.body(text.into()).unwrap()
}
