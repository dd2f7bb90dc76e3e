//! A forge: the deploy-key API of GitHub, GitLab, Gitea, Forgejo or Bitbucket as each is published, in
//! front of repositories that a real sshd serves through git-shell to whoever has a deploy key.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::process::until;
use crate::sshd::Sshd;
use crate::web::{Asked, Web};

/// What the API knows its operators by.
pub const TOKEN: &str = "forge-token";
/// A token that is known, and may not administer anything.
pub const WEAK_TOKEN: &str = "weak-token";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    Github,
    Gitlab,
    Gitea,
    Forgejo,
    Bitbucket,
}

impl Dialect {
    pub const ALL: [Dialect; 5] = [
        Dialect::Github,
        Dialect::Gitlab,
        Dialect::Gitea,
        Dialect::Forgejo,
        Dialect::Bitbucket,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Dialect::Github => "github",
            Dialect::Gitlab => "gitlab",
            Dialect::Gitea => "gitea",
            Dialect::Forgejo => "forgejo",
            Dialect::Bitbucket => "bitbucket",
        }
    }

    /// A key may be in one repository only.
    fn is_exclusive(self) -> bool {
        self == Dialect::Github
    }
}

/// A deploy key.
#[derive(Clone, Debug)]
pub struct Deploy {
    pub id: u64,
    pub title: String,
    /// `ssh-ed25519 AAAA…`
    pub key: String,
    pub read_only: bool,
}

#[derive(Default)]
struct State {
    repositories: BTreeMap<String, Vec<Deploy>>,
    last: u64,
    /// All requests are answered with it.
    status: Option<u16>,
    /// The next request with this method stops, before or after its effect.
    hold: Option<(&'static str, bool)>,
    held: bool,
    /// Public half of an App's key, and tokens that it was given, each for one repository.
    app: Option<vault_ssh::Key>,
    granted: BTreeMap<String, String>,
}

/// Ends with the value that stands for it.
pub struct Forge {
    pub dialect: Dialect,
    pub web: Web,
    pub sshd: Arc<Sshd>,
    state: Arc<Mutex<State>>,
}

/// Runs what a deploy key is for, in place of what the client asks.
const SERVE: &str = r#"#!/bin/sh
root=$1; shift
if [ -e "$root/hold" ]; then : >"$root/held"; sleep 60; fi
for word; do
    repository=${word#*:}
    for asked in "$repository.git" "/$repository.git" "$repository" "/$repository"; do
        case "${word%%:*} $SSH_ORIGINAL_COMMAND" in
        "ro git-upload-pack '$asked'" | "rw git-upload-pack '$asked'")
            exec git-shell -c "git-upload-pack '$root/$repository.git'" ;;
        "rw git-receive-pack '$asked'")
            exec git-shell -c "git-receive-pack '$root/$repository.git'" ;;
        esac
    done
done
echo "ERROR: Repository not found." >&2
exit 1
"#;

impl Forge {
    /// With these repositories, of one commit each.
    pub fn start(dialect: Dialect, repositories: &[&str]) -> Forge {
        let sshd = Arc::new(Sshd::start());
        let root = sshd.site.path("repositories");
        std::fs::create_dir(&root).unwrap();
        let serve = sshd.site.write("serve", SERVE);
        shell(&format!("chmod 700 {serve}"));
        make_all(&root, repositories);
        sshd.site.own(&root);
        own_all(&sshd, &root);
        let state = State {
            repositories: repositories
                .iter()
                .map(|name| ((*name).to_owned(), Vec::new()))
                .collect(),
            ..State::default()
        };
        let state = Arc::new(Mutex::new(state));
        // The API's threads may outlive the test: sshd has to end with it.
        let (shared, site) = (Arc::clone(&state), Arc::downgrade(&sshd));
        let web = Web::start(move |asked| match site.upgrade() {
            Some(sshd) => answer(dialect, asked, &shared, &sshd),
            None => (503, String::new()),
        });
        Forge {
            dialect,
            web,
            sshd,
            state,
        }
    }

    /// For `forges/NAME`.
    pub fn config(&self) -> Value {
        json!({
            "type": self.dialect.name(),
            "url": self.web.url,
            "token": TOKEN,
            "ca_cert": self.web.ca_pem,
            "ssh_host": "127.0.0.1",
            "ssh_port": self.sshd.port,
            "ssh_user": "deploy",
        })
    }

    /// As known_hosts names its SSH side.
    pub fn host(&self) -> String {
        format!("[127.0.0.1]:{}", self.sshd.port)
    }

    /// The address to clone a repository from.
    pub fn address(&self, repository: &str) -> String {
        format!("ssh://deploy@127.0.0.1:{}/{repository}.git", self.sshd.port)
    }

    pub fn keys(&self, repository: &str) -> Vec<Deploy> {
        self.state.lock().unwrap().repositories[repository].clone()
    }

    /// As an operator would in the forge's own pages.
    pub fn add_by_hand(&self, repository: &str, key: &str, read_only: bool) {
        let mut state = self.state.lock().unwrap();
        state.last += 1;
        let deploy = Deploy {
            id: state.last,
            title: "by hand".to_owned(),
            key: key.to_owned(),
            read_only,
        };
        state.repositories.get_mut(repository).unwrap().push(deploy);
        publish(&state, &self.sshd);
    }

    /// Answers everything with this status, or as it should again.
    pub fn fail_with(&self, status: Option<u16>) {
        self.state.lock().unwrap().status = status;
    }

    /// An App with this public key is installed on all repositories.
    pub fn install_app(&self, key: vault_ssh::Key) {
        self.state.lock().unwrap().app = Some(key);
    }

    /// The next request with this method stops before or after its effect, until `release`. One that
    /// stops before never has its effect.
    pub fn hold(&self, method: &'static str, after: bool) {
        self.state.lock().unwrap().hold = Some((method, after));
    }

    /// Waits until it stops.
    pub fn await_held(&self) {
        let held = || self.state.lock().unwrap().held.then_some(());
        until(Duration::from_secs(20), held).expect("no such request comes");
    }

    pub fn release(&self) {
        let mut state = self.state.lock().unwrap();
        state.hold = None;
        state.held = false;
    }

    /// Whoever logs in from now on stops once they are in, until `release_logins`.
    pub fn hold_logins(&self) {
        self.sshd.site.write("repositories/hold", "");
    }

    pub fn await_login(&self) {
        let held = self.sshd.site.path("repositories/held");
        let is_there = || held.exists().then_some(());
        until(Duration::from_secs(20), is_there).expect("nobody logs in");
    }

    pub fn release_logins(&self) {
        for name in ["hold", "held"] {
            let _ = std::fs::remove_file(self.sshd.site.path("repositories").join(name));
        }
    }
}

fn shell(script: &str) {
    let done = Command::new("sh").args(["-euc", script]).output().unwrap();
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
}

/// One is made, the others are copies.
fn make_all(root: &Path, repositories: &[&str]) {
    let git = "git -c user.name=a -c user.email=a@example.com -c init.defaultBranch=main \
               -c core.hooksPath=/dev/null";
    let mut script = format!(
        "cd '{}'; {git} init -q work; cd work; {git} commit -q --allow-empty -m one; cd ..; \
         {git} clone -q --bare work first.git; rm -r work;",
        root.display()
    );
    for name in repositories {
        let owner = name.rsplit_once('/').map_or(".", |(owner, _)| owner);
        let _ = write!(script, "mkdir -p '{owner}'; cp -r first.git '{name}.git';");
    }
    shell(&script);
}

fn own_all(sshd: &Sshd, folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        sshd.site.own(&entry.path());
        if entry.file_type().unwrap().is_dir() {
            own_all(sshd, &entry.path());
        }
    }
}

/// Writes `authorized_keys`: one line for each key, for all of its repositories.
fn publish(state: &State, sshd: &Sshd) {
    let mut lines: BTreeMap<&str, String> = BTreeMap::new();
    for (repository, keys) in &state.repositories {
        for deploy in keys {
            let mode = if deploy.read_only { "ro" } else { "rw" };
            let _ = write!(
                lines.entry(&deploy.key).or_default(),
                " {mode}:{repository}"
            );
        }
    }
    let (serve, root) = (sshd.site.path("serve"), sshd.site.path("repositories"));
    let mut text = String::new();
    for (key, words) in lines {
        let (serve, root) = (serve.display(), root.display());
        let _ = writeln!(text, "restrict,command=\"{serve} {root}{words}\" {key}");
    }
    sshd.authorize(&text);
}

type Reply = (u16, String);

fn answer(dialect: Dialect, asked: &Asked, state: &Mutex<State>, sshd: &Sshd) -> Reply {
    let stops = |after: bool| {
        let mut state = state.lock().unwrap();
        let stops = state.hold == Some((asked.method.as_str(), after));
        state.held |= stops;
        stops
    };
    let wait = || {
        while state.lock().unwrap().held {
            sleep(Duration::from_millis(5));
        }
    };
    if stops(false) {
        wait();
        return (503, String::new());
    }
    let reply = act(dialect, asked, &mut state.lock().unwrap(), sshd);
    if stops(true) {
        wait();
    }
    reply
}

fn say(status: u16, body: Value) -> Reply {
    (status, body.to_string())
}

fn refuse(status: u16, message: &str) -> Reply {
    say(status, json!({ "message": message }))
}

fn act(dialect: Dialect, asked: &Asked, state: &mut State, sshd: &Sshd) -> Reply {
    if let Some(status) = state.status {
        return refuse(status, "as the test wants it");
    }
    let path = asked.target.split('?').next().unwrap().to_owned();
    if path == "/app/installations/77/access_tokens" && dialect == Dialect::Github {
        return grant(asked, state);
    }
    if path == "/meta" && dialect == Dialect::Github {
        return say(200, json!({"ssh_keys": [sshd.site.host_key]}));
    }
    let Some((repository, id)) = parse(dialect, &path) else {
        return refuse(404, "Not Found");
    };
    let scheme = match dialect {
        Dialect::Gitea | Dialect::Forgejo => "token ",
        _ => "Bearer ",
    };
    let given = asked.header("authorization").strip_prefix(scheme);
    match given {
        Some(TOKEN) => {}
        Some(WEAK_TOKEN) => return refuse(403, "Resource not accessible by personal access token"),
        Some(token) if state.granted.get(token) == Some(&repository) => {}
        Some(token) if state.granted.contains_key(token) => return refuse(404, "Not Found"),
        _ => return refuse(401, "Bad credentials"),
    }
    if !state.repositories.contains_key(&repository) {
        return refuse(404, "Not Found");
    }
    let reply = match (asked.method.as_str(), id) {
        ("GET", None) => list(dialect, asked, &state.repositories[&repository]),
        ("POST", None) => add(dialect, asked, &repository, state),
        ("DELETE", Some(id)) => {
            let keys = state.repositories.get_mut(&repository).unwrap();
            let before = keys.len();
            keys.retain(|deploy| deploy.id != id);
            match keys.len() < before {
                true => (204, String::new()),
                false => refuse(404, "Not Found"),
            }
        }
        _ => refuse(405, "Method Not Allowed"),
    };
    if asked.method != "GET" && reply.0 < 300 {
        publish(state, sshd);
    }
    reply
}

/// The repository of a path, and the key in it.
fn parse(dialect: Dialect, path: &str) -> Option<(String, Option<u64>)> {
    let (rest, keys) = match dialect {
        Dialect::Github => (path.strip_prefix("/repos/")?, "/keys"),
        Dialect::Gitea | Dialect::Forgejo => (path.strip_prefix("/api/v1/repos/")?, "/keys"),
        Dialect::Gitlab => (path.strip_prefix("/api/v4/projects/")?, "/deploy_keys"),
        Dialect::Bitbucket => (path.strip_prefix("/repositories/")?, "/deploy-keys"),
    };
    let (repository, id) = rest.rsplit_once(keys)?;
    let id = match id.strip_prefix('/') {
        Some(id) => Some(id.parse().ok()?),
        None if id.is_empty() => None,
        None => return None,
    };
    let repository = match dialect {
        Dialect::Gitlab => repository.replace("%2F", "/"),
        _ => repository.to_owned(),
    };
    Some((repository, id))
}

fn show(dialect: Dialect, deploy: &Deploy) -> Value {
    let mut shown = json!({"id": deploy.id, "key": deploy.key});
    match dialect {
        Dialect::Bitbucket => shown["label"] = json!(deploy.title),
        Dialect::Gitlab => {
            shown["title"] = json!(deploy.title);
            shown["can_push"] = json!(!deploy.read_only);
        }
        _ => {
            shown["title"] = json!(deploy.title);
            shown["read_only"] = json!(deploy.read_only);
        }
    }
    shown
}

fn list(dialect: Dialect, asked: &Asked, keys: &[Deploy]) -> Reply {
    let number = |name: &str, otherwise: usize| {
        let found = asked.field(name).and_then(|text| text.parse().ok());
        found.unwrap_or(otherwise)
    };
    let size = match dialect {
        Dialect::Gitea | Dialect::Forgejo => number("limit", 30).min(50),
        Dialect::Bitbucket => number("pagelen", 10).min(100),
        _ => number("per_page", 30).min(100),
    };
    let page = number("page", 1);
    let shown: Vec<Value> = keys
        .iter()
        .skip((page - 1) * size)
        .take(size)
        .map(|deploy| show(dialect, deploy))
        .collect();
    match dialect {
        Dialect::Bitbucket => say(200, json!({"values": shown, "page": page, "pagelen": size})),
        _ => say(200, shown.into()),
    }
}

fn add(dialect: Dialect, asked: &Asked, repository: &str, state: &mut State) -> Reply {
    let body = asked.json();
    let title = if dialect == Dialect::Bitbucket {
        "label"
    } else {
        "title"
    };
    let (Some(title), Some(key)) = (body[title].as_str(), body["key"].as_str()) else {
        return refuse(422, "Validation Failed");
    };
    if vault_ssh::Key::from_line(key).is_err() {
        return refuse(
            422,
            "key is invalid. You must supply a key in OpenSSH public key format",
        );
    }
    let has = |keys: &[Deploy]| keys.iter().any(|deploy| deploy.key == key);
    let here = has(&state.repositories[repository]);
    let anywhere = state.repositories.values().any(|keys| has(keys));
    if here || anywhere && dialect.is_exclusive() {
        let status = match dialect {
            Dialect::Gitlab | Dialect::Bitbucket => 400,
            _ => 422,
        };
        return refuse(status, "key is already in use");
    }
    state.last += 1;
    let deploy = Deploy {
        id: state.last,
        title: title.to_owned(),
        key: key.to_owned(),
        read_only: match dialect {
            Dialect::Gitlab => body["can_push"] != json!(true),
            Dialect::Bitbucket => true,
            // As both have it if it is left out.
            _ => body["read_only"] == json!(true),
        },
    };
    let shown = show(dialect, &deploy);
    state.repositories.get_mut(repository).unwrap().push(deploy);
    let status = if dialect == Dialect::Bitbucket {
        200
    } else {
        201
    };
    say(status, shown)
}

/// A token for an App that proves itself (RS256), for one repository.
fn grant(asked: &Asked, state: &mut State) -> Reply {
    let token = asked.header("authorization").strip_prefix("Bearer ");
    let (Some(token), Some(key)) = (token, &state.app) else {
        return refuse(401, "A JSON web token could not be decoded");
    };
    let Some(claims) = claims(token, key) else {
        return refuse(401, "A JSON web token could not be decoded");
    };
    let now = jiff::Timestamp::now().as_second();
    let number = |name: &str| claims[name].as_i64().unwrap_or(0);
    let fits = claims["iss"] == json!("4711") && number("iat") <= now && number("exp") > now;
    if !fits || number("exp") - number("iat") > 600 {
        return refuse(
            401,
            "'Expiration time' claim ('exp') is too far in the future",
        );
    }
    let name = asked.json()["repositories"][0].as_str().map(str::to_owned);
    let whole = name.and_then(|name| {
        let mut known = state.repositories.keys();
        known
            .find(|whole| whole.ends_with(&format!("/{name}")))
            .cloned()
    });
    let Some(whole) = whole else {
        return refuse(422, "There is at least one repository that does not exist");
    };
    state.last += 1;
    let token = format!("ghs_{}", state.last);
    state.granted.insert(token.clone(), whole);
    let expires = "2100-01-01T00:00:00Z";
    let permissions = asked.json()["permissions"].clone();
    say(
        201,
        json!({"token": token, "expires_at": expires, "permissions": permissions}),
    )
}

/// Of a token that this key signed.
fn claims(token: &str, key: &vault_ssh::Key) -> Option<Value> {
    let (signed, signature) = token.rsplit_once('.')?;
    let mut ssh = Vec::new();
    vault_ssh::wire::push_string(&mut ssh, b"rsa-sha2-256");
    vault_ssh::wire::push_string(&mut ssh, &URL_SAFE_NO_PAD.decode(signature).ok()?);
    key.verify(signed.as_bytes(), &ssh).ok()?;
    let (_, claims) = signed.split_once('.')?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
}
