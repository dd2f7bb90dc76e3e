//! What must not pass, each class by its name.

use serde_json::{Value, json};
use vault_tests::Request;

use crate::client::{Client, Key, challenge, csr, encode, problem};
use crate::site::Site;

#[test]
fn a_nonce_works_once_and_only_where_it_was_given() {
    let mut site = Site::new();
    let client = Client::registered(&site, "");
    let url = client.kid.clone();
    let jws = client.key.jws(&client.protected(&url), &Value::Null);
    client.send(&url, &jws).expect(200);
    let again = client.send(&url, &jws);
    problem(&again, 400, "badNonce");
    assert!(again.header("replay-nonce").is_some());
    for odd in ["", "AAAA", "x y", &encode([0; 40])] {
        let mut protected = client.protected(&url);
        protected["nonce"] = odd.into();
        let answer = client.send(&url, &client.key.jws(&protected, &Value::Null));
        problem(&answer, 400, "badNonce");
    }
    // Of another mount.
    let mount = json!({"type": "pki"});
    site.root("POST", "sys/mounts/other", mount).expect(204);
    let path = format!("{}/v1/other", site.vault.addr);
    site.root("POST", "other/config/cluster", json!({ "path": path }))
        .expect(200);
    site.root("POST", "other/config/acme", json!({"enabled": true}))
        .expect(200);
    let foreign = site
        .vault
        .send(&Request::new("HEAD", "other/acme/new-nonce"))
        .expect(200);
    let mut protected = client.protected(&url);
    protected["nonce"] = foreign.header("replay-nonce").unwrap().into();
    let answer = client.send(&url, &client.key.jws(&protected, &Value::Null));
    problem(&answer, 400, "badNonce");
    // A used one stays used over a restart.
    site.vault.restart_unsealed();
    let answer = site.vault.send(
        &Request::new("POST", url.split_once("/v1/").unwrap().1)
            .header("Content-Type", "application/jose+json")
            .body(jws.to_string()),
    );
    problem(&answer, 400, "badNonce");
}

#[test]
fn messages_that_are_not_signed_as_they_should_be() {
    let site = Site::new();
    let client = Client::registered(&site, "");
    let url = client.kid.clone();
    let with = |change: &dyn Fn(&mut Value)| {
        let mut protected = client.protected(&url);
        change(&mut protected);
        client.send(&url, &client.key.jws(&protected, &Value::Null))
    };
    for alg in ["none", "HS256", "None", "ES384", "RS1", ""] {
        let answer = with(&|head| head["alg"] = alg.into());
        problem(&answer, 400, "badSignatureAlgorithm");
        assert!(answer.body["algorithms"].as_array().unwrap().len() > 3);
    }
    for wrong in [
        client.url("new-order"),
        url.replace("https://127.0.0.1", "https://localhost"),
        format!("{url}/"),
        String::new(),
    ] {
        let answer = with(&|head| head["url"] = wrong.clone().into());
        problem(&answer, 401, "unauthorized");
    }
    let both = with(&|head| head["jwk"] = client.key.jwk());
    problem(&both, 400, "malformed");
    let neither = with(&|head| drop(head.as_object_mut().unwrap().remove("kid")));
    problem(&neither, 400, "malformed");
    problem(
        &with(&|head| head["crit"] = json!(["b64"])),
        400,
        "malformed",
    );
    problem(
        &with(&|head| head["kid"] = "x".into()),
        400,
        "accountDoesNotExist",
    );
    problem(
        &with(&|head| head["kid"] = format!("{url}/../x").into()),
        400,
        "accountDoesNotExist",
    );
    // Another's signature, and more members than a flattened message has.
    let other = Key::p256();
    problem(
        &client.send(&url, &other.jws(&client.protected(&url), &Value::Null)),
        400,
        "malformed",
    );
    for member in ["header", "signatures", "ttl", "issuer_ref"] {
        let mut jws = client.key.jws(&client.protected(&url), &Value::Null);
        jws[member] = json!("x");
        problem(&client.send(&url, &jws), 400, "malformed");
    }
    let jws = client
        .key
        .jws(&client.protected(&url), &Value::Null)
        .to_string();
    problem(
        &client.send_as(&url, "application/json", &jws),
        415,
        "malformed",
    );
    client
        .send_as(&url, "application/jose+json; charset=utf-8", &jws)
        .expect(200);
    let compact = "\"eyJhbGciOiJub25lIn0..\"";
    assert_eq!(
        client
            .send_as(&url, "application/jose+json", compact)
            .status,
        400
    );
}

#[test]
fn keys_that_are_too_weak_or_too_large() {
    let site = Site::new();
    let client = Client::new(&site, "");
    let url = client.url("new-account");
    for bits in [1024, 16_384] {
        let jwk = json!({"kty": "RSA", "e": "AQAB", "n": encode(vec![0xff; bits / 8])});
        let protected = json!({"alg": "RS256", "nonce": client.nonce(), "url": url, "jwk": jwk});
        let start = std::time::Instant::now();
        problem(
            &client.send(&url, &client.key.jws(&protected, &json!({}))),
            400,
            "badPublicKey",
        );
        assert!(start.elapsed().as_millis() < 1000);
    }
    let symmetric = json!({"kty": "oct", "k": "AAAA"});
    let off_curve =
        json!({"kty": "EC", "crv": "P-256", "x": encode([1; 32]), "y": encode([1; 32])});
    for jwk in [symmetric, off_curve] {
        let protected = json!({"alg": "ES256", "nonce": client.nonce(), "url": url, "jwk": jwk});
        problem(
            &client.send(&url, &client.key.jws(&protected, &json!({}))),
            400,
            "badPublicKey",
        );
    }
}

#[test]
fn what_another_account_owns_is_not_there() {
    let site = Site::new();
    let owner = Client::registered(&site, "");
    let order = owner.order(&["a.test"]);
    let proof = order.authorizations()[0].clone();
    let found = owner.get(&proof);
    let url = challenge(&found, "http-01")["url"]
        .as_str()
        .unwrap()
        .to_owned();
    let stranger = Client::registered(&site, "");
    let finalize = order.body["finalize"].as_str().unwrap().to_owned();
    let csr = encode(csr(&["a.test"], &rcgen::KeyPair::generate().unwrap()));
    for (path, payload) in [
        (&order.url, Value::Null),
        (&proof, Value::Null),
        (&proof, json!({"status": "deactivated"})),
        (&url, json!({})),
        (&finalize, json!({ "csr": csr })),
        (&format!("{}/cert", order.url), Value::Null),
    ] {
        problem(&stranger.post(path, &payload), 404, "malformed");
    }
    problem(
        &stranger.post(&owner.kid, &Value::Null),
        401,
        "unauthorized",
    );
    problem(
        &stranger.post(&owner.kid, &json!({"status": "deactivated"})),
        401,
        "unauthorized",
    );
    assert_eq!(owner.get(&proof)["status"], "pending");
    // Objects that nobody has look the same.
    problem(&stranger.post("order/x", &Value::Null), 404, "malformed");
    problem(
        &stranger.post("authorization/x-1", &Value::Null),
        404,
        "malformed",
    );
}

#[test]
fn a_csr_that_is_not_the_order_is_refused() {
    let site = Site::new();
    site.role("web", json!({}));
    let client = Client::registered(&site, "roles/web/");
    let order = client.order(&["a.test", "b.test"]);
    let key = rcgen::KeyPair::generate().unwrap();
    let names = ["a.test", "b.test"];
    problem(
        &client.finalize(&order, &csr(&names, &key)),
        403,
        "orderNotReady",
    );
    client.prove_all(&order);
    for other in [
        &["a.test"][..],
        &["a.test", "b.test", "c.test"],
        &["a.test", "c.test"],
        &["*.a.test", "b.test"],
    ] {
        problem(&client.finalize(&order, &csr(other, &key)), 400, "badCSR");
    }
    // A common name that was not proved, and an authority.
    let mut params = rcgen::CertificateParams::new(names.map(str::to_owned)).unwrap();
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, "c.test");
    let der = params.serialize_request(&key).unwrap();
    problem(&client.finalize(&order, der.der()), 400, "badCSR");
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    if let Ok(der) = params.serialize_request(&key) {
        problem(&client.finalize(&order, der.der()), 400, "badCSR");
    }
    problem(&client.finalize(&order, b"no csr"), 400, "badCSR");
    // The key of the account.
    let own = rcgen::KeyPair::generate().unwrap();
    let mut second = Client::new(&site, "roles/web/");
    second.key = Key::of_pkcs8(&own.serialize_der());
    second.register();
    let its = second.order(&["a.test"]);
    second.prove_all(&its);
    problem(
        &second.finalize(&its, &csr(&["a.test"], &own)),
        400,
        "badCSR",
    );
    // What the role does not allow any more.
    site.role("web", json!({"allowed_domains": "example"}));
    problem(
        &client.finalize(&order, &csr(&names, &key)),
        403,
        "rejectedIdentifier",
    );
    site.role("web", json!({"key_type": "rsa"}));
    problem(&client.finalize(&order, &csr(&names, &key)), 400, "badCSR");
    site.role("web", json!({}));
    client.finalize(&order, &csr(&names, &key)).expect(200);
}

#[test]
fn identifiers_that_nobody_can_prove() {
    let site = Site::new();
    site.role("web", json!({"allow_ip_sans": false}));
    let client = Client::registered(&site, "roles/web/");
    let order = |kind: &str, value: &str| {
        let ids = json!([{"type": kind, "value": value}]);
        client.post("new-order", &json!({ "identifiers": ids }))
    };
    for odd in [
        "",
        "*",
        "a.*.test",
        "**.test",
        "a..test",
        "a_b.test",
        "127.0.0.1",
        "a\u{0}.test",
        "\u{e9}.test",
    ] {
        problem(&order("dns", odd), 400, "malformed");
    }
    problem(&order("email", "a@b.test"), 400, "unsupportedIdentifier");
    problem(&order("ip", "127.0.0.1"), 403, "rejectedIdentifier");
    let many: Vec<Value> = (0..101)
        .map(|number| json!({"type": "dns", "value": format!("n{number}.test")}))
        .collect();
    problem(
        &client.post("new-order", &json!({ "identifiers": many })),
        400,
        "malformed",
    );
    problem(
        &client.post("new-order", &json!({ "identifiers": [] })),
        400,
        "malformed",
    );
    client
        .post("new-order", &json!({ "identifiers": many[..100] }))
        .expect(201);
    let two = json!([{"type": "dns", "value": "a.example"}, {"type": "dns", "value": "b.example"}]);
    let answer = client.post("new-order", &json!({ "identifiers": two }));
    problem(&answer, 403, "rejectedIdentifier");
    assert_eq!(answer.body["subproblems"].as_array().unwrap().len(), 2);
    // A wildcard has dns-01 and nothing else.
    let wildcard = client.order(&["*.a.test"]);
    let proof = wildcard.authorizations()[0].clone();
    let url = proof.replace("/authorization/", "/challenge/") + "/http-01";
    problem(&client.post(&url, &json!({})), 404, "malformed");
}

#[test]
fn a_directory_that_is_closed_serves_nothing() {
    let site = Site::new();
    let client = Client::registered(&site, "");
    site.root("POST", "pki/config/acme", json!({"enabled": false}))
        .expect(200);
    let path = "pki/acme/directory";
    problem(
        &site.vault.send(&Request::new("GET", path)),
        403,
        "unauthorized",
    );
    site.root(
        "POST",
        "pki/config/acme",
        json!({"enabled": true, "default_directory_policy": "forbid"}),
    )
    .expect(200);
    problem(
        &site.vault.send(&Request::new("GET", path)),
        403,
        "unauthorized",
    );
    let ids = json!({"identifiers": [{"type": "dns", "value": "a.test"}]});
    problem(&client.post("new-order", &ids), 403, "unauthorized");
    for odd in [
        json!({"default_directory_policy": "external-policy"}),
        json!({"default_directory_policy": "role:a/b"}),
        json!({"eab_policy": "sometimes"}),
        json!({"dns_resolver": "dns.example"}),
        json!({"allowed_networks": "10.0.0.0/99"}),
        json!({"http_port": 0}),
        json!({"max_ttl": "0s"}),
    ] {
        let answer = site.root("POST", "pki/config/acme", odd.clone());
        assert_eq!(answer.status, 400, "{odd}");
    }
    site.root("POST", "pki/config/cluster", json!({"path": ""}))
        .expect(200);
    let answer = site
        .root("POST", "pki/config/acme", json!({"enabled": true}))
        .expect(400);
    assert!(answer.errors().contains("config/cluster"));
}
