//! The server's own route tables as requests that can be sent.

use serde_json::json;
use vault_tests::{Request, Vault};
use vaultd::core::dispatch::{AnyRow, rows};
use vaultd::core::mount::Kind;
use vaultd::core::request::Verb;

const KINDS: [Kind; 22] = [
    Kind::Kv1,
    Kind::Kv2,
    Kind::Transit,
    Kind::Totp,
    Kind::SshCa,
    Kind::SshKeys,
    Kind::Pki,
    Kind::Acme,
    Kind::Cubbyhole,
    Kind::System,
    Kind::Identity,
    Kind::Token,
    Kind::Approle,
    Kind::Userpass,
    Kind::Jwt,
    Kind::Oidc,
    Kind::Kubernetes,
    Kind::Github,
    Kind::Gcp,
    Kind::Cert,
    Kind::Ssh,
    Kind::Ldap,
];

/// Where a kind is mounted here. A new kind does not compile until it has its place, and belongs
/// into `KINDS` too.
fn place(kind: Kind) -> &'static str {
    match kind {
        Kind::Kv1 => "one/",
        Kind::Kv2 => "two/",
        Kind::Transit => "transit/",
        Kind::Totp => "totp/",
        Kind::SshCa => "ssh/",
        Kind::SshKeys => "sshkeys/",
        Kind::Pki => "pki/",
        Kind::Acme => "acme/",
        Kind::Cubbyhole => "cubbyhole/",
        Kind::System => "sys/",
        Kind::Identity => "identity/",
        Kind::Token => "auth/token/",
        Kind::Approle => "auth/approle/",
        Kind::Userpass => "auth/userpass/",
        Kind::Jwt => "auth/jwt/",
        Kind::Oidc => "auth/oidc/",
        Kind::Kubernetes => "auth/kubernetes/",
        Kind::Github => "auth/github/",
        Kind::Gcp => "auth/gcp/",
        Kind::Cert => "auth/cert/",
        Kind::Ssh => "auth/ssh/",
        Kind::Ldap => "auth/ldap/",
    }
}

/// Mounts what is not there from the start, and a role with the name that samples have.
pub(crate) fn mount_all(vault: &Vault) {
    vault
        .root("POST", "sys/mounts/one", json!({"type": "kv"}))
        .expect(204);
    vault
        .root(
            "POST",
            "sys/mounts/two",
            json!({"type": "kv", "options": {"version": "2"}}),
        )
        .expect(204);
    vault
        .root("POST", "sys/mounts/transit", json!({"type": "transit"}))
        .expect(204);
    vault
        .root("POST", "transit/keys/sample", json!({}))
        .expect(200);
    vault
        .root("POST", "sys/mounts/totp", json!({"type": "totp"}))
        .expect(204);
    vault
        .root(
            "POST",
            "totp/keys/sample",
            json!({"key": "GEZDGNBVGY3TQOJQ"}),
        )
        .expect(204);
    vault
        .root("POST", "sys/mounts/ssh", json!({"type": "ssh"}))
        .expect(204);
    vault
        .root("POST", "sys/mounts/sshkeys", json!({"type": "sshkeys"}))
        .expect(204);
    vault
        .root("POST", "sshkeys/keys/sample", json!({}))
        .expect(200);
    vault
        .root("POST", "sys/mounts/pki", json!({"type": "pki"}))
        .expect(204);
    vault
        .root("POST", "pki/roles/sample", json!({}))
        .expect(200);
    vault
        .root("POST", "sys/mounts/acme", json!({"type": "acme"}))
        .expect(204);
    vault
        .root(
            "POST",
            "acme/account/sample",
            json!({"directory": "https://127.0.0.1:9/dir", "terms_agreed": true}),
        )
        .expect(200);
    vault
        .root("POST", "sys/auth/approle", json!({"type": "approle"}))
        .expect(204);
    vault
        .root(
            "POST",
            "auth/approle/role/sample",
            json!({"bind_secret_id": true}),
        )
        .expect(204);
    vault
        .root("POST", "sys/auth/cert", json!({"type": "cert"}))
        .expect(204);
    vault
        .root("POST", "sys/auth/ssh", json!({"type": "ssh"}))
        .expect(204);
    vault
        .root("POST", "sys/auth/userpass", json!({"type": "userpass"}))
        .expect(204);
    vault
        .root(
            "POST",
            "auth/userpass/users/sample",
            json!({"password": "sample"}),
        )
        .expect(204);
    vault
        .root("POST", "auth/token/roles/sample", json!({"orphan": true}))
        .expect(204);
    for kind in ["kubernetes", "github", "ldap", "gcp"] {
        vault
            .root("POST", &format!("sys/auth/{kind}"), json!({ "type": kind }))
            .expect(204);
    }
    let role = json!({"type": "gce", "bound_projects": "sample"});
    vault.root("POST", "auth/gcp/role/sample", role).expect(204);
    for kind in ["jwt", "oidc"] {
        let role = json!({"role_type": "jwt", "user_claim": "sub", "bound_audiences": "sample"});
        vault
            .root("POST", &format!("sys/auth/{kind}"), json!({ "type": kind }))
            .expect(204);
        vault
            .root("POST", &format!("auth/{kind}/role/sample"), role)
            .expect(204);
    }
}

/// A row with the path that leads to it.
#[derive(Clone)]
pub(crate) struct Route {
    pub(crate) row: AnyRow,
    pub(crate) path: String,
}

impl Route {
    pub(crate) fn new(kind: Kind, row: AnyRow) -> Route {
        let sample = row
            .pattern
            .split('/')
            .map(|part| match part.starts_with('{') {
                true if part.contains("..") => "sample/deep",
                true => "sample",
                false => part,
            });
        let path = format!("{}{}", place(kind), sample.collect::<Vec<_>>().join("/"));
        Route { row, path }
    }

    pub(crate) fn method(&self) -> &'static str {
        match self.row.verb {
            Verb::Read => "GET",
            Verb::Write => "POST",
            Verb::Patch => "PATCH",
            Verb::Delete => "DELETE",
            Verb::List => "LIST",
        }
    }

    pub(crate) fn writes(&self) -> bool {
        matches!(self.row.verb, Verb::Write | Verb::Patch)
    }

    pub(crate) fn request(&self) -> Request {
        let request = Request::new(self.method(), &self.path);
        if self.writes() {
            request.json(&json!({}))
        } else {
            request
        }
    }

    pub(crate) fn name(&self) -> String {
        format!("{} {} ({:?})", self.method(), self.path, self.row.access)
    }
}

/// Every row of every kind.
pub(crate) fn all() -> Vec<Route> {
    let routes = KINDS
        .into_iter()
        .flat_map(|kind| rows(kind).into_iter().map(move |row| Route::new(kind, row)));
    routes.collect()
}
