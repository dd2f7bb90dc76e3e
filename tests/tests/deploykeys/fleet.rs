//! Fifty repositories, each pulled again and again, while all their keys rotate.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use serde_json::json;
use vault_tests::forge::{Dialect, Forge};
use vault_tests::http::{Endpoint, Request};

use crate::site::{Clone, Site, said};

const REPOSITORIES: usize = 50;
/// At the same time.
const PULLERS: usize = 4;

/// One job that pulls one repository: it reads its key anew for each pull, and if vaultd is away, it uses
/// the one that it has.
pub struct Puller {
    pub clone: Clone,
    pub pulled: usize,
    pub failed: Vec<String>,
    endpoint: Endpoint,
    token: String,
    path: String,
    key: String,
}

impl Puller {
    pub fn new(site: &Site, forge: &Forge, name: &str, repository: &str) -> Puller {
        let policy = format!("path \"sshkeys/creds/{name}\" {{ capabilities = [\"read\"] }}");
        let path = format!("sys/policies/acl/{name}");
        site.vault
            .root("POST", &path, json!({"policy": policy}))
            .expect(204);
        let body = json!({"policies": [name], "display_name": name});
        let token = site
            .vault
            .root("POST", "auth/token/create", body)
            .expect(200);
        Puller {
            clone: Clone::of(forge, repository),
            pulled: 0,
            failed: Vec::new(),
            endpoint: site.vault.endpoint.clone(),
            token: token.body["auth"]["client_token"]
                .as_str()
                .unwrap()
                .to_owned(),
            path: format!("sshkeys/creds/{name}"),
            key: String::new(),
        }
    }

    pub fn pull_once(&mut self) {
        let request = Request::new("GET", &self.path).token(&self.token);
        if let Ok(answer) = self.endpoint.send(&request)
            && answer.status == 200
        {
            self.key = answer.data()["private_key"].as_str().unwrap().to_owned();
        }
        if self.key.is_empty() {
            return;
        }
        let done = self.clone.pull(&self.key);
        match done.status.success() {
            true => self.pulled += 1,
            false => self.failed.push(said(&done)),
        }
    }
}

/// From the clock, unless VAULTD_SEED says which.
fn seed() -> u64 {
    let given = std::env::var("VAULTD_SEED").ok();
    let now = || {
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap();
        u64::from(now.subsec_nanos())
    };
    given.and_then(|text| text.parse().ok()).unwrap_or_else(now)
}

struct Fleet {
    site: Site,
    forge: Forge,
    pullers: Vec<Mutex<Puller>>,
    names: Vec<String>,
}

impl Fleet {
    /// All keys are ready, and each repository was cloned.
    fn new() -> Fleet {
        let (site, names) = (Site::new(), (0..REPOSITORIES).map(|at| format!("app{at}")));
        let names: Vec<String> = names.collect();
        let repositories: Vec<String> = names.iter().map(|name| format!("team/{name}")).collect();
        let all: Vec<&str> = repositories.iter().map(String::as_str).collect();
        let forge = Forge::start(Dialect::Github, &all);
        site.know(&forge);
        // Many processes at once: a login takes its time.
        site.write("config", json!({"grace": 300, "linger": 8}));
        for (name, repository) in names.iter().zip(&repositories) {
            site.deploy_key(name, &forge, repository);
        }
        names.iter().for_each(|name| drop(site.ready(name, 1)));
        let puller = |(name, repository): (&String, &String)| {
            Mutex::new(Puller::new(&site, &forge, name, repository))
        };
        let pullers = names.iter().zip(&repositories).map(puller).collect();
        let fleet = Fleet {
            pullers,
            site,
            forge,
            names,
        };
        let (over, next) = (AtomicBool::new(false), AtomicUsize::new(0));
        let pulling = Pulling {
            pullers: &fleet.pullers,
            next: &next,
            over: &over,
        };
        std::thread::scope(|scope| {
            for _ in 0..PULLERS {
                scope.spawn(|| pulling.run());
            }
            while next.load(Ordering::SeqCst) < REPOSITORIES {
                sleep(Duration::from_millis(20));
            }
            over.store(true, Ordering::SeqCst);
        });
        fleet
    }

    /// Rotates all keys to this version while all repositories are pulled.
    fn rotate(&mut self, version: u64, killed_after: Option<Duration>) {
        let old: Vec<String> = self
            .pullers
            .iter()
            .map(|p| p.lock().unwrap().key.clone())
            .collect();
        let (over, next, start) = (AtomicBool::new(false), AtomicUsize::new(0), Instant::now());
        let taken = std::mem::take(&mut self.pullers);
        let pulling = Pulling {
            pullers: &taken,
            next: &next,
            over: &over,
        };
        std::thread::scope(|scope| {
            for _ in 0..PULLERS {
                scope.spawn(|| pulling.run());
            }
            for name in &self.names {
                self.site.write(&format!("keys/{name}/rotate"), json!({}));
            }
            if let Some(after) = killed_after {
                sleep(after);
                self.site.vault.kill9();
                sleep(Duration::from_millis(300));
                self.site.vault.restart_unsealed();
            }
            self.names
                .iter()
                .for_each(|name| drop(self.site.ready(name, version)));
            over.store(true, Ordering::SeqCst);
        });
        self.pullers = taken;
        let mut pulled = 0;
        for (puller, old) in self.pullers.iter().zip(&old) {
            let puller = puller.lock().unwrap();
            assert_eq!(puller.failed, Vec::<String>::new());
            assert_ne!(puller.key, *old);
            pulled += puller.pulled;
        }
        println!("{pulled} pulls in {:?}, none failed", start.elapsed());
        let both: Vec<_> = self.pullers.iter().zip(&old).collect();
        std::thread::scope(|scope| {
            for some in both.chunks(REPOSITORIES.div_ceil(PULLERS)) {
                scope.spawn(move || {
                    for (puller, old) in some {
                        puller.lock().unwrap().clone.is_refused(old);
                    }
                });
            }
        });
        for name in &self.names {
            assert_eq!(self.forge.keys(&format!("team/{name}")).len(), 1);
        }
    }
}

struct Pulling<'a> {
    pullers: &'a [Mutex<Puller>],
    next: &'a AtomicUsize,
    over: &'a AtomicBool,
}

impl Pulling<'_> {
    fn run(&self) {
        while !self.over.load(Ordering::SeqCst) {
            let at = self.next.fetch_add(1, Ordering::SeqCst) % self.pullers.len();
            self.pullers[at].lock().unwrap().pull_once();
        }
    }
}

#[test]
fn fifty_repositories_are_pulled_while_all_keys_rotate_and_while_vaultd_is_killed() {
    let seed = seed();
    println!("VAULTD_SEED={seed}");
    let after = Duration::from_millis(100 + seed % 6000);
    let mut fleet = Fleet::new();
    fleet.rotate(2, None);
    fleet.rotate(3, Some(after));
}
