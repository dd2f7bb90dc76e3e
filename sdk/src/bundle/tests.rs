//! What a bundle promises, against somebody who writes to the disk or sets the clock.
#![expect(clippy::unwrap_used)]

use std::collections::BTreeMap;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tempfile::TempDir;
use vault_proto::Sensitive;
use vault_proto::bundle::{DOMAIN, Entry, Signed, Statement};

use super::clock::Moment;
use super::{Cache, Fetched, HostKey};

const VALUES: &str = r#"{"password":"h4Kq9ZxW2mP7vB3s"}"#;

struct Server(Ed25519KeyPair);

impl Server {
    fn new() -> Server {
        Server(Ed25519KeyPair::generate().unwrap())
    }

    fn sign(&self, statement: &Statement) -> Signed {
        let statement = serde_json::to_string(statement).unwrap();
        let signature = self.0.sign(&[DOMAIN, statement.as_bytes()].concat());
        Signed {
            statement,
            signature: STANDARD.encode(signature),
            public_key: STANDARD.encode(self.0.public_key()),
        }
    }

    fn fetched(&self, change: impl FnOnce(&mut Statement)) -> Fetched {
        let mut statement = Statement {
            cluster: "c".to_owned(),
            epoch: 3,
            issued: Moment::now().unix,
            secrets: vec![Entry {
                path: "kv/app".to_owned(),
                version: 2,
                max_stale: 3600,
                digest: super::cache::digest_of(VALUES),
            }],
        };
        change(&mut statement);
        let texts = [("kv/app".to_owned(), Sensitive::from(VALUES))];
        Fetched {
            signed: self.sign(&statement),
            texts: texts.into(),
            refused: BTreeMap::new(),
        }
    }
}

fn asked() -> Vec<(String, Option<u64>)> {
    vec![("kv/app".to_owned(), None)]
}

fn cache(dir: &TempDir) -> Cache {
    let key = HostKey::from_file(&dir.path().join("key")).unwrap();
    Cache::new(dir.path().join("kept"), key, None).unwrap()
}

fn why(cache: &Cache) -> String {
    match cache.load(&asked()) {
        Ok(_) => "used".to_owned(),
        Err(failure) => failure.to_string(),
    }
}

#[test]
fn what_was_kept_is_read_back_by_the_same_host() {
    let dir = tempfile::tempdir().unwrap();
    let cache = cache(&dir);
    cache
        .keep(&asked(), &Server::new().fetched(|_| ()))
        .unwrap();
    let mut kept = cache.load(&asked()).unwrap();
    let kept = kept.remove("kv/app").unwrap();
    assert_eq!(kept.version(), 2);
    assert_eq!(kept.into_values()["password"], "h4Kq9ZxW2mP7vB3s");
    assert!(why(&cache) == "used");
}

#[test]
fn a_statement_of_long_ago_is_too_old_whatever_was_saved_when() {
    let dir = tempfile::tempdir().unwrap();
    let cache = cache(&dir);
    let old = Server::new().fetched(|statement| statement.issued -= 3601);
    cache.keep(&asked(), &old).unwrap();
    assert!(why(&cache).contains("may be 3600 s"), "{}", why(&cache));
}

#[test]
fn a_clock_that_was_set_back_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let cache = cache(&dir);
    cache
        .keep(&asked(), &Server::new().fetched(|_| ()))
        .unwrap();
    cache.note_time(Moment::now().unix + 3600).unwrap();
    assert!(
        why(&cache).contains("clock was set back"),
        "{}",
        why(&cache)
    );
}

#[test]
fn another_signature_another_value_and_an_older_epoch_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let cache = cache(&dir);
    let server = Server::new();
    let good = server.fetched(|_| ());
    cache.keep(&asked(), &good).unwrap();

    let mut forged = server.fetched(|_| ());
    forged.signed.statement = forged.signed.statement.replace("3600", "9999");
    assert!(cache.keep(&asked(), &forged).is_err());
    assert!(
        cache
            .keep(&asked(), &Server::new().fetched(|_| ()))
            .is_err()
    );
    let cluster = server.fetched(|statement| statement.cluster = "d".to_owned());
    assert!(cache.keep(&asked(), &cluster).is_err());
    assert_eq!(why(&cache), "used");

    let mut swapped = server.fetched(|_| ());
    swapped
        .texts
        .insert("kv/app".to_owned(), Sensitive::from("{}"));
    cache.keep(&asked(), &swapped).unwrap();
    assert!(why(&cache).contains("not what the server gave"));

    cache.keep(&asked(), &good).unwrap();
    cache
        .learn(&server.fetched(|statement| statement.epoch = 4).signed)
        .unwrap();
    assert!(why(&cache).contains("revoked"));
    // An older epoch that is heard of later changes nothing.
    cache.keep(&asked(), &good).unwrap();
    assert!(why(&cache).contains("revoked"));
}

#[test]
fn what_may_not_be_kept_does_not_reach_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let cache = cache(&dir);
    let never = Server::new().fetched(|statement| statement.secrets[0].max_stale = 0);
    cache.keep(&asked(), &never).unwrap();
    assert!(why(&cache).contains("nothing is kept"));
}
