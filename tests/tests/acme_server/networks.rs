//! Where a check may go, and where nobody makes the server go.

use std::io::{Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use vault_tests::process::until;

use crate::client::{Client, challenge, csr};
use crate::site::{Site, port};

/// Answers every request with what it is told, and counts.
struct Host {
    port: u16,
    asked: Arc<AtomicUsize>,
    answer: Arc<Mutex<String>>,
}

impl Host {
    fn at(address: &str, port: u16) -> Host {
        let listener = TcpListener::bind((address, port)).unwrap();
        let host = Host {
            port,
            asked: Arc::default(),
            answer: Arc::default(),
        };
        let (asked, answer) = (Arc::clone(&host.asked), Arc::clone(&host.answer));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else {
                    return;
                };
                asked.fetch_add(1, Ordering::SeqCst);
                let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
                let mut head = Vec::new();
                let mut buffer = [0; 4096];
                while !head.windows(4).any(|end| end == b"\r\n\r\n") {
                    match stream.read(&mut buffer) {
                        Ok(length) if length > 0 => head.extend_from_slice(&buffer[..length]),
                        _ => break,
                    }
                }
                let text = answer.lock().unwrap().clone();
                let _ = stream.write_all(text.as_bytes());
            }
        });
        host
    }

    fn says(&self, answer: &str) {
        answer.clone_into(&mut self.answer.lock().unwrap());
    }

    fn serves(&self, body: &str) {
        let length = body.len();
        self.says(&format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        ));
    }

    fn redirects(&self, to: &str) {
        self.says(&format!(
            "HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        ));
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn error(found: &Value) -> (String, String) {
    assert_eq!(found["status"], "invalid", "{found}");
    let error = &found["challenges"][0]["error"];
    let text = |name: &str| error[name].as_str().unwrap().to_owned();
    (
        text("type").rsplit(':').next().unwrap().to_owned(),
        text("detail"),
    )
}

fn fails(client: &Client<'_>, name: &str, method: &str) -> (String, String) {
    let order = client.order(&[name]);
    error(&client.prove(&order.authorizations()[0], method))
}

#[test]
fn no_address_inside_is_reached_unless_a_role_allows_it() {
    let site = Site::new();
    site.role(
        "closed",
        json!({"acme_allowed_networks": "", "allow_any_name": true, "enforce_hostnames": false}),
    );
    let (http, tls) = (
        Host::at("127.0.0.1", site.http_port),
        Host::at("127.0.0.1", site.tls_port),
    );
    let client = Client::registered(&site, "roles/closed/");
    for inside in [
        "127.0.0.1",
        "127.0.0.2",
        "10.0.0.1",
        "169.254.169.254",
        "0.0.0.0",
    ] {
        site.dns(
            "add-a",
            &json!({"host": format!("h{}.test.", inside.replace('.', "-")), "addresses": [inside]}),
        );
        let name = format!("h{}.test", inside.replace('.', "-"));
        for method in ["http-01", "tls-alpn-01"] {
            let (kind, detail) = fails(&client, &name, method);
            assert_eq!(kind, "rejectedIdentifier", "{detail}");
            assert!(detail.contains("acme_allowed_networks"));
        }
    }
    for inside in [
        "127.0.0.1",
        "::1",
        "10.1.2.3",
        "fd00::1",
        "64:ff9b::7f00:1",
        "fe80::1",
    ] {
        assert_eq!(
            fails(&client, inside, "http-01").0,
            "rejectedIdentifier",
            "{inside}"
        );
    }
    // One good address does not help.
    site.dns(
        "add-a",
        &json!({"host": "mixed.test.", "addresses": ["192.0.1.1", "127.0.0.1"]}),
    );
    assert_eq!(
        fails(&client, "mixed.test", "http-01").0,
        "rejectedIdentifier"
    );
    assert_eq!((http.asked(), tls.asked()), (0, 0));
}

#[test]
fn redirects_are_checked_like_the_first_step() {
    let site = Site::new();
    site.role("one", json!({"acme_allowed_networks": "127.0.0.1/32"}));
    let host = Host::at("127.0.0.1", site.http_port);
    // The same port at an address that is not allowed.
    let inside = Host::at("127.0.0.2", site.http_port);
    let elsewhere = Host::at("127.0.0.1", port());
    site.dns(
        "add-a",
        &json!({"host": "inside.test.", "addresses": ["127.0.0.2"]}),
    );
    let client = Client::registered(&site, "roles/one/");
    let mut number = 0;
    for (to, kind) in [
        (
            format!("http://127.0.0.2:{}/x", inside.port),
            "rejectedIdentifier",
        ),
        (
            format!("http://inside.test:{}/x", inside.port),
            "rejectedIdentifier",
        ),
        (
            format!("http://[::ffff:127.0.0.2]:{}/x", inside.port),
            "rejectedIdentifier",
        ),
        (
            format!("http://0x7f.2:{}/x", inside.port),
            "incorrectResponse",
        ),
        (
            format!("http://127.0.0.1:{}/x", elsewhere.port),
            "incorrectResponse",
        ),
        ("http://127.0.0.1:22/x".to_owned(), "incorrectResponse"),
        ("ftp://127.0.0.1/x".to_owned(), "incorrectResponse"),
        ("file:///etc/passwd".to_owned(), "incorrectResponse"),
        (
            format!("http://user@127.0.0.1:{}/x", host.port),
            "incorrectResponse",
        ),
        ("/around".to_owned(), "incorrectResponse"),
    ] {
        host.redirects(&to);
        number += 1;
        let (found, detail) = fails(&client, &format!("r{number}.test"), "http-01");
        assert_eq!(found, kind, "{to}: {detail}");
    }
    assert_eq!((inside.asked(), elsewhere.asked()), (0, 0));
    // An answer that never ends, and one that is too long.
    host.serves(&"x".repeat(100_000));
    assert_eq!(
        fails(&client, "long.test", "http-01").0,
        "incorrectResponse"
    );
}

#[test]
fn a_redirect_within_what_is_allowed_is_followed() {
    let site = Site::new();
    let host = Host::at("127.0.0.1", site.http_port);
    let to = Host::at("127.0.0.3", site.http_port);
    site.dns(
        "add-a",
        &json!({"host": "there.test.", "addresses": ["127.0.0.3"]}),
    );
    let client = Client::registered(&site, "");
    let order = client.order(&["redirected.test"]);
    let proof = &order.authorizations()[0];
    let found = client.get(proof);
    let token = challenge(&found, "http-01")["token"]
        .as_str()
        .unwrap()
        .to_owned();
    to.serves(&format!("{token}.{}\n", client.key.thumbprint()));
    host.redirects(&format!("http://there.test:{}/anything?a=b", to.port));
    assert_eq!(client.prove(proof, "http-01")["status"], "valid");
    assert_eq!((host.asked(), to.asked()), (1, 1));
}

/// Says a public address first, and this machine's from then on.
fn rebinding(server: u16) -> Arc<AtomicUsize> {
    let socket = UdpSocket::bind(("127.0.0.1", server)).unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    thread::spawn(move || {
        let mut buffer = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let mut answer = buffer[..length].to_vec();
            (answer[2], answer[3]) = (0x81, 0x80);
            if buffer[length - 3] == 1 {
                let address = match count.fetch_add(1, Ordering::SeqCst) {
                    // Of a network that answers to nobody here.
                    0 => [127, 0, 0, 9],
                    _ => [127, 0, 0, 2],
                };
                answer[7] = 1;
                answer.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4]);
                answer.extend_from_slice(&address);
            }
            let _ = socket.send_to(&answer, from);
        }
    });
    asked
}

#[test]
fn dns_that_changes_its_mind_between_check_and_use_has_no_effect() {
    let site = Site::new();
    let server = port();
    let asked = rebinding(server);
    site.root(
        "POST",
        "pki/config/acme",
        json!({"dns_resolver": format!("127.0.0.1:{server}")}),
    )
    .expect(200);
    site.role("nine", json!({"acme_allowed_networks": "127.0.0.9/32"}));
    let inside = Host::at("127.0.0.2", site.http_port);
    let client = Client::registered(&site, "roles/nine/");
    // What was checked is what is connected to: nothing listens there, and later answers are refused.
    let (kind, _) = fails(&client, "rebound.test", "http-01");
    assert_eq!(kind, "rejectedIdentifier");
    assert!(asked.load(Ordering::SeqCst) >= 2);
    assert_eq!(inside.asked(), 0);
}

#[test]
fn an_address_is_proved_by_http_01() {
    let site = Site::new();
    let host = Host::at("127.0.0.1", site.http_port);
    let client = Client::registered(&site, "");
    let order = client.order(&["127.0.0.1"]);
    let proof = &order.authorizations()[0];
    let found = client.get(proof);
    assert_eq!(found["challenges"].as_array().unwrap().len(), 2);
    let token = challenge(&found, "http-01")["token"]
        .as_str()
        .unwrap()
        .to_owned();
    host.serves(&format!("{token}.{}", client.key.thumbprint()));
    assert_eq!(client.prove(proof, "http-01")["status"], "valid");
    let key = rcgen::KeyPair::generate().unwrap();
    client
        .finalize(&order, &csr(&["127.0.0.1"], &key))
        .expect(200);
}

/// Takes connections and never answers; how many are open, and how many were at most.
fn silent(address: &str, port: u16) -> Arc<(AtomicUsize, AtomicUsize)> {
    let listener = TcpListener::bind((address, port)).unwrap();
    let seen = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
    let counts = Arc::clone(&seen);
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let counts = Arc::clone(&counts);
            thread::spawn(move || {
                let open = counts.0.fetch_add(1, Ordering::SeqCst) + 1;
                counts.1.fetch_max(open, Ordering::SeqCst);
                let _ = std::io::copy(&mut stream, &mut std::io::sink());
                counts.0.fetch_sub(1, Ordering::SeqCst);
            });
        }
    });
    seen
}

#[test]
fn an_account_whose_names_never_answer_holds_up_nobody_else() {
    let site = Site::new();
    let seen = silent("127.0.0.2", site.http_port);
    let names: Vec<String> = (0..8).map(|number| format!("slow{number}.test")).collect();
    for name in &names {
        site.dns(
            "add-a",
            &json!({"host": format!("{name}."), "addresses": ["127.0.0.2"]}),
        );
    }
    let slow = Client::registered(&site, "");
    let order = slow.order(&names.iter().map(String::as_str).collect::<Vec<_>>());
    for authorization in order.authorizations() {
        slow.answer(&authorization, "http-01");
    }
    let waits = || (seen.0.load(Ordering::SeqCst) == 3).then_some(());
    until(Duration::from_secs(10), waits).expect("three checks of one account at once");
    let quick = Client::registered(&site, "");
    quick.prove_all(&quick.order(&["quick.test"]));
    assert_eq!(seen.1.load(Ordering::SeqCst), 3);
}
