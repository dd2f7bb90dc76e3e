//! The API: what is refused, who may read what, what is recorded and told.

use serde_json::{Value, json};
use vault_tests::process::until;

use crate::site::Site;

#[test]
fn bad_input_is_refused_with_what_to_do() {
    let site = Site::new();
    let cert = |change: Value| {
        let mut body =
            json!({"account": "test", "names": ["a.example.test"], "challenge": "http-01"});
        body.as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        body
    };
    for (change, said) in [
        (json!({"names": []}), "1 to 100 different names"),
        (
            json!({"names": ["a.example.test", "A.example.test"]}),
            "different",
        ),
        (json!({"names": ["localhost"]}), "expected DNS names"),
        (json!({"names": ["büro.example"]}), "xn--"),
        (
            json!({"names": ["a.example\u{0}.test"]}),
            "expected DNS names",
        ),
        (json!({"names": ["*.example.test"]}), "dns-01 only"),
        (json!({"challenge": "email"}), "use http-01"),
        (json!({"challenge": "dns-01"}), "set dns"),
        (
            json!({"challenge": "dns-01", "dns": "nowhere"}),
            "write dns/NAME first",
        ),
        (json!({"account": "nobody"}), "write account/NAME first"),
        (json!({"key_type": "rsa-1024"}), "rsa-2048"),
        (json!({"profile": "a b"}), "directory names"),
        (json!({"max_versions": 0}), "1 to 50"),
    ] {
        let refused = site.refused("certs/a", cert(change.clone()));
        let said = if said == "directory names" {
            "authority's directory"
        } else {
            said
        };
        assert!(refused.contains(said), "{change}: {refused}");
    }
    let many: Vec<String> = (0..101).map(|at| format!("n{at}.example.test")).collect();
    assert!(
        site.refused("certs/a", cert(json!({"names": many})))
            .contains("1 to 100")
    );
    for (body, said) in [
        (json!({"terms_agreed": true}), "missing directory"),
        (
            json!({"directory": "https://ca.example/dir"}),
            "terms_agreed",
        ),
        (
            json!({"directory": "http://ca.example/dir", "terms_agreed": true}),
            "https",
        ),
        (
            json!({"directory": "letsencrypt", "terms_agreed": true, "contact": "me"}),
            "mail",
        ),
        (
            json!({"directory": "letsencrypt", "terms_agreed": true, "ca_cert": "x"}),
            "ca_cert",
        ),
        (
            json!({"directory": "letsencrypt", "terms_agreed": true, "eab_kid": "a", "eab_hmac_key": "!"}),
            "base64url",
        ),
    ] {
        let refused = site.refused("account/new", body.clone());
        assert!(refused.contains(said), "{body}: {refused}");
    }
    for (body, said) in [
        (json!({"type": "route53"}), "rfc2136 or hook"),
        (json!({"type": "hook"}), "missing hook"),
        (
            json!({"type": "rfc2136", "server": "127.0.0.1"}),
            "key_name",
        ),
        (
            json!({"type": "rfc2136", "server": "a b", "key_name": "k", "key_secret": "AAAA"}),
            "HOST",
        ),
        (
            json!({"type": "rfc2136", "server": "a", "key_name": "k", "key_secret": "!"}),
            "key_secret",
        ),
        (
            json!({"type": "rfc2136", "server": "a", "key_name": "k", "key_secret": "AAAA", "key_algorithm": "hmac-md5"}),
            "hmac-sha256",
        ),
    ] {
        let refused = site.refused("dns/new", body.clone());
        assert!(refused.contains(said), "{body}: {refused}");
    }
    assert!(site.refused("certs/-a", cert(json!({}))).contains("name"));
    site.vault
        .root("GET", "acme/certs/none", Value::Null)
        .expect(404);
    site.vault
        .root("GET", "acme/keypair/none", Value::Null)
        .expect(404);
}

#[test]
fn who_sees_how_it_stands_need_not_see_the_key() {
    let site = Site::new();
    site.cert("web", &["www.example.test"], "http-01");
    site.ready("web", 1);
    let rules = "path \"acme/certs/*\" { capabilities = [\"read\"] }\n\
                 path \"acme/certs\" { capabilities = [\"list\"] }";
    site.vault
        .root("POST", "sys/policies/acl/watch", json!({ "policy": rules }))
        .expect(204);
    let body = json!({"policies": ["watch"]});
    let token = site
        .vault
        .root("POST", "auth/token/create", body)
        .expect(200);
    let token = token.body["auth"]["client_token"]
        .as_str()
        .unwrap()
        .to_owned();
    let get = |path: &str| site.vault.call("GET", path, Some(&token), None);
    let seen = get("acme/certs/web").expect(200);
    let listed = site
        .vault
        .call("LIST", "acme/certs", Some(&token), None)
        .expect(200);
    assert_eq!(listed.data()["key_info"]["web"]["state"], "valid");
    assert!(!format!("{}{}", seen.text, listed.text).contains("PRIVATE KEY"));
    assert_eq!(get("acme/keypair/web").status, 403);
    assert_eq!(get("acme/account/test").status, 403);
}

#[test]
fn what_is_used_cannot_be_deleted() {
    let site = Site::new();
    site.write("dns/hook", json!({"type": "hook", "hook": "test"}));
    let body = json!({"account": "test", "names": ["a.example.test"], "challenge": "dns-01", "dns": "hook"});
    site.write("certs/a", body);
    site.ready("a", 1);
    for path in ["account/test", "dns/hook"] {
        let answer = site
            .vault
            .root("DELETE", &format!("acme/{path}"), Value::Null);
        assert_eq!(answer.status, 400, "{path}: {}", answer.text);
    }
    for path in ["certs/a", "account/test", "dns/hook"] {
        let answer = site
            .vault
            .root("DELETE", &format!("acme/{path}"), Value::Null);
        assert_eq!(answer.status, 204, "{path}: {}", answer.text);
    }
    site.vault
        .root("GET", "acme/keypair/a", Value::Null)
        .expect(404);
}

#[test]
fn every_step_is_in_the_audit_log_and_told() {
    let site = Site::new();
    let start = site
        .vault
        .root("GET", "sys/events/subscribe/acme", Value::Null);
    let cursor = start.expect(200).data()["cursor"]
        .as_str()
        .unwrap()
        .to_owned();
    site.cert("web", &["www.example.test"], "http-01");
    site.ready("web", 1);
    site.read("keypair/web");
    let path = format!("sys/events/subscribe/acme?cursor={cursor}&wait=1");
    let told = site.vault.root("GET", &path, Value::Null).expect(200);
    let told: Vec<(&str, &str)> = told.data()["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| {
            (
                event["path"].as_str().unwrap(),
                event["operation"].as_str().unwrap(),
            )
        })
        .collect();
    let expected = [
        ("certs/web", "written"),
        ("account/test", "registered"),
        ("certs/web", "obtained"),
    ];
    assert_eq!(told, expected);
    let audit = until(std::time::Duration::from_secs(5), || {
        let audit = site.vault.audit();
        audit
            .iter()
            .any(|line| line["request"]["path"] == "acme/keypair/web" && line["type"] == "response")
            .then_some(audit)
    })
    .unwrap();
    for step in ["register", "order", "answer", "validate", "finish"] {
        for kind in ["request", "response"] {
            let path = format!("acme/certs/web/{step}");
            let has =
                |line: &&Value| line["type"] == kind && line["request"]["path"] == path.as_str();
            assert!(audit.iter().filter(has).count() > 0, "{kind} {step}");
        }
    }
    assert!(!Value::from(audit).to_string().contains("PRIVATE KEY"));
}

#[test]
fn ends_and_failures_are_in_the_metrics() {
    let site = Site::new();
    site.cert("web", &["www.example.test"], "http-01");
    let shown = site.ready("web", 1);
    let ends: jiff::Timestamp = shown["not_after"].as_str().unwrap().parse().unwrap();
    let nowhere = json!({"directory": "https://127.0.0.1:9/dir", "terms_agreed": true});
    site.write("account/gone", nowhere);
    let body = json!({"account": "gone", "names": ["a.example.test"], "challenge": "http-01"});
    site.write("certs/a", body);
    site.until("a", |cert| !cert["failure"].is_null());
    let metrics = site
        .vault
        .root("GET", "sys/metrics?format=prometheus", Value::Null);
    let text = metrics.expect(200).text.clone();
    for line in [
        format!(
            "vaultd_certificate_not_after_seconds{{mount=\"acme/\",name=\"web\"}} {}",
            ends.as_second()
        ),
        "vaultd_certificate_last_error{mount=\"acme/\",name=\"web\"} 0".to_owned(),
        "vaultd_certificate_last_error{mount=\"acme/\",name=\"a\"} 1".to_owned(),
    ] {
        assert!(text.lines().any(|one| one == line), "{line}\n{text}");
    }
}
