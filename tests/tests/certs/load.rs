//! Twenty renewals while clients connect without end: none is refused, each certificate is served.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::Value;
use vault_tests::process::until;

use crate::server::{Kind, openssl_verifies};
use crate::site::{Load, Site};

const RENEWALS: usize = 20;

fn renewals_under_load(kind: Kind, how: &dyn Fn(&Site) -> Vec<String>) {
    let site = Site::new();
    let server = site.serve(kind);
    let how = how(&site);
    let how: Vec<&str> = how.iter().map(String::as_str).collect();
    let said = site.run(&site.install(kind, &server, &how));
    assert_eq!(said.code, 0, "{}", said.err);
    let client = site.client(&server);
    let mut serials = Vec::new();
    let (served, wrong) = Load::during(&client, |load| {
        for _ in 0..RENEWALS {
            let said = site.good("renew shop --format json");
            let said: Value = serde_json::from_str(&said).unwrap();
            assert_eq!(said["served"], true);
            serials.push(said["certificate"]["serial"].clone());
            // Until the load has met it.
            let before = load.answered.load(Ordering::Relaxed);
            let met = || (load.answered.load(Ordering::Relaxed) > before + 3).then_some(());
            until(Duration::from_secs(20), met).unwrap();
        }
        assert!(load.answered.load(Ordering::Relaxed) > 3 * RENEWALS);
    });
    assert_eq!(wrong, Vec::<String>::new());
    serials.dedup();
    assert_eq!(serials.len(), RENEWALS);
    // The one from before the first renewal, too, if the load was quick enough.
    assert!(served.len() >= RENEWALS, "{} were served", served.len());
    openssl_verifies(&site.path("root.pem"), &site.chain(kind));
}

#[test]
fn nginx_is_reloaded_by_its_own_program() {
    renewals_under_load(Kind::Nginx, &|site| {
        let reload = crate::server::nginx_reload(site.dir.path());
        vec!["--reload".to_owned(), reload]
    });
}

#[test]
fn haproxy_is_reloaded_by_a_signal() {
    renewals_under_load(Kind::Haproxy, &|site| {
        let pid = site.path("haproxy.pid").display().to_string();
        vec!["--reload-signal".to_owned(), format!("USR2:{pid}")]
    });
}

#[test]
fn haproxy_takes_it_over_its_socket_without_a_reload() {
    renewals_under_load(Kind::Haproxy, &|site| {
        let socket = site.path("admin.sock").display().to_string();
        vec!["--haproxy-socket".to_owned(), socket]
    });
}
