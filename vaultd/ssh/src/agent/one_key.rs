//! The keys of an agent that holds one private key, for known hosts.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{Host, Identity, Keys, Login};
use crate::key::Key;
use crate::private::PrivateKey;

/// One private key in memory. It logs in to these hosts alone, and only for clients that prove which
/// host they talk to.
#[derive(Debug)]
pub struct OneKey {
    key: PrivateKey,
    comment: String,
    hosts: Vec<Key>,
    signed: AtomicU64,
}

impl OneKey {
    /// The hosts are named by their keys, or by the authorities that signed their certificates.
    pub fn new(key: PrivateKey, comment: &str, hosts: Vec<Key>) -> OneKey {
        OneKey {
            key,
            comment: comment.to_owned(),
            hosts,
            signed: AtomicU64::new(0),
        }
    }

    /// How often it has signed.
    pub fn signed(&self) -> u64 {
        self.signed.load(Ordering::Relaxed)
    }

    fn is_for(&self, host: Option<&Host>) -> bool {
        host.is_some_and(|host| host.is_one_of(&self.hosts))
    }
}

impl Keys for OneKey {
    async fn identities(&self, host: Option<&Host>) -> Vec<Identity> {
        // `ssh-add -l` is bound to no host.
        match host.is_none() || self.is_for(host) {
            true => vec![Identity {
                key: self.key.public().blob(),
                comment: self.comment.clone(),
            }],
            false => Vec::new(),
        }
    }

    async fn sign(&self, login: &Login<'_>) -> Option<Vec<u8>> {
        if !self.is_for(login.host) || login.userauth.key != self.key.public().blob() {
            return None;
        }
        let algorithm = login.userauth.signing_algorithm();
        let signature = self.key.sign_as(algorithm, login.data).ok()?;
        self.signed.fetch_add(1, Ordering::Relaxed);
        Some(signature)
    }
}
