//! Logins with client certificates: who gets in, who does not, and what a renewal wants.

use rcgen::{
    BasicConstraints, CustomExtension, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    KeyPair, KeyUsagePurpose, NameConstraints, SanType, date_time_ymd,
};
use serde_json::{Value, json};
use vault_tests::certificates::{Authority, CertificateParams, Identity};
use vault_tests::{Answer, Options, Request, Vault};

use crate::setup::{policy, text};

const REFUSED: &str = "invalid certificate or no client certificate supplied: ";

pub(crate) fn ready() -> Vault {
    let vault = Vault::ready();
    vault
        .root("POST", "sys/auth/cert", json!({"type": "cert"}))
        .expect(204);
    vault
}

#[track_caller]
pub(crate) fn role(vault: &Vault, name: &str, certificate: &str, mut more: Value) {
    more["certificate"] = json!(certificate);
    vault
        .root("POST", &format!("auth/cert/certs/{name}"), more)
        .expect(204);
}

/// Sends a request over a connection that shows the certificate.
#[track_caller]
fn send(vault: &Vault, identity: &Identity, request: &Request) -> Answer {
    let endpoint = identity.at(&vault.endpoint, &vault.ca());
    endpoint.send(request).unwrap()
}

pub(crate) fn login(vault: &Vault, identity: &Identity, body: Value) -> Answer {
    let request = Request::new("POST", "auth/cert/login").json(&body);
    send(vault, identity, &request)
}

#[track_caller]
pub(crate) fn refuses(vault: &Vault, identity: &Identity, why: &str) {
    let answer = login(vault, identity, json!({})).expect(400);
    assert_eq!(answer.errors(), format!("{REFUSED}{why}"));
    assert!(answer.body["auth"].is_null());
}

fn dns(name: &str) -> impl FnOnce(&mut CertificateParams) {
    let name = SanType::DnsName(name.try_into().unwrap());
    move |params| params.subject_alt_names = vec![name]
}

#[test]
fn a_certificate_of_a_trusted_authority_gets_the_roles_token() {
    let vault = ready();
    policy(&vault, "web", r#"path "kv/*" { capabilities = ["read"] }"#);
    let (ca, other) = (Authority::new("machines"), Authority::new("others"));
    role(&vault, "others", &other.pem(), json!({}));
    role(
        &vault,
        "web",
        &ca.pem(),
        json!({"token_policies": "web", "token_ttl": "10m", "allowed_metadata_extensions": "1.2.3.4"}),
    );
    // A UTF8String.
    let extension = CustomExtension::from_oid_content(&[1, 2, 3, 4], b"\x0c\x04blue".to_vec());
    let machine = ca.client_with("web-1", |params| params.custom_extensions = vec![extension]);
    let answer = login(&vault, &machine, json!({})).expect(200);
    let auth = &answer.body["auth"];
    assert_eq!(auth["policies"], json!(["default", "web"]));
    assert_eq!(auth["lease_duration"], json!(600));
    assert_eq!(auth["metadata"]["cert_name"], json!("web"));
    assert_eq!(auth["metadata"]["common_name"], json!("web-1"));
    assert_eq!(auth["metadata"]["1-2-3-4"], json!("blue"));
    let serial = u128::from_be_bytes(machine.serial().try_into().unwrap());
    assert_eq!(auth["metadata"]["serial_number"], json!(serial.to_string()));
    let own = Request::new("GET", "auth/token/lookup-self").token(&text(&auth["client_token"]));
    // The token itself needs no certificate.
    let own = vault.send(&own).expect(200);
    assert_eq!(own.data()["display_name"], json!("cert-web"));

    login(&vault, &machine, json!({"name": "WEB"})).expect(200);
    login(&vault, &machine, json!({"name": "others"})).expect(400);
    login(&vault, &machine, json!({"name": "nobody"})).expect(400);
    login(&vault, &machine, json!({"name": "../web"})).expect(400);
}

#[test]
fn a_connection_without_a_certificate_is_told_so() {
    let vault = ready();
    role(&vault, "web", &Authority::new("machines").pem(), json!({}));
    // A proxy's headers prove nothing.
    let request = Request::new("POST", "auth/cert/login")
        .header("X-Forwarded-Client-Cert", "Subject=\"CN=web\"")
        .header(
            "X-SSL-Client-Cert",
            &Authority::new("x").pem().replace('\n', "%0A"),
        )
        .json(&json!({"name": "web"}));
    let answer = vault.send(&request).expect(400);
    assert!(
        answer
            .errors()
            .starts_with("client certificate must be supplied")
    );
}

#[test]
fn who_is_not_vouched_for_does_not_get_in() {
    let vault = ready();
    let ca = Authority::new("machines");
    role(&vault, "web", &ca.pem(), json!({}));
    login(&vault, &ca.client("web-1"), json!({})).expect(200);

    let nobody = "no role accepts it";
    let same_name = Authority::new("machines");
    refuses(&vault, &same_name.client("web-1"), nobody);
    let expired = ca.client_with("web-1", |params| {
        params.not_after = date_time_ymd(2021, 1, 1)
    });
    refuses(&vault, &expired, "it has expired");
    let early = ca.client_with("web-1", |params| {
        params.not_before = date_time_ymd(3000, 1, 1)
    });
    refuses(&vault, &early, "it is not valid yet");
    let server = ca.client_with("web-1", |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    });
    refuses(
        &vault,
        &server,
        "its purposes do not include client authentication",
    );
    let between = |is_ca| {
        ca.below("between", |params: &mut CertificateParams| {
            params.is_ca = is_ca
        })
    };
    refuses(&vault, &between(IsCa::NoCa).client("web-1"), nobody);
    refuses(&vault, &between(IsCa::ExplicitNoCa).client("web-1"), nobody);
    let good = between(IsCa::Ca(BasicConstraints::Constrained(0)));
    login(&vault, &good.client("web-1"), json!({})).expect(200);
    refuses(&vault, &good.below("deep", |_| {}).client("web-1"), nobody);
    let no_signing = ca.below("between", |params| {
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    });
    refuses(&vault, &no_signing.client("web-1"), nobody);
    let past = ca.below("past", |params| {
        params.not_after = date_time_ymd(2021, 1, 1)
    });
    refuses(&vault, &past.client("web-1"), nobody);
    let narrow = ca.below("narrow", |params| {
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: vec![GeneralSubtree::DnsName("inside.example".into())],
            excluded_subtrees: Vec::new(),
        });
    });
    let inside = narrow.client_with("web-1", dns("a.inside.example"));
    login(&vault, &inside, json!({})).expect(200);
    let outside = narrow.client_with("web-1", dns("a.outside.example"));
    refuses(&vault, &outside, nobody);
}

#[test]
fn an_authority_has_to_be_good_itself() {
    let vault = ready();
    let nobody = "no role accepts it";
    let expired = Authority::with("old", |params| params.not_after = date_time_ymd(2021, 1, 1));
    role(&vault, "old", &expired.pem(), json!({}));
    refuses(&vault, &expired.client("a"), nobody);
    let shallow = Authority::with("shallow", |params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    });
    role(&vault, "shallow", &shallow.pem(), json!({}));
    login(&vault, &shallow.client("a"), json!({})).expect(200);
    refuses(&vault, &shallow.below("below", |_| {}).client("a"), nobody);
    // Without basic constraints it is one that is pinned, and vouches for nobody.
    let plain = Authority::with("plain", |params| params.is_ca = IsCa::NoCa);
    role(&vault, "plain", &plain.pem(), json!({}));
    refuses(&vault, &plain.client("a"), nobody);
}

/// CVE-2025-6037: a pinned certificate was compared by key and serial number only.
#[test]
fn cve_2025_6037_a_pinned_certificate_is_compared_as_a_whole() {
    let vault = ready();
    let ca = Authority::new("machines");
    let key = KeyPair::generate().unwrap();
    let same_key = || KeyPair::try_from(key.serialize_der().as_slice()).unwrap();
    let pinned = ca.client_for(same_key(), "web-1", |_| {});
    role(&vault, "web", &pinned.pem(), json!({}));
    let answer = login(&vault, &pinned, json!({})).expect(200);
    assert_eq!(
        answer.body["auth"]["metadata"]["common_name"],
        json!("web-1")
    );
    // The same key, serial number and authority key identifier.
    let sibling = ca.client_for(same_key(), "admin", |_| {});
    assert_eq!(sibling.serial(), pinned.serial());
    refuses(&vault, &sibling, "no role accepts it");
    refuses(&vault, &ca.client("web-1"), "no role accepts it");
}

/// CVE-2022-41316: lists counted only after somebody had read them.
#[test]
fn cve_2022_41316_a_revoked_certificate_is_refused_at_once_after_a_restart() {
    let mut vault = ready();
    let ca = Authority::new("machines");
    role(&vault, "web", &ca.pem(), json!({}));
    let (good, bad) = (ca.client("good"), ca.client("bad"));
    let between = ca.below("between", |_| {});
    login(&vault, &bad, json!({})).expect(200);
    let path = "auth/cert/crls/machines";
    vault
        .root("POST", path, json!({"crl": ca.crl(&[&bad])}))
        .expect(204);
    refuses(&vault, &bad, "it is revoked");
    vault.restart_unsealed();
    refuses(&vault, &bad, "it is revoked");
    login(&vault, &good, json!({})).expect(200);
    login(&vault, &between.client("good"), json!({})).expect(200);

    let serial = u128::from_be_bytes(bad.serial().try_into().unwrap());
    let shown = vault.root("GET", path, Value::Null).expect(200);
    assert_eq!(shown.data()["serials"], json!({ serial.to_string(): {} }));
    // A list of another authority with the same serial number is not about this one.
    let other = Authority::new("others");
    vault
        .root("POST", path, json!({"crl": other.crl(&[&bad])}))
        .expect(204);
    login(&vault, &bad, json!({})).expect(200);
    vault.root("DELETE", path, Value::Null).expect(204);
    vault.root("GET", path, Value::Null).expect(404);
}

#[test]
fn a_role_chooses_by_what_the_certificate_says() {
    let vault = ready();
    let ca = Authority::new("machines");
    let full = |params: &mut CertificateParams| {
        params
            .distinguished_name
            .push(DnType::OrganizationalUnitName, "ops");
        params.subject_alt_names = vec![
            SanType::DnsName("a.example.com".try_into().unwrap()),
            SanType::Rfc822Name("a@example.com".try_into().unwrap()),
            SanType::URI("spiffe://example.com/web".try_into().unwrap()),
        ];
        params.custom_extensions = vec![CustomExtension::from_oid_content(
            &[1, 2, 3, 4],
            b"\x0c\x04blue".to_vec(),
        )];
    };
    let machine = ca.client_with("web-1", full);
    let bare = ca.client("admin");
    let accepting = [
        json!({"allowed_names": "nobody,web-*"}),
        json!({"allowed_names": ["*.example.com"]}),
        json!({"allowed_names": "a@example.com"}),
        json!({"allowed_common_names": "web-1"}),
        json!({"allowed_dns_sans": "*.example.com"}),
        json!({"allowed_email_sans": "*@example.com"}),
        json!({"allowed_uri_sans": "spiffe://example.com/*"}),
        json!({"allowed_organizational_units": "ops"}),
        json!({"required_extensions": "1.2.3.4:bl*"}),
        json!({"required_extensions": "hex:1.2.3.4:0c04626c7565"}),
    ];
    for conditions in accepting {
        vault
            .root("DELETE", "auth/cert/certs/web", Value::Null)
            .expect(204);
        role(&vault, "web", &ca.pem(), conditions.clone());
        let answer = login(&vault, &machine, json!({}));
        assert_eq!(answer.status, 200, "{conditions} {}", answer.text);
        let answer = login(&vault, &bare, json!({}));
        assert_eq!(answer.status, 400, "{conditions} {}", answer.text);
    }
    let refusing = [
        json!({"allowed_names": "WEB-1"}),
        json!({"allowed_common_names": "a.example.com"}),
        json!({"allowed_dns_sans": "web-1"}),
        json!({"allowed_dns_sans": "*.example.com", "allowed_common_names": "other"}),
        json!({"allowed_organizational_units": "op"}),
        json!({"required_extensions": ["1.2.3.4:blue", "1.2.3.5:*"]}),
    ];
    for conditions in refusing {
        vault
            .root("DELETE", "auth/cert/certs/web", Value::Null)
            .expect(204);
        role(&vault, "web", &ca.pem(), conditions.clone());
        let answer = login(&vault, &machine, json!({}));
        assert_eq!(answer.status, 400, "{conditions} {}", answer.text);
    }
}

#[test]
fn names_that_only_look_alike_do_not_match() {
    let vault = ready();
    let ca = Authority::new("machines");
    role(
        &vault,
        "web",
        &ca.pem(),
        json!({"allowed_names": ["admin", "*.example.com"]}),
    );
    login(&vault, &ca.client("admin"), json!({})).expect(200);
    let nobody = "no role accepts it";
    for name in [
        "Admin",
        "admin ",
        "аdmin",
        "evilexample.com",
        "a.example.com.evil.org",
    ] {
        refuses(&vault, &ca.client(name), nobody);
    }
    refuses(
        &vault,
        &ca.client("a.example.com\0.evil.org"),
        "it cannot be read",
    );
    refuses(&vault, &ca.client("x\0.example.com"), "it cannot be read");
}

pub(crate) fn renew(vault: &Vault, identity: &Identity, token: &str) -> Answer {
    let request = Request::new("POST", "auth/token/renew-self").token(token);
    send(vault, identity, &request.json(&json!({})))
}

/// CVE-2026-39388: any certificate of the role renewed a token.
#[test]
fn cve_2026_39388_a_token_is_renewed_only_with_the_certificate_that_it_was_issued_for() {
    let vault = ready();
    let ca = Authority::new("machines");
    role(&vault, "web", &ca.pem(), json!({"token_policies": "one"}));
    let (first, second) = (ca.client("web-1"), ca.client("web-2"));
    let issued = login(&vault, &first, json!({})).expect(200);
    let token = text(&issued.body["auth"]["client_token"]);
    renew(&vault, &first, &token).expect(200);
    renew(&vault, &second, &token).expect(403);
    renew(&vault, &ca.client("web-1"), &token).expect(403);
    let without = Request::new("POST", "auth/token/renew-self").token(&token);
    vault.send(&without.json(&json!({}))).expect(400);

    vault
        .root("POST", "auth/cert/config", json!({"disable_binding": true}))
        .expect(204);
    renew(&vault, &second, &token).expect(200);
    vault
        .root(
            "POST",
            "auth/cert/config",
            json!({"disable_binding": false}),
        )
        .expect(204);

    role(&vault, "web", &ca.pem(), json!({"token_policies": "two"}));
    renew(&vault, &first, &token).expect(403);
    role(&vault, "web", &ca.pem(), json!({"token_policies": "one"}));
    renew(&vault, &first, &token).expect(200);
    role(&vault, "web", &Authority::new("new").pem(), json!({}));
    renew(&vault, &first, &token).expect(400);
    role(&vault, "web", &ca.pem(), json!({}));
    vault
        .root(
            "POST",
            "auth/cert/crls/x",
            json!({"crl": ca.crl(&[&first])}),
        )
        .expect(204);
    renew(&vault, &first, &token).expect(400);
    vault
        .root("DELETE", "auth/cert/crls/x", Value::Null)
        .expect(204);
    vault
        .root("DELETE", "auth/cert/certs/web", Value::Null)
        .expect(204);
    renew(&vault, &first, &token).expect(400);
}

#[test]
fn a_role_may_be_bound_to_networks() {
    let vault = ready();
    let ca = Authority::new("machines");
    let here = json!({"token_bound_cidrs": "127.0.0.1"});
    role(&vault, "web", &ca.pem(), here);
    login(&vault, &ca.client("web-1"), json!({})).expect(200);
    role(
        &vault,
        "web",
        &ca.pem(),
        json!({"token_bound_cidrs": "10.0.0.0/8"}),
    );
    login(&vault, &ca.client("web-1"), json!({})).expect(403);
}

#[test]
fn what_is_not_a_certificate_is_refused_when_it_is_written() {
    let vault = ready();
    let ca = Authority::new("machines");
    let server_only = ca.client_with("x", |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    });
    let pem = ca.pem();
    let bodies = [
        json!({}),
        json!({"certificate": ""}),
        json!({"certificate": "hunter2"}),
        json!({"certificate": &pem[..pem.len() / 2]}),
        json!({"certificate": "-----BEGIN CERTIFICATE-----\naHVudGVyMg==\n-----END CERTIFICATE-----\n"}),
        json!({"certificate": server_only.pem()}),
        json!({"certificate": pem.clone() + &ca.client("x").pem()}),
        json!({"certificate": pem, "ocsp_ca_certificates": "hunter2"}),
        json!({"certificate": pem, "required_extensions": "blue"}),
        json!({"certificate": pem, "allowed_metadata_extensions": "blue"}),
        json!({"certificate": pem, "token_policies": "root"}),
        json!({"certificate": pem, "policies": " ROOT"}),
    ];
    for body in bodies {
        let answer = vault.root("POST", "auth/cert/certs/web", body.clone());
        assert_eq!(answer.status, 400, "{body} {}", answer.text);
        assert!(!answer.text.contains("hunter2"));
    }
    vault
        .root("GET", "auth/cert/certs/web", Value::Null)
        .expect(404);
    for crl in [
        "",
        "hunter2",
        "-----BEGIN X509 CRL-----\naHVudGVyMg==\n-----END X509 CRL-----\n",
    ] {
        vault
            .root("POST", "auth/cert/crls/x", json!({ "crl": crl }))
            .expect(400);
    }
}

#[test]
fn the_listener_may_want_a_certificate_or_none() {
    let ca = Authority::new("machines");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("clients.pem");
    std::fs::write(&file, ca.pem()).unwrap();
    let strict = Vault::start(Options {
        listener: format!(
            "tls_client_ca_file = {file:?}\ntls_require_and_verify_client_cert = true"
        ),
        ..Options::default()
    });
    let health = Request::new("GET", "sys/seal-status");
    assert!(strict.endpoint.send(&health).is_err());
    let stranger = Authority::new("machines").client("web-1");
    let stranger = stranger.at(&strict.endpoint, &strict.ca());
    assert!(stranger.send(&health).is_err());
    send(&strict, &ca.client("web-1"), &health).expect(200);

    let deaf = Vault::ready_with(Options {
        listener: "tls_disable_client_certs = true".to_owned(),
        ..Options::default()
    });
    deaf.root("POST", "sys/auth/cert", json!({"type": "cert"}))
        .expect(204);
    role(&deaf, "web", &ca.pem(), json!({}));
    let answer = login(&deaf, &ca.client("web-1"), json!({})).expect(400);
    assert!(
        answer
            .errors()
            .starts_with("client certificate must be supplied")
    );
}

#[test]
fn a_refusal_says_whose_certificate_it_was_where_the_config_wants_it() {
    let vault = ready();
    let (ca, other) = (Authority::new("machines"), Authority::new("others"));
    role(&vault, "web", &ca.pem(), json!({}));
    let stranger = other.client(&"stranger".repeat(20));
    refuses(&vault, &stranger, "no role accepts it");
    let plain = login(&vault, &stranger, json!({})).expect(400);
    assert!(plain.body["data"].is_null());
    let wanted = json!({"enable_metadata_on_failures": true});
    vault.root("POST", "auth/cert/config", wanted).expect(204);
    let shown = vault.root("GET", "auth/cert/config", Value::Null);
    assert_eq!(
        shown.expect(200).data()["enable_metadata_on_failures"],
        true
    );
    refuses(&vault, &stranger, "no role accepts it");
    let told = login(&vault, &stranger, json!({})).expect(400);
    let metadata = &told.body["data"]["metadata"];
    let name = text(&metadata["common_name"]);
    assert!(name.starts_with("stranger") && name.len() == 100, "{name}");
    let serial = u128::from_be_bytes(stranger.serial().try_into().unwrap());
    assert_eq!(metadata["serial_number"], json!(serial.to_string()));
    // In the audit log it can be found again, and not read.
    let entries = vault.audit();
    let last = entries.iter().rfind(|entry| entry["type"] == "response");
    let last = last.unwrap();
    assert!(
        last["response"]["data"]["metadata"]["common_name"].is_string(),
        "{last}"
    );
    assert!(!last.to_string().contains("stranger"), "{last}");
}
