//! What the protocol has besides getting a certificate.

use serde_json::{Value, json};
use vault_tests::{Options, Request};

use crate::client::{Client, Key, Order, challenge, csr, encode, problem};
use crate::site::Site;

/// Of the first certificate of a chain in PEM.
fn leaf(chain: &str) -> Vec<u8> {
    let end = "-----END CERTIFICATE-----";
    let first = &chain[..chain.find(end).unwrap() + end.len()];
    vault_crypto::pem::read(first).unwrap().1.to_vec()
}

/// The name of a certificate in RFC 9773.
fn renewal_id(der: &[u8]) -> String {
    use vault_x509::x509_parser::extensions::ParsedExtension;
    use vault_x509::x509_parser::prelude::{FromDer, X509Certificate};
    let (_, certificate) = X509Certificate::from_der(der).unwrap();
    let mut all = certificate.extensions().iter();
    let issuer = all.find_map(|found| match found.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(id) => id.key_identifier.as_ref().map(|id| id.0),
        _ => None,
    });
    format!(
        "{}.{}",
        encode(issuer.unwrap()),
        encode(certificate.raw_serial())
    )
}

#[test]
fn an_account_is_found_changed_rolled_over_and_deactivated() {
    let site = Site::new();
    let mut client = Client::registered(&site, "");
    let again = {
        let url = client.url("new-account");
        let protected = json!({
            "alg": "ES256", "nonce": client.nonce(), "url": url, "jwk": client.key.jwk(),
        });
        let payload = json!({"onlyReturnExisting": true});
        client
            .send(&url, &client.key.jws(&protected, &payload))
            .expect(200)
    };
    assert_eq!(again.header("location"), Some(client.kid.as_str()));
    let kid = client.kid.clone();
    let changed = client
        .post(&kid, &json!({"contact": ["mailto:a@example.test"]}))
        .expect(200);
    assert_eq!(changed.body["contact"], json!(["mailto:a@example.test"]));
    for (contact, kind) in [
        ("tel:+12025551212", "unsupportedContact"),
        ("mailto:a@b.test,c@d.test", "invalidContact"),
        ("mailto:nobody", "invalidContact"),
    ] {
        problem(
            &client.post(&kid, &json!({"contact": [contact]})),
            400,
            kind,
        );
    }
    // A key of another kind, and one that another account has.
    let new = Key::ed25519();
    let url = client.url("key-change");
    let payload = json!({"account": kid, "oldKey": client.key.jwk()});
    let inner = new.jws(
        &json!({"alg": "EdDSA", "jwk": new.jwk(), "url": url}),
        &payload,
    );
    client.post("key-change", &inner).expect(200);
    let old = std::mem::replace(&mut client.key, new);
    assert_eq!(client.get(&kid)["status"], "valid");
    let other = Client::registered(&site, "");
    let payload = json!({"account": kid, "oldKey": client.key.jwk()});
    let inner = other.key.jws(
        &json!({"alg": "ES256", "jwk": other.key.jwk(), "url": url}),
        &payload,
    );
    let taken = client.post("key-change", &inner);
    problem(&taken, 409, "malformed");
    assert_eq!(taken.header("location"), Some(other.kid.as_str()));
    let new = std::mem::replace(&mut client.key, old);
    problem(
        &client.post(&kid, &Value::Null),
        400,
        "badSignatureAlgorithm",
    );
    client.key = new;
    let order = client.order(&["a.test"]);
    client
        .post(&kid, &json!({"status": "deactivated"}))
        .expect(200);
    problem(&client.post(&order.url, &Value::Null), 401, "unauthorized");
    problem(&client.post(&kid, &Value::Null), 401, "unauthorized");
}

#[test]
fn an_order_survives_a_restart_at_every_step() {
    let mut site = Site::with(Options::default(), json!({}));
    site.role("web", json!({"require_cn": true, "no_store": true}));
    let client = Client::registered(&site, "roles/web/");
    let order = client.order(&["a.test", "*.a.test"]);
    let (key, kid, used) = (client.key, client.kid, order.body.clone());
    site.vault.restart_unsealed();
    let mut client = Client::new(&site, "roles/web/");
    (client.key, client.kid) = (key, kid);
    assert_eq!(client.get(&order.url), used);
    // Checked while the server is away, and after.
    let first = order.authorizations()[0].clone();
    let found = client.get(&first);
    let url = challenge(&found, "dns-01")["url"]
        .as_str()
        .unwrap()
        .to_owned();
    client.post(&url, &json!({})).expect(200);
    let (key, kid) = (client.key, client.kid);
    site.vault.restart_unsealed();
    let mut client = Client::new(&site, "roles/web/");
    (client.key, client.kid) = (key, kid);
    client.publish(&first);
    assert_eq!(client.decided(&first)["status"], "valid");
    let second = &order.authorizations()[1];
    let found = client.get(second);
    assert_eq!(found["wildcard"], true);
    assert_eq!(found["challenges"].as_array().unwrap().len(), 1);
    client.publish(second);
    assert_eq!(client.prove(second, "dns-01")["status"], "valid");
    assert_eq!(client.get(&order.url)["status"], "ready");
    let own = rcgen::KeyPair::generate().unwrap();
    let done = client
        .finalize(&order, &csr(&["*.a.test", "a.test"], &own))
        .expect(200);
    let chain = client
        .post(done.body["certificate"].as_str().unwrap(), &Value::Null)
        .expect(200);
    let file = site.dir("own").join("chain.pem");
    std::fs::write(&file, &chain.text).unwrap();
    site.verify(&file, "b.a.test");
    site.verify(&file, "a.test");
    problem(
        &client.finalize(&order, &csr(&["*.a.test", "a.test"], &own)),
        403,
        "orderNotReady",
    );
}

#[test]
fn renewal_information_follows_the_certificate_and_its_revocation() {
    let site = Site::new();
    let client = Client::registered(&site, "");
    let (chain, _) = client.certificate(&["ari.test"]);
    let id = renewal_id(&leaf(&chain));
    let info = |id: &str| {
        let path = format!("pki/acme/renewal-info/{id}");
        site.vault.send(&Request::new("GET", &path))
    };
    let now = jiff::Timestamp::now();
    let start = |answer: &vault_tests::Answer| -> jiff::Timestamp {
        answer.body["suggestedWindow"]["start"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap()
    };
    let before = info(&id).expect(200);
    assert!(before.header("retry-after").is_some() && start(&before) > now);
    // Another one takes its place, once.
    let ids = json!([{"type": "dns", "value": "ari.test"}]);
    let replace = || client.post("new-order", &json!({"identifiers": ids, "replaces": id}));
    let answer = replace().expect(201);
    let order = Order {
        url: answer.header("location").unwrap().to_owned(),
        body: answer.body,
    };
    client.prove_all(&order);
    let key = rcgen::KeyPair::generate().unwrap();
    client
        .finalize(&order, &csr(&["ari.test"], &key))
        .expect(200);
    problem(&replace(), 409, "alreadyReplaced");
    let stranger = Client::registered(&site, "");
    let foreign = stranger.post("new-order", &json!({"identifiers": ids, "replaces": id}));
    problem(&foreign, 400, "malformed");
    let revoke = json!({"certificate": encode(leaf(&chain)), "reason": 4});
    client.post("revoke-cert", &revoke).expect(200);
    let after = info(&id).expect(200);
    assert!(start(&after) < now);
    let odd = ["x", "AA.AA", "..", "a.b.c"];
    for odd in odd {
        assert!(info(odd).status >= 400, "{odd}");
    }
}

#[test]
fn the_key_of_a_certificate_revokes_it_too() {
    let site = Site::new();
    let client = Client::registered(&site, "");
    let (chain, key) = client.certificate(&["key.test"]);
    let certificate = encode(leaf(&chain));
    let mut stranger = Client::registered(&site, "");
    let revoke = json!({ "certificate": certificate });
    problem(&stranger.post("revoke-cert", &revoke), 403, "unauthorized");
    stranger.kid = String::new();
    problem(&stranger.post("revoke-cert", &revoke), 403, "unauthorized");
    stranger.key = Key::of_pkcs8(&key.serialize_der());
    let odd = json!({"certificate": certificate, "reason": 2});
    problem(
        &stranger.post("revoke-cert", &odd),
        400,
        "badRevocationReason",
    );
    stranger.post("revoke-cert", &revoke).expect(200);
    problem(&client.post("revoke-cert", &revoke), 400, "alreadyRevoked");
}

#[test]
fn profiles_are_the_roles_of_the_default_directory() {
    let site = Site::new();
    site.role("short", json!({"max_ttl": "1h"}));
    site.role("hidden", json!({}));
    site.root("POST", "pki/config/acme", json!({"allowed_roles": "short"}))
        .expect(200);
    let directory = site
        .vault
        .send(&Request::new("GET", "pki/acme/directory"))
        .expect(200);
    let profiles = directory.body["meta"]["profiles"].as_object().unwrap();
    assert_eq!(profiles.keys().collect::<Vec<_>>(), ["short"]);
    let client = Client::registered(&site, "");
    let order = |name: &str, profile: &str| {
        let ids = json!([{"type": "dns", "value": name}]);
        client.post(
            "new-order",
            &json!({"identifiers": ids, "profile": profile}),
        )
    };
    assert_eq!(
        order("a.test", "short").expect(201).body["profile"],
        "short"
    );
    problem(&order("a.example", "short"), 403, "rejectedIdentifier");
    problem(&order("a.test", "hidden"), 400, "invalidProfile");
    problem(&order("a.test", "../x"), 400, "invalidProfile");
    // The same key is somebody else in another directory.
    let answer = site
        .vault
        .send(&Request::new("GET", "pki/roles/hidden/acme/directory"));
    problem(&answer, 403, "unauthorized");
    let url = site
        .directory("issuer/default/roles/short/")
        .replace("directory", "new-order");
    let mut protected = client.protected(&url);
    protected["kid"] = client.kid.clone().into();
    let answer = client.send(
        &url,
        &client.key.jws(&protected, &json!({"identifiers": []})),
    );
    problem(&answer, 400, "accountDoesNotExist");
}

#[test]
fn a_chain_by_another_root_is_an_alternate() {
    let site = Site::new();
    // Two roots sign the same intermediate.
    let body = json!({"common_name": "Intermediate", "key_type": "ec"});
    let made = site
        .root("POST", "pki/intermediate/generate/internal", body)
        .expect(200);
    let request = made.data()["csr"].clone();
    let other =
        json!({"common_name": "Other", "key_type": "ec", "ttl": "80000h", "issuer_name": "other"});
    site.root("POST", "pki/root/generate/internal", other)
        .expect(200);
    let mut ids = Vec::new();
    for root in ["default", "other"] {
        let path = format!("pki/issuer/{root}/sign-intermediate");
        let body = json!({"csr": request, "common_name": "Intermediate", "ttl": "70000h"});
        let signed = site.root("POST", &path, body).expect(200);
        let body = json!({"certificate": signed.data()["certificate"]});
        let set = site
            .root("POST", "pki/intermediate/set-signed", body)
            .expect(200);
        ids.push(
            set.data()["imported_issuers"][0]
                .as_str()
                .unwrap()
                .to_owned(),
        );
    }
    let client = Client::registered(&site, &format!("issuer/{}/", ids[0]));
    let order = client.order(&["chains.test"]);
    client.prove_all(&order);
    let key = rcgen::KeyPair::generate().unwrap();
    let done = client
        .finalize(&order, &csr(&["chains.test"], &key))
        .expect(200);
    let url = done.body["certificate"].as_str().unwrap();
    let first = client.post(url, &Value::Null).expect(200);
    let links: Vec<&str> = first
        .headers
        .iter()
        .filter(|(name, value)| name == "link" && value.contains("alternate"))
        .map(|(_, value)| value.as_str())
        .collect();
    let other = links[0].trim_start_matches('<').split('>').next().unwrap();
    assert_eq!(links.len(), 1);
    let second = client.post(other, &Value::Null).expect(200);
    assert_eq!(leaf(&first.text), leaf(&second.text));
    assert_ne!(first.text, second.text);
    problem(
        &client.post(&format!("{url}/7"), &Value::Null),
        404,
        "malformed",
    );
}

#[test]
fn what_is_given_up_or_fails_ends_its_order() {
    let site = Site::new();
    let client = Client::registered(&site, "");
    let order = client.order(&["a.test", "b.test"]);
    assert_eq!(client.get("orders")["orders"], json!([order.url]));
    let first = &order.authorizations()[0];
    let given_up = client
        .post(first, &json!({"status": "deactivated"}))
        .expect(200);
    assert_eq!(given_up.body["status"], "deactivated");
    assert_eq!(client.get(&order.url)["status"], "invalid");
    assert_eq!(client.get("orders")["orders"], json!([]));
    // Five failures of one name within the hour are enough.
    let orders: Vec<Order> = (0..5).map(|_| client.order(&["fails.test"])).collect();
    for order in &orders {
        client.answer(&order.authorizations()[0], "http-01");
    }
    for order in &orders {
        let found = client.decided(&order.authorizations()[0]);
        assert_eq!(found["status"], "invalid");
        let kind = &found["challenges"][0]["error"]["type"];
        assert_eq!(kind, "urn:ietf:params:acme:error:connection");
        let found = client.get(&order.url);
        assert_eq!(found["status"], "invalid");
        assert_eq!(found["error"]["type"], *kind);
    }
    let ids = json!({"identifiers": [{"type": "dns", "value": "fails.test"}]});
    let limited = client.post("new-order", &ids);
    problem(&limited, 429, "rateLimited");
    assert!(limited.header("retry-after").is_some());
    client.order(&["other.test"]);
}
