//! The key of an agent: the version that is current, asked for at each connection.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use vault_sdk::{Call, Client, Event};
use vault_ssh::PrivateKey;
use vault_ssh::agent::{Host, Identity, Keys, Login};
use zeroize::Zeroizing;

use super::lookup::{self, Found, Wanted};
use crate::error::{Outcome, remote};
use crate::session::text;

/// Who signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Remote,
    InMemory,
}

/// How often a key in memory is compared with the server's, so that a rotation need not wait for it.
const PERIOD: Duration = Duration::from_secs(20);
/// A connection that began with the last version ends with it.
const VERSIONS: usize = 2;

pub(crate) struct Managed {
    client: Client,
    mount: String,
    wanted: Wanted,
    way: Way,
    /// The newest first.
    held: Mutex<Vec<Arc<Held>>>,
}

struct Held {
    found: Found,
    private: Option<Arc<PrivateKey>>,
}

/// The server signs, unless the policy allows only to read the private half; `None` if it allows
/// neither.
pub(crate) async fn way(client: &Client, mount: &str, key: &str) -> Option<Way> {
    let mount = mount.trim_matches('/');
    let (sign, creds) = (
        format!("{mount}/sign/{key}"),
        format!("{mount}/creds/{key}"),
    );
    let call = Call::post("sys/capabilities-self", json!({ "paths": [&sign, &creds] }));
    let Ok(answer) = client.send(call.repeatable()).await else {
        // Who may not ask finds out by trying.
        return Some(Way::Remote);
    };
    let may = |path: &str, wanted: &str| {
        let found = answer.data()[path].as_array();
        let mut found = found.into_iter().flatten();
        found.any(|capability| capability == wanted || capability == "root")
    };
    match (may(&sign, "update"), may(&creds, "read")) {
        (true, _) => Some(Way::Remote),
        (false, true) => Some(Way::InMemory),
        (false, false) => None,
    }
}

impl Managed {
    pub(crate) async fn new(
        client: Client,
        mount: &str,
        host: Option<String>,
        way: Way,
        found: Found,
    ) -> Outcome<Managed> {
        if found.hosts.is_empty() {
            return Err(remote(
                format!("no host keys are pinned for the hosts of {}", found.key),
                "an agent logs in to known hosts only: vaultctl ssh known-hosts add HOST, or --host for a key without targets",
            ));
        }
        let managed = Managed {
            client,
            mount: mount.trim_matches('/').to_owned(),
            // By its name from now on, in whatever way it was found.
            wanted: Wanted {
                key: Some(found.key.clone()),
                host,
                ..Wanted::default()
            },
            way,
            held: Mutex::new(Vec::new()),
        };
        managed.hold(found).await?;
        Ok(managed)
    }

    fn name(&self) -> &str {
        self.wanted.key.as_deref().unwrap_or_default()
    }

    fn held(&self) -> Vec<Arc<Held>> {
        self.held
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    async fn hold(&self, found: Found) -> Outcome {
        let newest = self.held().into_iter().next();
        let same = newest.filter(|held| held.found.public == found.public);
        let private = match (&same, self.way) {
            (Some(same), _) => same.private.clone(),
            (None, Way::InMemory) => Some(Arc::new(self.fetch(&found).await?)),
            (None, Way::Remote) => None,
        };
        let fresh = Arc::new(Held { found, private });
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|held| held.found.public != fresh.found.public);
        held.insert(0, fresh);
        held.truncate(VERSIONS);
        Ok(())
    }

    async fn fetch(&self, found: &Found) -> Outcome<PrivateKey> {
        let call = Call::get(format!("{}/creds/{}", self.mount, found.key));
        let call = call.query("version", found.version).query("format", "pem");
        let mut answer = self.client.send(call).await?;
        let text = answer
            .body
            .pointer_mut("/data/private_key")
            .map(Value::take);
        let Some(Value::String(text)) = text else {
            return Err(remote(
                "the server's answer holds no key",
                "check VAULT_ADDR",
            ));
        };
        let key = PrivateKey::parse(&Zeroizing::new(text));
        // Best effort: few users may lock as much.
        let _ = rustix::mm::mlockall(rustix::mm::MlockAllFlags::CURRENT);
        key.map_err(|error| remote(error.to_string(), "check VAULT_ADDR"))
    }

    /// Asks the server what is current. What is held stays if it does not answer.
    async fn refresh(&self) {
        let fresh = async {
            let found = lookup::find(&self.client, &self.mount, &self.wanted).await?;
            self.hold(found).await
        };
        if let Err(failure) = fresh.await {
            eprintln!("ssh-agent: {} may be out of date: {failure}", self.name());
        }
    }

    async fn sign_there(&self, login: &Login<'_>) -> Outcome<Vec<u8>> {
        let mut body = json!({ "data": STANDARD.encode(login.data), "flags": login.flags });
        if let Some(binding) = login.binding {
            body["host_key"] = STANDARD.encode(&binding.host_key).into();
            body["host_signature"] = STANDARD.encode(&binding.signature).into();
        }
        let call = Call::post(format!("{}/sign/{}", self.mount, self.name()), body);
        let answer = self.client.send(call.repeatable()).await?;
        let signature = text(answer.data(), "signature")?;
        let bytes = STANDARD.decode(signature);
        bytes.map_err(|_| remote("the server's signature is none", "check VAULT_ADDR"))
    }
}

impl Keys for Managed {
    async fn identities(&self, host: Option<&Host>) -> Vec<Identity> {
        self.refresh().await;
        let Some(newest) = self.held().into_iter().next() else {
            return Vec::new();
        };
        // A client that says no host only lists.
        match host.is_none_or(|host| host.is_one_of(&newest.found.hosts)) {
            true => vec![Identity {
                key: newest.found.public.blob(),
                comment: newest.found.comment.clone(),
            }],
            false => Vec::new(),
        }
    }

    async fn sign(&self, login: &Login<'_>) -> Option<Vec<u8>> {
        let asked = |held: &Arc<Held>| held.found.public.blob() == login.userauth.key;
        let held = self.held().into_iter().find(asked)?;
        let Some(host) = login.host else {
            eprintln!(
                "ssh-agent: refused: the client does not say which host it is for (OpenSSH 8.9 and newer do)"
            );
            return None;
        };
        if !host.is_one_of(&held.found.hosts) {
            let fingerprint = host.key.fingerprint();
            eprintln!("ssh-agent: refused: {fingerprint} is no pinned host key of this key");
            return None;
        }
        let signature = match &held.private {
            Some(key) => key
                .sign_as(login.userauth.signing_algorithm(), login.data)
                .map_err(|_| remote("the key does not sign so", "see the client's log")),
            None => self.sign_there(login).await,
        };
        let signature = signature.inspect_err(|failure| eprintln!("ssh-agent: refused: {failure}"));
        signature.ok()
    }
}

/// Fetches new versions of a key in memory, as long as it is used.
pub(crate) fn keep_fresh(keys: &Arc<Managed>) {
    if keys.way == Way::Remote {
        return;
    }
    let keys: Weak<Managed> = Arc::downgrade(keys);
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(PERIOD).await;
            match keys.upgrade() {
                Some(keys) => keys.refresh().await,
                None => return,
            }
        }
    });
}

pub(crate) async fn until_the_token_ends(client: &Client) {
    let mut events = client.events();
    while let Some(event) = events.next().await {
        if event == Event::Expired {
            return;
        }
    }
}
