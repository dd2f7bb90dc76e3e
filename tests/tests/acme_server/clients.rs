//! ACME clients as Debian has them, from the first certificate to its revocation.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use vault_tests::Options;

use crate::site::Site;

fn certbot(site: &Site, prefix: &str) -> Command {
    let dir = site.dir("certbot");
    let mut command = Command::new("certbot");
    for folder in ["config", "work", "logs"] {
        command.arg(format!("--{folder}-dir")).arg(dir.join(folder));
    }
    command
        .args(["--non-interactive", "--server", &site.directory(prefix)])
        .args(["--http-01-port", &site.http_port.to_string()]);
    command
}

fn serials(site: &Site, name: &str) -> String {
    let live = site.dir("certbot").join("config/live");
    site.verify(&live.join(name).join("fullchain.pem"), name)
}

#[test]
fn certbot_gets_renews_and_revokes_by_http_01() {
    let site = Site::new();
    site.role("web", json!({}));
    let only = [
        "certonly",
        "--standalone",
        "--agree-tos",
        "-m",
        "a@example.test",
    ];
    let mut command = certbot(&site, "roles/web/");
    command
        .args(only)
        .args(["-d", "www.test", "-d", "api.test"]);
    site.run(&mut command);
    let first = serials(&site, "www.test");
    site.run(certbot(&site, "roles/web/").args([
        "renew",
        "--force-renewal",
        "--no-random-sleep-on-renew",
    ]));
    let second = serials(&site, "www.test");
    assert_ne!(first, second);
    assert!(!site.is_revoked(&first));
    let revoke = [
        "revoke",
        "--cert-name",
        "www.test",
        "--reason",
        "keycompromise",
        "--no-delete-after-revoke",
    ];
    site.run(certbot(&site, "roles/web/").args(revoke));
    assert!(site.is_revoked(&second));
    // What the role does not allow is refused by name.
    let mut command = certbot(&site, "roles/web/");
    command.args(only).args(["-d", "www.example.com"]);
    let (ok, said) = site.attempt(&mut command);
    let log = site.dir("certbot").join("logs/letsencrypt.log");
    let log = fs::read_to_string(log).unwrap();
    assert!(!ok && log.contains("not allowed by this role"), "{said}");
    site.run(certbot(&site, "roles/web/").args(["update_account", "-m", "b@example.test"]));
    site.run(certbot(&site, "roles/web/").arg("unregister"));
}

#[test]
fn certbot_with_an_external_account_binding() {
    let site = Site::new();
    site.root(
        "POST",
        "pki/config/acme",
        json!({"eab_policy": "always-required"}),
    )
    .expect(200);
    let register = ["register", "--agree-tos", "-m", "a@example.test"];
    let (ok, said) = site.attempt(certbot(&site, "").args(register));
    assert!(!ok, "{said}");
    let made = site
        .root("POST", "pki/acme/new-eab", Value::Null)
        .expect(200);
    let text = |name: &str| made.data()[name].as_str().unwrap().to_owned();
    assert_eq!(text("key_type"), "hs");
    let listed = site.root("LIST", "pki/eab", Value::Null).expect(200);
    assert_eq!(listed.data()["keys"], json!([text("id")]));
    let mut command = certbot(&site, "");
    command
        .args(register)
        .args(["--eab-kid", &text("id"), "--eab-hmac-key", &text("key")]);
    site.run(&mut command);
    // Each is good once.
    site.root("LIST", "pki/eab", Value::Null).expect(404);
    let mut command = certbot(&site, "");
    command.args(["certonly", "--standalone", "-d", "bound.test"]);
    site.run(&mut command);
    serials(&site, "bound.test");
}

/// A script that serves what `hook` says.
fn script(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn dehydrated_gets_a_wildcard_by_dns_01_from_dnsmasq() {
    let site = Site::new();
    let dir = site.dir("dehydrated");
    let port = site.http_port;
    site.root(
        "POST",
        "pki/config/acme",
        json!({"dns_resolver": format!("127.0.0.1:{port}")}),
    )
    .expect(200);
    let config = format!(
        "CA={}\nBASEDIR={}\nCHALLENGETYPE=dns-01\nHOOK={}\nKEY_ALGO=prime256v1\nHOOK_CHAIN=no\n",
        site.directory(""),
        dir.display(),
        dir.join("hook").display()
    );
    fs::write(dir.join("config"), config).unwrap();
    // dnsmasq reads its records when it starts.
    script(
        &dir.join("hook"),
        &format!(
            "#!/bin/bash\nset -e\ncd {}\nstop() {{ [ ! -e pid ] || {{ kill $(cat pid) || true; rm -f pid; }}; }}\n\
             case $1 in\n\
             deploy_challenge) echo \"txt-record=_acme-challenge.$2,$4\" >> records; stop; sleep 0.2\n\
               dnsmasq --conf-file=$PWD/records --port={port} --listen-address=127.0.0.1 --bind-interfaces --no-resolv --no-hosts --pid-file=$PWD/pid --user=$(id -un) ;;\n\
             clean_challenge) stop ;;\nesac\n",
            dir.display()
        ),
    );
    let mut command = Command::new("dehydrated");
    command.arg("-f").arg(dir.join("config"));
    site.run(command.args(["--register", "--accept-terms"]));
    let mut command = Command::new("dehydrated");
    command.arg("-f").arg(dir.join("config"));
    site.run(command.args(["-c", "-d", "*.wild.test wild.test", "--alias", "wild"]));
    let chain = dir.join("certs/wild/fullchain.pem");
    site.verify(&chain, "a.wild.test");
    let serial = site.verify(&chain, "wild.test");
    let mut command = Command::new("dehydrated");
    command.arg("-f").arg(dir.join("config"));
    site.run(command.arg("-r").arg(dir.join("certs/wild/cert.pem")));
    assert!(site.is_revoked(&serial));
}

/// Serves a folder over HTTP until dropped.
struct Served(Child);

impl Served {
    fn new(folder: &Path, port: u16) -> Served {
        let mut command = Command::new("python3");
        command
            .args(["-m", "http.server", "--bind", "127.0.0.1"])
            .arg("--directory")
            .arg(folder)
            .arg(port.to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let served = Served(command.spawn().unwrap());
        let up = || std::net::TcpStream::connect(("127.0.0.1", port)).ok();
        vault_tests::process::until(std::time::Duration::from_secs(10), up).unwrap();
        served
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn uacme_gets_rolls_its_key_over_and_revokes() {
    // Its TLS library trusts the system's authorities only.
    let site = Site::with(Options::plain(), json!({}));
    let dir = site.dir("uacme");
    let web = site.dir("web/.well-known/acme-challenge");
    let _served = Served::new(&site.dir("web"), site.http_port);
    script(
        &dir.join("hook"),
        &format!(
            "#!/bin/sh\n[ \"$2\" = http-01 ] || exit 1\ncase $1 in\nbegin) printf %s \"$5\" > {0}/$4 ;;\n*) rm -f {0}/$4 ;;\nesac\n",
            web.display()
        ),
    );
    let uacme = |args: &[&str]| {
        let mut command = Command::new("uacme");
        command
            .args(["-y", "-t", "EC", "-a", &site.directory(""), "-c"])
            .arg(dir.join("conf"));
        command.arg("-h").arg(dir.join("hook")).args(args);
        site.run(&mut command)
    };
    uacme(&["new", "a@example.test"]);
    uacme(&["issue", "uacme.test", "other.test"]);
    let chain = dir.join("conf/uacme.test/cert.pem");
    let serial = site.verify(&chain, "other.test");
    uacme(&["newkey"]);
    uacme(&["-f", "issue", "uacme.test"]);
    assert_ne!(site.verify(&chain, "uacme.test"), serial);
    uacme(&["revoke", chain.to_str().unwrap()]);
    uacme(&["deactivate"]);
}

#[test]
fn acme_tiny_gets_a_certificate_with_rsa() {
    let site = Site::new();
    let dir = site.dir("tiny");
    let web = site.dir("web/.well-known/acme-challenge");
    let _served = Served::new(&site.dir("web"), site.http_port);
    let openssl = |args: &[&str]| {
        let mut command = Command::new("openssl");
        site.run(command.args(args).current_dir(&dir));
    };
    openssl(&["genrsa", "-out", "account.key", "2048"]);
    let request = [
        "req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "csr.pem",
    ];
    openssl(
        &[
            &request[..],
            &[
                "-subj",
                "/CN=tiny.test",
                "-addext",
                "subjectAltName=DNS:tiny.test",
            ],
        ]
        .concat(),
    );
    let mut command = Command::new("acme-tiny");
    command
        .args([
            "--account-key",
            "account.key",
            "--csr",
            "csr.pem",
            "--disable-check",
            "--acme-dir",
        ])
        .arg(&web)
        .args(["--directory-url", &site.directory("")])
        .current_dir(&dir);
    let said = site.run(&mut command);
    let start = said.find("-----BEGIN").unwrap();
    let end = said.rfind("-----END CERTIFICATE-----").unwrap() + 25;
    fs::write(dir.join("chain.pem"), &said[start..end]).unwrap();
    site.verify(&dir.join("chain.pem"), "tiny.test");
}

#[test]
fn lego_gets_and_renews_by_tls_alpn_01_with_a_binding() {
    let site = Site::new();
    site.role("alpn", json!({"acme_allowed_networks": "127.0.0.1/32"}));
    site.root(
        "POST",
        "pki/config/acme",
        json!({"eab_policy": "new-account-required"}),
    )
    .expect(200);
    let made = site
        .root("POST", "pki/roles/alpn/acme/new-eab", Value::Null)
        .expect(200);
    let text = |name: &str| made.data()[name].as_str().unwrap().to_owned();
    let dir = site.dir("lego");
    let lego = |args: &[&str]| {
        let mut command = Command::new("lego");
        command
            .args(["--server", &site.directory("roles/alpn/"), "--accept-tos"])
            .args([
                "--email",
                "a@example.test",
                "--domains",
                "lego.test",
                "--tls",
            ])
            .args(["--tls.port", &format!("127.0.0.1:{}", site.tls_port)])
            .args([
                "--eab",
                "--kid",
                &text("id"),
                "--hmac",
                &text("key"),
                "--path",
            ])
            .arg(&dir)
            .args(args);
        site.run(&mut command)
    };
    lego(&["run"]);
    let chain = dir.join("certificates/lego.test.crt");
    let first = site.verify(&chain, "lego.test");
    lego(&["renew", "--days", "400", "--no-random-sleep"]);
    let second = site.verify(&chain, "lego.test");
    assert_ne!(first, second);
    lego(&["revoke"]);
    assert!(site.is_revoked(&second));
    assert!(TcpListener::bind(("127.0.0.1", site.tls_port)).is_ok());
}
