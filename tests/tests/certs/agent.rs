//! The agent: in time, through outages, killed and started again.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use vault_tests::process::{Process, until};
use vault_tests::{Said, Vaultctl, program};

use crate::server::{Kind, NAME, Server, nginx_reload, script};
use crate::site::{Load, Site};

const LONG: Duration = Duration::from_secs(30);

/// With a role whose certificates live for seconds, and a login of its own whose tokens do, too.
fn site() -> Site {
    let site = Site::new();
    let vault = &site.vault;
    let body = json!({"type": "approle"});
    vault.root("POST", "sys/auth/approle", body).expect(204);
    let role = json!({"token_policies": "machine", "token_ttl": "3s", "token_max_ttl": "3s"});
    vault
        .root("POST", "auth/approle/role/agent", role)
        .expect(204);
    let path = "auth/approle/role/agent/secret-id";
    let made = vault.root("POST", path, json!({})).expect(200);
    let secret = made.body["data"]["secret_id"].as_str().unwrap().to_owned();
    fs::write(site.path("secret-id"), secret).unwrap();
    site
}

/// Writes the agent's file; its path.
fn configure(site: &Site, server: &Server, ttl: &str, reload: &str) -> PathBuf {
    let path = "auth/approle/role/agent/role-id";
    let role = site.vault.root("GET", path, Value::Null).expect(200);
    let role = role.body["data"]["role_id"].as_str().unwrap().to_owned();
    let dir = site.dir.path().display();
    let probe = server.address();
    let text = format!(
        r#"
check_every = "1s"
metrics = "{dir}/vaultctl.prom"
state = "{dir}/state"

[login]
method = "approle"
role_id = "{role}"
secret_id_file = "{dir}/secret-id"

[certificate.shop]
role = "web"
name = "{NAME}"
ttl = "{ttl}"
layout = "nginx"
to = "{dir}/tls"
reload = "{reload}"
probe = ["{probe}"]
probe_seconds = 3
"#
    );
    let path = site.path("agent.toml");
    fs::write(&path, text).unwrap();
    path
}

/// Without the token of the site: it logs in by itself.
fn command(site: &Site, more: &[&str]) -> Command {
    let config = site.path("agent.toml").display().to_string();
    let mut words = vec!["cert", "agent", "--config", &config];
    words.extend(more);
    Vaultctl::new(site.dir.path(), &site.vault.addr).command(&words)
}

fn once(site: &Site) -> Said {
    let output = command(site, &["--once"]).output().unwrap();
    let (code, out, err) = vault_tests::process::told(&output);
    Said { code, out, err }
}

fn start(site: &Site) -> Process {
    assert!(program("vaultctl").exists());
    let dir = site.path("agent");
    fs::create_dir_all(&dir).unwrap();
    Process::spawn(command(site, &[]), &dir)
}

fn serial(site: &Site) -> String {
    let record = site.record();
    record["installed"]["serial"].as_str().unwrap().to_owned()
}

/// Waits until there is another certificate, and nothing is under way.
#[track_caller]
fn another(site: &Site, than: &str, agent: &Process) -> String {
    let found = until(LONG, || {
        let is_done = site.record()["unfinished"].is_null();
        (is_done && serial(site) != than).then(|| serial(site))
    });
    found.unwrap_or_else(|| panic!("still the same\n{}", agent.log()))
}

#[test]
fn certificates_are_renewed_in_time_also_after_the_server_was_sealed() {
    let site = site();
    let server = site.serve(Kind::Nginx);
    configure(&site, &server, "9s", &nginx_reload(site.dir.path()));
    let mut agent = start(&site);
    let client = site.client(&server);
    let first = serial(&site);
    let second = another(&site, &first, &agent);
    let (served, wrong) = Load::during(&client, |_| {
        let third = another(&site, &second, &agent);
        site.vault.root("PUT", "sys/seal", Value::Null).expect(204);
        let said = until(LONG, || agent.log().contains("is sealed").then_some(()));
        said.unwrap_or_else(|| panic!("{}", agent.log()));
        assert!(serial(&site) == third || !site.record()["failure"].is_null());
        site.vault.unseal();
        another(&site, &third, &agent);
    });
    // What is served while the server is sealed may end by then; nothing else may go wrong.
    let odd: Vec<&String> = wrong
        .iter()
        .filter(|wrong| !wrong.to_lowercase().contains("expired"))
        .collect();
    assert!(odd.is_empty(), "{odd:?}\n{}", agent.log());
    assert!(served.len() >= 3, "{}\n{}", served.len(), agent.log());
    let text = fs::read_to_string(site.path("vaultctl.prom")).unwrap();
    for name in ["not_after_seconds", "days_left", "last_error"] {
        let line = format!("vaultctl_certificate_{name}{{name=\"shop\"}} ");
        assert!(text.contains(&line), "{text}");
    }
    assert!(agent.terminate().success());
}

#[test]
fn an_agent_that_was_killed_between_write_and_reload_is_healed_by_the_next() {
    let site = site();
    let server = site.serve(Kind::Nginx);
    let (hang, mark) = (site.path("hang"), site.path("mark"));
    let text = format!(
        "touch {}; while [ -e {} ]; do sleep 0.05; done; exec {}",
        mark.display(),
        hang.display(),
        nginx_reload(site.dir.path())
    );
    let slow = script(site.path("slow"), &text);
    configure(&site, &server, "1h", &slow);
    let first = serial(&site);
    fs::write(&hang, "").unwrap();
    let mut agent = start(&site);
    until(LONG, || mark.exists().then_some(())).unwrap_or_else(|| panic!("{}", agent.log()));
    agent.kill9();
    assert!(!site.record()["unfinished"].is_null());
    fs::remove_file(&hang).unwrap();
    // It needs no server for that.
    site.vault.root("PUT", "sys/seal", Value::Null).expect(204);
    let agent = start(&site);
    another(&site, &first, &agent);
    assert!(
        agent.log().contains("goes on where it was interrupted"),
        "{}",
        agent.log()
    );
    assert_eq!(site.pki("verify-served shop").code, 0);
    site.vault.unseal();
}

#[test]
fn what_the_server_revoked_is_replaced_and_a_changed_file_is_read_at_sighup() {
    let site = site();
    let server = site.serve(Kind::Nginx);
    configure(&site, &server, "1h", &nginx_reload(site.dir.path()));
    let first = serial(&site);
    // The wish is another one than that of the installation before.
    let said = once(&site);
    assert_eq!(said.code, 0, "{}", said.err);
    let second = serial(&site);
    assert_ne!(first, second);
    assert_eq!(once(&site).code, 0);
    assert_eq!(serial(&site), second, "nothing was to be done");
    let body = json!({ "serial_number": second });
    site.vault.root("POST", "pki/revoke", body).expect(200);
    let agent = start(&site);
    let third = another(&site, &second, &agent);
    configure(&site, &server, "2h", &nginx_reload(site.dir.path()));
    agent.signal(Signal::HUP);
    let fourth = another(&site, &third, &agent);
    fs::write(site.path("agent.toml"), "nonsense").unwrap();
    agent.signal(Signal::HUP);
    let said = until(LONG, || {
        agent.log().contains("stays as it was").then_some(())
    });
    said.unwrap_or_else(|| panic!("{}", agent.log()));
    // A file that is gone is written again.
    fs::remove_file(site.path("tls/fullchain.pem")).unwrap();
    another(&site, &fourth, &agent);
}

#[test]
fn a_reload_that_goes_wrong_is_taken_back_said_and_tried_again() {
    let site = site();
    let server = site.serve(Kind::Nginx);
    let switch = site.path("switch");
    let text = format!(
        "[ -e {} ] || exit 0; exec {}",
        switch.display(),
        nginx_reload(site.dir.path())
    );
    let reload = script(site.path("reload"), &text);
    configure(&site, &server, "1h", &reload);
    let first = serial(&site);
    let before = site.client(&server).ask().unwrap();
    let said = once(&site);
    assert_eq!(said.code, 4, "{}", said.err);
    assert!(said.err.contains("another certificate"), "{}", said.err);
    assert_eq!(
        (serial(&site), site.client(&server).ask().unwrap()),
        (first.clone(), before)
    );
    let text = fs::read_to_string(site.path("vaultctl.prom")).unwrap();
    assert!(
        text.contains("vaultctl_certificate_last_error{name=\"shop\"} 1"),
        "{text}"
    );
    let agent = start(&site);
    let said = until(LONG, || agent.log().contains("again in").then_some(()));
    said.unwrap_or_else(|| panic!("{}", agent.log()));
    fs::write(&switch, "").unwrap();
    another(&site, &first, &agent);
    assert!(site.record()["failure"].is_null());
}

#[test]
fn the_sample_is_right() {
    let dir = tempfile::tempdir().unwrap();
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/certs/agent.toml");
    let vaultctl = Vaultctl::new(dir.path(), "https://127.0.0.1:1");
    let said = vaultctl.run(&["cert", "agent", "--config", sample, "--check"], "");
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.out.contains("api, app, shop"), "{}", said.out);
}
