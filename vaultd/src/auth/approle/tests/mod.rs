//! The method against the real barrier, in memory.

mod login;
mod role;
mod secret_id;

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use vault_crypto::{Key, Prf, Seeded};
use vault_proto::path::ApiPath;

use super::{ROWS, run, tidy};
use crate::barrier::{Barrier, Engine, Memory, SealRecord};
use crate::core::body::Body;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::login::Login;
use crate::core::mount::{Kind, Mount};
use crate::core::reply::{Data, Reply};
use crate::core::request::{Request, Verb};
use crate::core::route::{Found, find};
use crate::policy::Capability;

const REFUSED: &str = "invalid role or secret ID";
const VIEW: u64 = 100;

struct Fixture {
    barrier: Arc<Barrier>,
    mount: Mount,
    random: Seeded,
    prf: Prf,
    now: Timestamp,
    remote: &'static str,
}

impl Fixture {
    async fn new() -> Fixture {
        let random = Seeded::new(7);
        let storage = Arc::new(Engine::Memory(Memory::new()));
        let root = Key::generate(&random);
        let record = SealRecord::new("test", 1, 1, "", &[7; 32], &root, &random);
        Barrier::initialise(&storage, &record, &root, &random, 0)
            .await
            .unwrap();
        let barrier = Barrier::open(storage, &record, &root, Arc::new(Seeded::new(8)))
            .await
            .unwrap();
        Fixture {
            barrier,
            mount: Mount::new(VIEW, Kind::Approle, "auth/approle/", "", &random),
            prf: Prf::new(&Key::generate(&random)),
            random,
            now: "2026-11-21T07:00:00.5Z".parse().unwrap(),
            remote: "127.0.0.1",
        }
    }

    /// One request, run again after a conflict as core does.
    async fn call(&self, verb: Verb, path: &str, body: Value) -> Result<Reply, Fault> {
        let (row, params) = match find(ROWS, verb, path) {
            Found::Row(row, params) => (row, params),
            Found::OtherVerb => return Err(Fault::Unsupported),
            Found::Nothing => return Err(Fault::NoRoute("no such path".into())),
        };
        let request = Request {
            id: String::new(),
            verb,
            path: ApiPath::from_plain("auth/approle/x").unwrap(),
            body: Body::parse(body.to_string().as_bytes()).unwrap(),
            token: None,
            wrap_ttl: None,
            remote: self.remote.parse().unwrap(),
            client_chain: None,
            now: self.now,
            help: false,
            head: false,
            content_type: String::new(),
            standing: Default::default(),
        };
        let ctx = Ctx {
            request: &request,
            params: &params,
            operation: Capability::Update,
            caller: None,
            mount: &self.mount,
            random: &self.random,
            prf: &self.prf,
            values: &self.prf,
        };
        loop {
            let mut tx = self.barrier.begin();
            let reply = run(row.call, &ctx, &mut tx.view(VIEW)).await?;
            // Requests at once have all read before the first one commits.
            tokio::task::yield_now().await;
            match tx.commit().await.map_err(Fault::from) {
                Err(Fault::Conflict) => {}
                done => return done.map(|()| reply),
            }
        }
    }

    async fn write(&self, path: &str, body: Value) -> Result<Reply, Fault> {
        self.call(Verb::Write, path, body).await
    }

    async fn read(&self, path: &str) -> Result<Value, Fault> {
        self.call(Verb::Read, path, json!({})).await.map(data)
    }

    async fn delete(&self, path: &str) -> Result<Reply, Fault> {
        self.call(Verb::Delete, path, json!({})).await
    }

    async fn list(&self, path: &str) -> Result<Value, Fault> {
        self.call(Verb::List, path, json!({}))
            .await
            .map(|reply| data(reply)["keys"].clone())
    }

    /// Makes a role; its role id.
    async fn role(&self, name: &str, body: Value) -> String {
        self.write(&format!("role/{name}"), body)
            .await
            .map(drop)
            .unwrap();
        text(&self.read(&format!("role/{name}/role-id")).await.unwrap()["role_id"])
    }

    /// Issues a secret id; it and its accessor.
    async fn secret(&self, role: &str, body: Value) -> (String, String) {
        let issued = self
            .write(&format!("role/{role}/secret-id"), body)
            .await
            .map(data)
            .unwrap();
        (
            text(&issued["secret_id"]),
            text(&issued["secret_id_accessor"]),
        )
    }

    async fn lookup(&self, role: &str, secret_id: &str) -> Value {
        let path = format!("role/{role}/secret-id/lookup");
        self.write(&path, json!({ "secret_id": secret_id }))
            .await
            .map(data)
            .unwrap()
    }

    async fn login(&self, role_id: &str, secret_id: &str) -> Result<Login, Fault> {
        let reply = self
            .write(
                "login",
                json!({ "role_id": role_id, "secret_id": secret_id }),
            )
            .await?;
        Ok(*reply.login.unwrap())
    }

    async fn tidy_to_the_end(&self) {
        for _ in 0..100 {
            let mut tx = self.barrier.begin();
            let more = tidy(self.now, &mut tx.view(VIEW)).await.unwrap();
            tx.commit().await.unwrap();
            if !more {
                return;
            }
        }
        panic!("tidy does not end");
    }

    fn pass(&mut self, seconds: i64) {
        self.now = self
            .now
            .checked_add(SignedDuration::from_secs(seconds))
            .unwrap();
    }
}

fn data(reply: Reply) -> Value {
    match reply.data {
        Data::Map(map) => Value::Object(map),
        _ => Value::Null,
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn error<T>(result: Result<T, Fault>) -> String {
    match result {
        Ok(_) => panic!("was accepted"),
        Err(fault) => fault.to_string(),
    }
}
