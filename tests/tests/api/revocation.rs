//! Certificates that are not good any more: as a real OCSP responder says, and as lists say that are
//! fetched.

use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{CustomExtension, ExtendedKeyUsagePurpose};
use serde_json::{Value, json};
use vault_tests::Vault;
use vault_tests::certificates::{Authority, CertificateParams, Identity};
use vault_tests::responder::{Fixed, Responder};

use crate::cert::{login, ready, refuses, renew, role};
use crate::setup::text;

const DOUBT: &str = "not known whether it is revoked: ";

/// A role that has this responder asked.
fn asking(vault: &Vault, ca: &Authority, url: &str, more: Value) {
    let mut body = json!({"ocsp_enabled": true, "ocsp_servers_override": url});
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    role(vault, "web", &ca.pem(), body);
}

#[track_caller]
fn doubts(vault: &Vault, identity: &Identity, why: &str) {
    refuses(vault, identity, &format!("{DOUBT}{why}"));
}

#[test]
fn a_certificate_is_as_good_as_its_responder_says_now() {
    let vault = ready();
    let ca = Authority::new("machines");
    let responder = Responder::of(&ca);
    asking(&vault, &ca, &responder.url, json!({}));
    let (good, bad, new) = (ca.client("good"), ca.client("bad"), ca.client("new"));
    responder.know(&[&good], &[&bad]);
    login(&vault, &good, json!({})).expect(200);
    refuses(&vault, &bad, "it is revoked");
    doubts(&vault, &new, "its responder does not know it");
    // What is revoked is so whatever the role thinks of doubt.
    let open = json!({"ocsp_fail_open": true});
    asking(&vault, &ca, &responder.url, open);
    login(&vault, &new, json!({})).expect(200);
    refuses(&vault, &bad, "it is revoked");
    // Nothing is remembered.
    responder.know(&[&bad], &[&good]);
    login(&vault, &bad, json!({})).expect(200);
    refuses(&vault, &good, "it is revoked");
    // Another role does not ask, and the certificate is as good for it.
    role(&vault, "other", &ca.pem(), json!({}));
    let auth = login(&vault, &good, json!({})).expect(200);
    assert_eq!(auth.body["auth"]["metadata"]["cert_name"], "other");
    login(&vault, &good, json!({"name": "web"})).expect(400);
}

#[test]
fn the_responders_that_a_certificate_names_are_asked_and_intermediates_have_their_own() {
    let vault = ready();
    let ca = Authority::new("machines");
    let between = ca.below("between", |_| {});
    let responder = Responder::of(&between);
    role(&vault, "web", &ca.pem(), json!({"ocsp_enabled": true}));
    let names = |url: &str| {
        let url = [&[0x86, u8::try_from(url.len()).unwrap()], url.as_bytes()].concat();
        let method = [6, 8, 0x2B, 6, 1, 5, 5, 7, 0x30, 1].to_vec();
        let wrap =
            |inner: Vec<u8>| [vec![0x30, u8::try_from(inner.len()).unwrap()], inner].concat();
        let access = wrap(wrap([method, url].concat()));
        let oid = [1, 3, 6, 1, 5, 5, 7, 1, 1];
        CustomExtension::from_oid_content(&oid, access)
    };
    let named = |name: &str| {
        let extension = names(&responder.url);
        between.client_with(name, |params: &mut CertificateParams| {
            params.custom_extensions = vec![extension];
        })
    };
    let (good, bad) = (named("good"), named("bad"));
    responder.know(&[&good], &[&bad]);
    login(&vault, &good, json!({})).expect(200);
    refuses(&vault, &bad, "it is revoked");
    doubts(
        &vault,
        &between.client("plain"),
        "neither the certificate nor the role names a responder",
    );
    // The root's responder knows nothing of what the intermediate has issued.
    let roots = Responder::of(&ca);
    roots.know(&[&good, &bad], &[]);
    asking(&vault, &ca, &roots.url, json!({}));
    login(&vault, &bad, json!({})).expect(400);
}

/// CVE-2024-2660: responses were not always validated.
#[test]
fn cve_2024_2660_only_who_may_signs_responses() {
    let vault = ready();
    let (ca, stranger) = (Authority::new("machines"), Authority::new("machines"));
    let good = ca.client("good");
    let unsigned = "the response is not signed by who may";
    let delegate = |purpose| {
        ca.client_with("responder", |params: &mut CertificateParams| {
            params.extended_key_usages = vec![purpose];
        })
    };
    let with = |responder: &Responder, more: Value| {
        responder.know(&[&good], &[]);
        asking(&vault, &ca, &responder.url, more);
    };
    let signer = delegate(ExtendedKeyUsagePurpose::OcspSigning);
    let by = |signer: &Identity| Responder::signed(&ca, &signer.pem(), &signer.key.serialize_pem());
    with(&by(&signer), json!({}));
    // The responder is gone with its value: what it said is not remembered.
    assert!(
        login(&vault, &good, json!({}))
            .errors()
            .contains("cannot connect")
    );
    let running = by(&signer);
    with(&running, json!({}));
    login(&vault, &good, json!({})).expect(200);
    let other = by(&delegate(ExtendedKeyUsagePurpose::ClientAuth));
    with(&other, json!({}));
    doubts(&vault, &good, unsigned);
    let foreign = stranger.client_with("responder", |params: &mut CertificateParams| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::OcspSigning];
    });
    let foreign = by(&foreign);
    with(&foreign, json!({}));
    doubts(&vault, &good, unsigned);
    let own = Responder::signed(&ca, &stranger.pem(), &stranger.key_pem());
    with(&own, json!({}));
    doubts(&vault, &good, unsigned);
    // The role can name it.
    with(&own, json!({"ocsp_ca_certificates": stranger.pem()}));
    login(&vault, &good, json!({})).expect(200);
    with(&foreign, json!({"ocsp_ca_certificates": stranger.pem()}));
    login(&vault, &good, json!({})).expect(200);
}

#[test]
fn a_replayed_or_garbled_response_is_none() {
    let vault = ready();
    let ca = Authority::new("machines");
    let responder = Responder::of(&ca);
    let (good, bad) = (ca.client("good"), ca.client("bad"));
    responder.know(&[&good], &[&bad]);
    let fixed = Fixed::start("garbage");
    asking(&vault, &ca, &fixed.url, json!({}));
    let strange = "the response is not one about it";
    doubts(&vault, &good, strange);
    // `tryLater`, without a response.
    for body in [&b""[..], &[0x30, 3, 0x0A, 1, 3], &[0x30, 3, 0x0A, 1, 0]] {
        fixed.say(body);
        doubts(&vault, &good, strange);
    }
    let real = responder.response(&good, &["-no_nonce"]);
    fixed.say(real.clone());
    login(&vault, &good, json!({})).expect(200);
    doubts(&vault, &bad, strange);
    for at in [60, 100, 150] {
        let mut broken = real.clone();
        broken[at] ^= 1;
        fixed.say(broken);
        let answer = login(&vault, &good, json!({})).expect(400);
        assert!(answer.errors().contains(DOUBT), "{at}: {}", answer.errors());
    }
    fixed.say(responder.response(&good, &[]));
    doubts(&vault, &good, "the response is for another question");
    // Too old for this role.
    fixed.say(real);
    let young = json!({"ocsp_this_update_max_age": 1});
    asking(&vault, &ca, &fixed.url, young);
    sleep(Duration::from_millis(2100));
    doubts(&vault, &good, "the response is not of now");
}

#[test]
fn one_of_several_responders_will_do_unless_all_have_to_agree() {
    let vault = ready();
    let ca = Authority::new("machines");
    let (good, bad) = (ca.client("good"), ca.client("bad"));
    let (first, second) = (Responder::of(&ca), Responder::of(&ca));
    first.know(&[&good, &bad], &[]);
    second.know(&[&good], &[&bad]);
    // Nobody listens there.
    let down = "http://127.0.0.1:1";
    let with = |urls: &[&str], more: Value| {
        let mut body = json!({"ocsp_servers_override": urls, "ocsp_max_retries": 0});
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        asking(&vault, &ca, "", body);
    };
    with(&[down, &first.url], json!({}));
    login(&vault, &good, json!({})).expect(200);
    with(&[&first.url, &second.url], json!({}));
    login(&vault, &bad, json!({})).expect(200);
    let all = json!({"ocsp_query_all_servers": true});
    with(&[&first.url, &second.url], all.clone());
    refuses(&vault, &bad, "it is revoked");
    login(&vault, &good, json!({})).expect(200);
    with(&[&first.url, down], all);
    let answer = login(&vault, &good, json!({})).expect(400);
    assert!(answer.errors().contains("its responder does not answer"));
    let open = json!({"ocsp_query_all_servers": true, "ocsp_fail_open": true});
    with(&[&first.url, down], open);
    login(&vault, &good, json!({})).expect(200);
}

#[test]
fn a_pinned_certificate_needs_its_issuer_to_be_asked_about() {
    let vault = ready();
    let ca = Authority::new("machines");
    let responder = Responder::of(&ca);
    let pinned = ca.client("pinned");
    responder.know(&[&pinned], &[]);
    let with = |more: Value| {
        let mut body = json!({"ocsp_enabled": true, "ocsp_servers_override": responder.url});
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        role(&vault, "web", &pinned.pem(), body);
    };
    with(json!({}));
    doubts(
        &vault,
        &pinned,
        "its issuer's certificate is not known: add it to ocsp_ca_certificates",
    );
    with(json!({"ocsp_ca_certificates": ca.pem()}));
    login(&vault, &pinned, json!({})).expect(200);
    responder.know(&[], &[&pinned]);
    refuses(&vault, &pinned, "it is revoked");
    let shown = vault.root("GET", "auth/cert/certs/web", Value::Null);
    let shown = shown.expect(200).data().clone();
    assert_eq!(shown["ocsp_enabled"], true);
    assert_eq!(shown["ocsp_servers_override"], json!([responder.url]));
    assert_eq!(shown["ocsp_max_retries"], 4);
    for (field, odd) in [
        ("ocsp_ca_certificates", json!("no PEM")),
        ("ocsp_servers_override", json!("ldap://x")),
        ("ocsp_max_retries", json!(99)),
        ("ocsp_this_update_max_age", json!("soon")),
    ] {
        let body = json!({"certificate": ca.pem(), field: odd});
        let answer = vault.root("POST", "auth/cert/certs/odd", body).expect(400);
        assert!(answer.errors().contains(field), "{}", answer.errors());
    }
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

#[test]
fn a_list_is_fetched_now_and_again_when_it_is_over() {
    let vault = ready();
    let ca = Authority::new("machines");
    let path = "auth/cert/crls/machines";
    let (good, bad) = (ca.client("good"), ca.client("bad"));
    let fixed = Fixed::start(ca.crl_until(&[], now() + 4));
    let fetch = || vault.root("POST", path, json!({"url": fixed.url}));
    // Over plain http anybody could have said it.
    let unsigned = "it came over plain http, and no certificate of a role has signed it";
    assert!(fetch().expect(400).errors().contains(unsigned));
    role(&vault, "web", &ca.pem(), json!({}));
    fetch().expect(204);
    let shown = vault.root("GET", path, Value::Null).expect(200);
    assert_eq!(shown.data()["cdp"]["url"], json!(fixed.url));
    assert_eq!(shown.data()["serials"], json!({}));
    login(&vault, &bad, json!({})).expect(200);

    fixed.say(ca.crl(&[&bad]));
    let start = std::time::Instant::now();
    while login(&vault, &bad, json!({})).status == 200 {
        assert!(start.elapsed() < Duration::from_secs(30), "never fetched");
        sleep(Duration::from_millis(200));
    }
    refuses(&vault, &bad, "it is revoked");
    login(&vault, &good, json!({})).expect(200);
    let shown = vault.root("GET", path, Value::Null).expect(200);
    assert_eq!(shown.data()["serials"].as_object().unwrap().len(), 1);

    for odd in [
        "garbage".to_owned(),
        Authority::new("machines").crl(&[]),
        ca.pem(),
    ] {
        fixed.say(odd);
        fetch().expect(400);
    }
    refuses(&vault, &bad, "it is revoked");
    for body in [
        json!({}),
        json!({"url": "x"}),
        json!({"url": fixed.url, "crl": "x"}),
    ] {
        vault.root("POST", path, body).expect(400);
    }
}

/// A refused login changes nothing but what is known.
#[test]
fn a_list_that_refuses_a_login_is_fetched_once() {
    let vault = ready();
    let ca = Authority::new("machines");
    let bad = ca.client("bad");
    role(&vault, "web", &ca.pem(), json!({}));
    let fixed = Fixed::start(ca.crl_until(&[], now() + 1));
    let list = json!({"url": fixed.url});
    vault
        .root("POST", "auth/cert/crls/machines", list)
        .expect(204);
    fixed.say(ca.crl(&[&bad]));
    sleep(Duration::from_millis(2100));
    refuses(&vault, &bad, "it is revoked");
    drop(fixed);
    refuses(&vault, &bad, "it is revoked");
}

#[test]
fn a_token_is_not_renewed_once_its_certificate_is_revoked() {
    let vault = ready();
    let ca = Authority::new("machines");
    let responder = Responder::of(&ca);
    let machine = ca.client("machine");
    responder.know(&[&machine], &[]);
    asking(&vault, &ca, &responder.url, json!({}));
    let issued = login(&vault, &machine, json!({})).expect(200);
    let token = text(&issued.body["auth"]["client_token"]);
    renew(&vault, &machine, &token).expect(200);
    responder.know(&[], &[]);
    let unknown = renew(&vault, &machine, &token).expect(400);
    assert!(unknown.errors().contains(DOUBT), "{}", unknown.errors());
    asking(&vault, &ca, &responder.url, json!({"ocsp_fail_open": true}));
    renew(&vault, &machine, &token).expect(200);
    responder.know(&[], &[&machine]);
    let revoked = renew(&vault, &machine, &token).expect(400);
    assert!(revoked.errors().contains("it is revoked"));
    // A token that is not bound to its certificate is renewed without it.
    let unbound = json!({"disable_binding": true});
    vault.root("POST", "auth/cert/config", unbound).expect(204);
    renew(&vault, &machine, &token).expect(200);
}

#[test]
fn a_renewal_fetches_a_list_that_is_due() {
    let vault = ready();
    let ca = Authority::new("machines");
    let machine = ca.client("machine");
    role(&vault, "web", &ca.pem(), json!({}));
    let fixed = Fixed::start(ca.crl_until(&[], now() + 3));
    let list = json!({"url": fixed.url});
    vault
        .root("POST", "auth/cert/crls/machines", list)
        .expect(204);
    let issued = login(&vault, &machine, json!({})).expect(200);
    let token = text(&issued.body["auth"]["client_token"]);
    fixed.say(ca.crl(&[&machine]));
    sleep(Duration::from_millis(4100));
    let revoked = renew(&vault, &machine, &token).expect(400);
    assert!(revoked.errors().contains("it is revoked"));
}

#[test]
fn a_list_that_cannot_be_fetched_again_holds_on() {
    let vault = ready();
    let ca = Authority::new("machines");
    let (good, bad) = (ca.client("good"), ca.client("bad"));
    role(&vault, "web", &ca.pem(), json!({}));
    let fixed = Fixed::start(ca.crl_until(&[&bad], now() + 1));
    let path = "auth/cert/crls/machines";
    vault
        .root("POST", path, json!({"url": fixed.url}))
        .expect(204);
    drop(fixed);
    sleep(Duration::from_millis(2100));
    login(&vault, &good, json!({})).expect(200);
    refuses(&vault, &bad, "it is revoked");
}
