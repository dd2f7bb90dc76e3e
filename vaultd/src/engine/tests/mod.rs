//! The engines against the real barrier, in memory: each call is one committed transaction.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod cubbyhole;
mod kv1;
mod kv2_data;
mod kv2_metadata;
mod kv2_versions;
mod totp;
mod transit;

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use vault_crypto::{Key, Prf, Seeded};
use vault_proto::path::ApiPath;

use crate::barrier::View;
use crate::barrier::bed::{Bed, MOUNT};
use crate::core::body::Body;
use crate::core::caller::Caller;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::mount::{Kind, Mount};
use crate::core::reply::{Data, Reply};
use crate::core::request::{Request, Verb};
use crate::core::route::{Found, Row, find};
use crate::core::token::Token;
use crate::engine;
use crate::policy::{Acl, Capability};

struct Fixture {
    bed: Bed,
    now: Timestamp,
    random: Seeded,
    prf: Prf,
    caller: Caller,
    mount: Mount,
}

/// The row that serves a path, or the fault that says that there is none.
fn route<C>(
    rows: &'static [Row<C>],
    request: &Request,
    path: &str,
) -> Result<(&'static Row<C>, crate::core::route::Params), Fault> {
    match find(rows, request.verb, path) {
        Found::Row(row, params) => {
            for name in request.body.names() {
                assert!(row.knows(name), "{path} does not know {name}");
            }
            Ok((row, params))
        }
        Found::OtherVerb => Err(Fault::Unsupported),
        Found::Nothing => Err(Fault::NoRoute(String::new())),
    }
}

/// Runs `run` or `exists` of the engine that the fixture has mounted.
macro_rules! on_engine {
    ($fixture:expr, $function:ident, $request:expr, $path:expr, $view:expr) => {{
        macro_rules! on {
            ($engine:ident) => {{
                let (row, params) = route(engine::$engine::ROWS, $request, $path)?;
                let ctx = $fixture.context($request, &params);
                engine::$engine::$function(row.call, &ctx, $view).await
            }};
        }
        match $fixture.mount.kind {
            Kind::Kv1 => on!(kv1),
            Kind::Kv2 => on!(kv2),
            Kind::Transit => on!(transit),
            Kind::Totp => on!(totp),
            _ => on!(cubbyhole),
        }
    }};
}

impl Fixture {
    async fn new(kind: Kind) -> Fixture {
        let random = Seeded::new(7);
        let now = "2026-11-21T07:00:00.5Z".parse().unwrap();
        Fixture {
            bed: Bed::new().await,
            now,
            prf: Prf::new(&Key::generate(&random)),
            caller: caller("tok", now),
            mount: Mount::new(MOUNT, kind, "m/", "", &random),
            random,
        }
    }

    fn context<'a>(
        &'a self,
        request: &'a Request,
        params: &'a crate::core::route::Params,
    ) -> Ctx<'a> {
        Ctx {
            request,
            params,
            operation: Capability::Update,
            caller: Some(&self.caller),
            mount: &self.mount,
            random: &self.random,
            prf: &self.prf,
            values: &self.prf,
        }
    }

    fn request(&self, verb: Verb, body: &str) -> Request {
        Request {
            id: String::new(),
            verb,
            path: ApiPath::from_plain("m/x").unwrap(),
            body: Body::parse(body.as_bytes()).unwrap(),
            token: None,
            wrap_ttl: None,
            remote: "127.0.0.1".parse().unwrap(),
            client_chain: None,
            now: self.now,
            help: false,
            head: false,
            content_type: String::new(),
            standing: Default::default(),
        }
    }

    /// One request with a body as text; nothing is stored if it fails.
    async fn call(&self, verb: Verb, path: &str, body: &str) -> Result<Reply, Fault> {
        let request = self.request(verb, body);
        let mut tx = self.bed.barrier.begin();
        let reply = on_engine!(self, run, &request, path, &mut tx.view(MOUNT))?;
        tx.commit().await?;
        Ok(reply)
    }

    async fn exists(&self, path: &str) -> bool {
        let request = self.request(Verb::Write, "");
        let mut tx = self.bed.barrier.begin();
        let found: Result<bool, Fault> =
            async { on_engine!(self, exists, &request, path, &mut tx.view(MOUNT)) }.await;
        found.unwrap()
    }

    async fn read(&self, path: &str) -> Result<Reply, Fault> {
        self.call(Verb::Read, path, "").await
    }

    async fn write(&self, path: &str, body: Value) -> Result<Reply, Fault> {
        self.call(Verb::Write, path, &body.to_string()).await
    }

    async fn patch(&self, path: &str, body: Value) -> Result<Reply, Fault> {
        self.call(Verb::Patch, path, &body.to_string()).await
    }

    async fn delete(&self, path: &str) -> Result<Reply, Fault> {
        self.call(Verb::Delete, path, "").await
    }

    async fn list(&self, path: &str) -> Value {
        data(self.call(Verb::List, path, "").await.unwrap())["keys"].clone()
    }

    /// A write that is answered with 204.
    async fn set(&self, path: &str, body: Value) {
        assert!(is_empty(&self.write(path, body).await.unwrap()));
    }

    async fn get(&self, path: &str) -> Value {
        data(self.read(path).await.unwrap())
    }

    // KV, version 2

    /// A new version; its metadata.
    async fn put(&self, path: &str, values: Value) -> Value {
        let body = json!({ "data": values });
        data(self.write(&format!("data/{path}"), body).await.unwrap())
    }

    async fn version(&self, path: &str, number: u64) -> Result<Reply, Fault> {
        let body = json!({ "version": number.to_string() }).to_string();
        self.call(Verb::Read, &format!("data/{path}"), &body).await
    }

    /// Runs a background step to its end; the number of its transactions.
    async fn until_done(&self, step: impl AsyncFn(&mut View<'_>) -> Result<bool, Fault>) -> usize {
        for times in 1..50 {
            let mut tx = self.bed.barrier.begin();
            let more = step(&mut tx.view(MOUNT)).await.unwrap();
            tx.commit().await.unwrap();
            if !more {
                return times;
            }
        }
        panic!("does not end");
    }

    async fn tidy(&self) -> usize {
        self.until_done(async |view| engine::kv2::tidy(view).await)
            .await
    }

    // What is stored

    async fn rows_of(&self, tag: u8) -> usize {
        let mut start = vec![tag];
        start.extend_from_slice(&MOUNT.to_be_bytes());
        let rows = self.bed.rows().await;
        rows.keys().filter(|key| key.starts_with(&start)).count()
    }

    /// Values of any kind: metadata and config are some too.
    async fn stored(&self) -> usize {
        self.rows_of(b'V').await
    }

    async fn is_bare(&self) -> bool {
        self.stored().await + self.rows_of(b'L').await == 0
    }

    fn pass(&mut self, seconds: i64) {
        let later = SignedDuration::from_secs(seconds);
        self.now = self.now.checked_add(later).unwrap();
    }
}

fn caller(id: &str, now: Timestamp) -> Caller {
    Caller {
        id: id.into(),
        token: Arc::new(Token::new(now)),
        acl: Arc::new(Acl::root()),
        standing: None,
        last_use: false,
    }
}

fn data(reply: Reply) -> Value {
    match reply.data {
        Data::Map(map) => Value::Object(map),
        Data::Raw(text) => serde_json::from_str(&text).unwrap(),
        Data::None => Value::Null,
    }
}

fn text(reply: Reply) -> String {
    match reply.data {
        Data::Raw(text) => text,
        _ => panic!("not passed through"),
    }
}

fn error(result: Result<Reply, Fault>) -> String {
    match result {
        Ok(_) => panic!("was accepted"),
        Err(fault) => fault.to_string(),
    }
}

fn is_missing(result: &Result<Reply, Fault>) -> bool {
    matches!(result, Err(Fault::Missing))
}

fn is_invalid(result: &Result<Reply, Fault>) -> bool {
    matches!(result, Err(Fault::Invalid(_)))
}

/// 204.
fn is_empty(reply: &Reply) -> bool {
    reply.status.is_none() && matches!(reply.data, Data::None) && reply.warnings.is_empty()
}

fn deep(parts: usize) -> String {
    vec!["d"; parts].join("/")
}
