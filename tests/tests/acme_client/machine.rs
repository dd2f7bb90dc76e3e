//! A machine that takes what the server keeps renewed.

use std::fs;

use serde_json::{Value, json};
use vault_tests::Vaultctl;

use crate::site::Site;

#[test]
fn an_agent_takes_each_new_version() {
    let site = Site::new();
    site.cert("web", &["www.example.test"], "http-01");
    site.ready("web", 1);
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let text = format!(
        "state = {:?}\n[certificate.web]\nacme = true\nmount = \"acme\"\nrole = \"web\"\n\
         name = \"www.example.test\"\nlayout = \"separate\"\nto = {:?}\n",
        path("state"),
        path("tls")
    );
    fs::write(path("agent.toml"), text).unwrap();
    let vaultctl = Vaultctl::new(dir.path(), &site.vault.addr)
        .env("VAULT_TOKEN", &site.vault.root)
        .env("VAULT_CACERT", &site.vault.ca().display().to_string());
    let config = path("agent.toml");
    let once = || {
        let said = vaultctl.run(&["cert", "agent", "--once", "--config", &config], "");
        assert_eq!(said.code, 0, "{}", said.err);
        fs::read_to_string(path("tls/cert.pem")).unwrap()
    };
    let first = once();
    let served = site.read("keypair/web");
    assert_eq!(first.trim(), served["certificate"].as_str().unwrap().trim());
    assert_eq!(once(), first, "nothing was to be done");
    site.write("certs/web/renew", json!({}));
    site.ready("web", 2);
    assert_ne!(once(), first);
    let said = vaultctl.run(&["pki", "expiring", "--within", "2000d", "--json"], "");
    let rows: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(rows[0]["kind"], "acme", "{}{}", said.out, said.err);
    assert_eq!(
        (&rows[0]["mount"], &rows[0]["name"]),
        (&json!("acme/"), &json!("web"))
    );
}
