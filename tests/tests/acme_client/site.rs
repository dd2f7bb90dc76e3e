//! A vault with a mount of certificates, and an authority.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use vault_tests::pebble::{Habits, Pebble, free_port};
use vault_tests::process::{good, until};
use vault_tests::{Options, Vault};

pub struct Site {
    pub vault: Vault,
    pub pebble: Pebble,
    /// Writes records; what it did is in its `.log`.
    pub hook: PathBuf,
    /// Port of the plain listener.
    pub http: u16,
}

impl Site {
    pub fn new() -> Site {
        Site::with(|_| {})
    }

    /// With an authority of other habits.
    pub fn with(adjust: impl FnOnce(&mut Habits)) -> Site {
        Site::with_listener("", adjust)
    }

    /// With more keys of the listener.
    pub fn with_listener(keys: &str, adjust: impl FnOnce(&mut Habits)) -> Site {
        let http = free_port();
        let hook = tempfile::tempdir().unwrap().keep().join("hook");
        let toml =
            format!("[acme]\nhttp_listen = \"127.0.0.1:{http}\"\n[acme.hooks]\ntest = {hook:?}\n");
        let vault = Vault::ready_with(Options {
            toml,
            listener: keys.to_owned(),
            ..Options::default()
        });
        let tls = vault.endpoint.address.rsplit_once(':').unwrap().1;
        let mut habits = Habits::at(http, tls.parse().unwrap());
        adjust(&mut habits);
        let pebble = Pebble::start(&habits);
        write_hook(&hook, pebble.records_port);
        let mount = json!({"type": "acme"});
        vault.root("POST", "sys/mounts/acme", mount).expect(204);
        let site = Site {
            vault,
            pebble,
            hook,
            http,
        };
        site.write("account/test", site.account());
        site
    }

    /// What the plain listener answers.
    pub fn plain(&self, sent: &str) -> String {
        use std::io::{Read, Write};
        let mut tcp = std::net::TcpStream::connect(("127.0.0.1", self.http)).unwrap();
        tcp.write_all(sent.as_bytes()).unwrap();
        let mut answer = String::new();
        tcp.read_to_string(&mut answer).unwrap();
        answer
    }

    pub fn account(&self) -> Value {
        json!({
            "directory": self.pebble.directory,
            "contact": "admin@example.test",
            "terms_agreed": true,
            "ca_cert": self.pebble.ca_pem,
        })
    }

    #[track_caller]
    pub fn write(&self, path: &str, body: Value) -> Value {
        let answer = self.vault.root("POST", &format!("acme/{path}"), body);
        assert!(answer.status < 300, "{path}: {}", answer.text);
        answer.data().clone()
    }

    #[track_caller]
    pub fn refused(&self, path: &str, body: Value) -> String {
        let answer = self.vault.root("POST", &format!("acme/{path}"), body);
        assert_eq!(answer.status, 400, "{path}: {}", answer.text);
        answer.text
    }

    #[track_caller]
    pub fn read(&self, path: &str) -> Value {
        let answer = self.vault.root("GET", &format!("acme/{path}"), Value::Null);
        answer.expect(200).data().clone()
    }

    pub fn cert(&self, name: &str, names: &[&str], challenge: &str) -> Value {
        let body = json!({"account": "test", "names": names, "challenge": challenge});
        self.write(&format!("certs/{name}"), body)
    }

    /// Waits until the certificate is as it should be.
    #[track_caller]
    pub fn until(&self, name: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        let found = until(Duration::from_secs(60), || {
            last = self.read(&format!("certs/{name}"));
            is_so(&last).then(|| last.clone())
        });
        found.unwrap_or_else(|| {
            panic!(
                "{name} stays so: {last:#}\n{}\n{}",
                self.vault.log(),
                self.pebble.log()
            )
        })
    }

    /// Waits until nothing is under way, with this version.
    #[track_caller]
    pub fn ready(&self, name: &str, version: u64) -> Value {
        self.until(name, |cert| {
            cert["state"] == "valid" && cert["current_version"] == version && cert["step"].is_null()
        })
    }

    /// The key is the certificate's, and its chain leads to the authority's root.
    pub fn proved(&self, name: &str) -> Value {
        let pair = self.read(&format!("keypair/{name}"));
        let dir = tempfile::tempdir().unwrap();
        let write = |file: &str, text: &str| -> PathBuf {
            let path = dir.path().join(file);
            fs::write(&path, text).unwrap();
            path
        };
        let key = write("key", pair["private_key"].as_str().unwrap());
        let cert = write("cert", pair["certificate"].as_str().unwrap());
        let chain: Vec<&str> = pair["ca_chain"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one.as_str().unwrap())
            .collect();
        let chain = write("chain", &chain.join("\n"));
        let mut verify = Command::new("openssl");
        verify.args(["verify", "-CAfile"]).arg(self.pebble.root());
        good(verify.arg("-untrusted").arg(chain).arg(&cert));
        let mut own = Command::new("openssl");
        let own = good(own.args(["pkey", "-pubout", "-in"]).arg(key));
        let mut its = Command::new("openssl");
        let its = good(its.args(["x509", "-noout", "-pubkey", "-in"]).arg(cert));
        assert_eq!(own, its);
        pair
    }
}

/// A program that keeps records in the DNS which the authority asks.
fn write_hook(path: &PathBuf, port: u16) {
    use std::os::unix::fs::PermissionsExt;
    let text = format!(
        r#"#!/bin/bash
case $1 in add) deed=set-txt ;; remove) deed=clear-txt ;; *) exit 9 ;; esac
[ $# = 3 ] && [ -z "$HOME$VAULT_TOKEN" ] || exit 8
body="{{\"host\":\"$2.\",\"value\":\"$3\"}}"
exec 3<>/dev/tcp/127.0.0.1/{port}
printf 'POST /%s HTTP/1.0\r\nContent-Length: %s\r\n\r\n%s' $deed ${{#body}} "$body" >&3
head -n 1 <&3 | grep -q ' 200 '
echo "$@" >>"$0.log"
"#
    );
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}
