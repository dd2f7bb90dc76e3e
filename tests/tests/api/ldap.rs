//! Logins with a password of a directory: a real slapd, in each way of finding a person in it.

use serde_json::{Value, json};
use vault_tests::slapd::{READER, Slapd};
use vault_tests::{Answer, Vault, program};

use crate::setup::{policy, quick, text};

const PASSWORD: &str = "correct horse";

fn person(uid: &str, cn: &str) -> String {
    format!(
        "dn: uid={uid},ou=people,dc=example,dc=org\nobjectClass: inetOrgPerson\nobjectClass: principal\nuid: {uid}\ncn: {cn}\nsn: {cn}\nuserPrincipalName: {uid}@example.org\nuserPassword: {PASSWORD}\n\n"
    )
}

fn group(name: &str, members: &[&str]) -> String {
    let members: String = members
        .iter()
        .map(|uid| format!("member: uid={uid},ou=people,dc=example,dc=org\n"))
        .collect();
    format!(
        "dn: cn={name},ou=groups,dc=example,dc=org\nobjectClass: groupOfNames\ncn: {name}\n{members}\n"
    )
}

fn unit(name: &str) -> String {
    format!("dn: ou={name},dc=example,dc=org\nobjectClass: organizationalUnit\nou: {name}\n\n")
}

fn directory(open: bool) -> Slapd {
    let entries = [
        unit("people"),
        unit("groups"),
        unit("empty"),
        person("ann", "Ann A"),
        person("bob", "Bob B"),
        // One name, two people.
        person("twin1", "Twin"),
        person("twin2", "Twin"),
        group("Ops", &["ann"]),
        group("Everybody", &["ann", "bob"]),
        "dn: cn=posix,ou=groups,dc=example,dc=org\nobjectClass: posixGroup\ncn: posix\ngidNumber: 7\nmemberUid: bob\n\n".to_owned(),
    ];
    Slapd::start(&entries.concat(), open)
}

fn mounted() -> Vault {
    let vault = quick();
    vault
        .root("POST", "sys/auth/ldap", json!({"type": "ldap"}))
        .expect(204);
    vault
}

/// Where people and groups are, and these fields.
fn configure(vault: &Vault, slapd: &Slapd, more: Value) -> Answer {
    let mut body = json!({
        "url": format!("ldap://{}", slapd.plain), "userattr": "uid",
        "userdn": "ou=people,dc=example,dc=org", "groupdn": "ou=groups,dc=example,dc=org",
    });
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    vault.root("POST", "auth/ldap/config", body)
}

/// A reader who searches for people.
fn searching(vault: &Vault, slapd: &Slapd, more: Value) {
    let (name, password) = READER;
    let mut body = json!({"binddn": name, "bindpass": password});
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    configure(vault, slapd, body).expect(204);
}

fn login(vault: &Vault, name: &str, password: &str) -> Answer {
    let mut path = String::from("auth/ldap/login/");
    for byte in name.bytes() {
        path += &format!("%{byte:02X}");
    }
    vault.call("POST", &path, None, Some(&json!({"password": password})))
}

#[track_caller]
fn refused(vault: &Vault, name: &str, password: &str) {
    let answer = login(vault, name, password).expect(400);
    let why = "ldap operation failed: failed to bind as user";
    assert_eq!(answer.errors(), why, "{name}");
}

#[test]
fn a_person_of_the_directory_gets_the_policies_of_user_and_groups() {
    let slapd = directory(false);
    let vault = mounted();
    searching(
        &vault,
        &slapd,
        json!({"token_policies": "all", "token_ttl": "10m"}),
    );
    for (path, body) in [
        ("groups/ops", json!({"policies": "ops"})),
        ("groups/posix", json!({"policies": ["posix"]})),
        ("groups/local", json!({"policies": "local"})),
        ("users/Bob", json!({"policies": "bob", "groups": "Local"})),
    ] {
        vault
            .root("POST", &format!("auth/ldap/{path}"), body)
            .expect(204);
    }
    let auth = login(&vault, "ann", PASSWORD).expect(200).body["auth"].clone();
    assert_eq!(auth["policies"], json!(["all", "default", "ops"]));
    assert_eq!(auth["lease_duration"], 600);
    assert_eq!(auth["metadata"], json!({"username": "ann"}));
    let own = vault.call(
        "GET",
        "auth/token/lookup-self",
        auth["client_token"].as_str(),
        None,
    );
    assert_eq!(own.expect(200).data()["display_name"], "ldap-ann");
    // By member and by memberUid, and by a group that only we know.
    let bob = login(&vault, "bob", PASSWORD).expect(200).body["auth"].clone();
    assert_eq!(
        bob["policies"],
        json!(["all", "bob", "default", "local", "posix"])
    );
    assert_ne!(bob["entity_id"], auth["entity_id"]);
    // In another spelling it is the same person.
    let again = login(&vault, "ANN", PASSWORD).expect(200).body["auth"].clone();
    assert_eq!(again["entity_id"], auth["entity_id"]);
    assert_eq!(again["policies"], auth["policies"]);

    let renew = |auth: &Value| {
        let token = auth["client_token"].as_str();
        vault.call("POST", "auth/token/renew-self", token, None)
    };
    renew(&auth).expect(200);
    vault
        .root("POST", "auth/ldap/groups/ops", json!({"policies": "other"}))
        .expect(204);
    let changed = renew(&auth).expect(403);
    assert!(changed.errors().contains("policies have changed"));
    let shown = vault
        .root("GET", "auth/ldap/users/BOB", Value::Null)
        .expect(200);
    assert_eq!(
        shown.data(),
        &json!({"policies": ["bob"], "groups": "Local"})
    );
    let listed = vault
        .root("LIST", "auth/ldap/groups", Value::Null)
        .expect(200);
    assert_eq!(listed.data()["keys"], json!(["local", "ops", "posix"]));
    vault
        .root("DELETE", "auth/ldap/users/bob", Value::Null)
        .expect(204);
    let bob = login(&vault, "bob", PASSWORD).expect(200).body["auth"].clone();
    assert_eq!(bob["policies"], json!(["all", "default", "posix"]));
}

#[test]
fn a_group_of_the_directory_counts_into_an_external_group_until_the_next_login() {
    let slapd = directory(false);
    let vault = mounted();
    searching(&vault, &slapd, json!({}));
    policy(
        &vault,
        "ops",
        r#"path "kv/ops" { capabilities = ["read"] }"#,
    );
    vault
        .root("POST", "sys/mounts/kv", json!({"type": "kv"}))
        .expect(204);
    let mounts = vault.root("GET", "sys/auth", Value::Null).expect(200);
    let group = json!({"name": "ops", "type": "external", "policies": "ops"});
    let group = vault.root("POST", "identity/group", group).expect(200);
    let alias = json!({
        "name": "Ops", "canonical_id": group.data()["id"],
        "mount_accessor": mounts.data()["ldap/"]["accessor"],
    });
    vault
        .root("POST", "identity/group-alias", alias)
        .expect(200);
    let auth = login(&vault, "ann", PASSWORD).expect(200).body["auth"].clone();
    assert_eq!(auth["identity_policies"], json!(["ops"]));
    let token = text(&auth["client_token"]);
    let reads = || vault.call("GET", "kv/ops", Some(&token), None).status;
    assert_eq!(reads(), 404);
    let bob = login(&vault, "bob", PASSWORD).expect(200).body["auth"].clone();
    assert_eq!(bob["identity_policies"], Value::Null);
    // The directory has no such group for her any more.
    searching(
        &vault,
        &slapd,
        json!({"groupdn": "ou=empty,dc=example,dc=org"}),
    );
    let answer = login(&vault, "ann", PASSWORD).expect(200);
    assert_eq!(answer.body["auth"]["identity_policies"], Value::Null);
    assert!(
        answer.text.contains("no LDAP groups found"),
        "{}",
        answer.text
    );
    assert_eq!(reads(), 403);
}

#[test]
fn a_renewal_asks_the_directory_again() {
    let with = |people: &[&str], ops: &[&str]| {
        let people: String = people.iter().map(|uid| person(uid, uid)).collect();
        let entries = [unit("people"), unit("groups"), people, group("ops", ops)];
        Slapd::start(&entries.concat(), true)
    };
    let vault = mounted();
    vault
        .root("POST", "auth/ldap/groups/ops", json!({"policies": "ops"}))
        .expect(204);
    let before = with(&["ann", "bob"], &["ann"]);
    searching(&vault, &before, json!({}));
    let auth = login(&vault, "ann", PASSWORD).expect(200).body["auth"].clone();
    let renew = || {
        let token = auth["client_token"].as_str();
        vault.call("POST", "auth/token/renew-self", token, None)
    };
    renew().expect(200);
    // She has left the group, and then the house.
    let left = with(&["ann", "bob"], &["bob"]);
    searching(&vault, &left, json!({}));
    let answer = renew().expect(403);
    assert!(answer.errors().contains("policies have changed"));
    let gone = with(&["bob"], &["bob"]);
    searching(&vault, &gone, json!({}));
    let answer = renew().expect(403);
    assert!(answer.errors().contains("does not know the user any more"));
    searching(&vault, &gone, json!({"url": "ldap://127.0.0.1:1"}));
    let answer = renew().expect(400);
    assert!(answer.errors().contains("cannot connect"));
    // By her accessor she is asked about, too.
    let accessor = json!({"accessor": auth["accessor"]});
    let by_accessor = || vault.root("POST", "auth/token/renew-accessor", accessor.clone());
    by_accessor().expect(400);
    searching(
        &vault,
        &before,
        json!({"url": format!("ldap://{}", before.plain)}),
    );
    by_accessor().expect(200);
    // Who searches as nobody knows that she is there, and her groups from the login.
    let anonymous = json!({"binddn": "", "bindpass": "", "discoverdn": true});
    configure(&vault, &before, anonymous.clone()).expect(204);
    renew().expect(200);
    configure(&vault, &gone, anonymous).expect(204);
    renew().expect(403);
    // Only she could ask.
    configure(&vault, &gone, json!({"discoverdn": false})).expect(204);
    renew().expect(200);
}

/// LDAP injection: CVE-2026-55770, and names that a directory would take for somebody.
#[test]
fn cve_2026_55770_ldap_injection_a_name_is_a_name_and_nothing_else() {
    let slapd = directory(true);
    let vault = mounted();
    let names = [
        "*",
        "a*",
        "ann)(uid=*",
        "ann)(|(uid=*",
        "*)(objectClass=*",
        "ann,ou=people",
        "ann+uid=bob",
        "ann,ou=people,dc=example,dc=org#",
        "#616e6e",
        "ann@example.org",
    ];
    // By search, by a name that is made up, and by principal; each with a password that is right.
    let (reader, secret) = READER;
    for config in [
        json!({"binddn": reader, "bindpass": secret}),
        json!({"discoverdn": true}),
        json!({}),
        // Without its escape, `ann,ou=people` would be somebody below this.
        json!({"userdn": "dc=example,dc=org"}),
        json!({"binddn": reader, "bindpass": secret, "upndomain": "example.org"}),
    ] {
        let vault = mounted();
        configure(&vault, &slapd, config.clone()).expect(204);
        for name in names {
            refused(&vault, name, PASSWORD);
        }
    }
    // Spellings that directories take for the same are refused before anybody is asked.
    configure(&vault, &slapd, json!({"discoverdn": true})).expect(204);
    for name in [
        " ann",
        "ann ",
        "a  nn",
        "ann\0",
        "ann\n",
        "ａnn",
        "\\61nn",
        "\\2a",
        "\u{ad}ann",
    ] {
        let answer = login(&vault, name, PASSWORD);
        assert!(
            matches!(answer.status, 400 | 404),
            "{name:?}: {}",
            answer.text
        );
        assert!(answer.body["auth"].is_null());
    }
}

#[test]
fn each_way_of_finding_a_person_finds_him_and_nobody_else() {
    let slapd = directory(true);
    let (reader, secret) = READER;
    for (config, alias) in [
        (json!({"binddn": reader, "bindpass": secret}), "ann"),
        (json!({"discoverdn": true}), "ann"),
        (json!({}), "uid=ann,ou=people,dc=example,dc=org"),
        (json!({"username_as_alias": true}), "ann"),
        (
            json!({"discoverdn": true, "anonymous_group_search": true}),
            "ann",
        ),
        (
            json!({"discoverdn": true, "upndomain": "example.org"}),
            "ann",
        ),
        (
            json!({"discoverdn": true, "userfilter": "(&(uid={{.Username}})(cn=Ann*))"}),
            "ann",
        ),
    ] {
        let vault = mounted();
        configure(&vault, &slapd, config.clone()).expect(204);
        vault
            .root("POST", "auth/ldap/groups/ops", json!({"policies": "ops"}))
            .expect(204);
        let auth = login(&vault, "Ann", PASSWORD).expect(200).body["auth"].clone();
        assert_eq!(auth["policies"], json!(["default", "ops"]), "{config}");
        let entity = format!("identity/entity/id/{}", text(&auth["entity_id"]));
        let entity = vault.root("GET", &entity, Value::Null).expect(200);
        assert_eq!(entity.data()["aliases"][0]["name"], alias, "{config}");
        refused(&vault, "ann", "wrong");
        refused(&vault, "nobody", PASSWORD);
        let empty = login(&vault, "ann", "").expect(400);
        assert!(empty.errors().contains("zero length"), "{}", empty.errors());
    }
    // Of two with one name it is neither.
    let vault = mounted();
    let twins = json!({"discoverdn": true, "userattr": "cn"});
    configure(&vault, &slapd, twins).expect(204);
    login(&vault, "Ann A", PASSWORD).expect(200);
    refused(&vault, "Twin", PASSWORD);
    // Groups by another attribute and another filter.
    let vault = mounted();
    let names = json!({"discoverdn": true, "groupattr": "member", "groupfilter": "(&(cn=Ops)(member={{.UserDN}}))"});
    configure(&vault, &slapd, names).expect(204);
    let path = "auth/ldap/groups/uid=ann,ou=people,dc=example,dc=org";
    vault
        .root("POST", path, json!({"policies": "x"}))
        .expect(204);
    let auth = login(&vault, "ann", PASSWORD).expect(200).body["auth"].clone();
    assert_eq!(auth["policies"], json!(["default", "x"]));
}

#[test]
fn tls_is_what_the_config_says_or_nothing() {
    let slapd = directory(false);
    let vault = mounted();
    let ldaps = format!("ldaps://{}", slapd.tls);
    let works = |more: Value| {
        searching(&vault, &slapd, more);
        login(&vault, "ann", PASSWORD)
    };
    works(json!({"url": ldaps, "certificate": slapd.ca_pem})).expect(200);
    works(json!({"starttls": true})).expect(200);
    // Another's CA vouches for nobody, and there is no way around it.
    let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]);
    let other = other.unwrap().cert.pem();
    for more in [
        json!({"url": ldaps, "certificate": other}),
        json!({"starttls": true, "certificate": other}),
    ] {
        let answer = works(more).expect(400);
        assert!(answer.errors().contains("ldap operation failed: "));
        assert!(!answer.text.contains(PASSWORD));
    }
    // The second one answers.
    let url = format!("ldap://127.0.0.1:1,ldap://{}", slapd.plain);
    works(json!({"url": url, "starttls": false})).expect(200);
    let answer = works(json!({"url": "ldap://127.0.0.1:1"})).expect(400);
    assert!(answer.errors().contains("cannot connect"));
    let answer = works(json!({"url": format!("ldap://{}", slapd.plain), "bindpass": "wrong"}));
    let errors = answer.expect(400).errors();
    assert!(
        errors.contains("binddn and bindpass are refused"),
        "{errors}"
    );
}

#[test]
fn a_version_of_tls_that_the_config_rules_out_is_not_spoken() {
    let people = [unit("people"), unit("groups"), person("ann", "Ann A")].concat();
    for (spoken, other) in [("tls12", "tls13"), ("tls13", "tls12")] {
        let number = spoken.replace("tls1", "1.");
        let only = format!("TLSCipherSuite NORMAL:-VERS-ALL:+VERS-TLS{number}");
        let slapd = Slapd::start_with(&people, false, &only);
        let vault = mounted();
        let works = |version: &str, more: Value| {
            let mut config = json!({
                "certificate": slapd.ca_pem, "tls_min_version": version, "tls_max_version": version,
            });
            config
                .as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            searching(&vault, &slapd, config);
            login(&vault, "ann", PASSWORD)
        };
        for more in [
            json!({"starttls": true}),
            json!({"url": format!("ldaps://{}", slapd.tls)}),
        ] {
            works(spoken, more.clone()).expect(200);
            let answer = works(other, more).expect(400);
            let said = answer.errors();
            assert!(said.contains("ldap operation failed: "), "{said}");
        }
    }
}

#[test]
fn a_directory_that_wants_a_certificate_gets_ours() {
    let people = [unit("people"), unit("groups"), person("ann", "Ann A")].concat();
    let slapd = Slapd::start_with(
        &people,
        false,
        "TLSCACertificateFile DIR/ca\nTLSVerifyClient demand",
    );
    let vault = mounted();
    let ldaps = json!({"url": format!("ldaps://{}", slapd.tls), "certificate": slapd.ca_pem});
    searching(&vault, &slapd, ldaps);
    login(&vault, "ann", PASSWORD).expect(400);
    let (certificate, key) = &slapd.own_pem;
    let write = |body: Value| vault.root("POST", "auth/ldap/config", body);
    let foreign = rcgen::KeyPair::generate().unwrap().serialize_pem();
    let odd = write(json!({"client_tls_cert": certificate, "client_tls_key": foreign})).expect(400);
    assert!(
        odd.errors().contains("its own private key"),
        "{}",
        odd.errors()
    );
    write(json!({"client_tls_cert": certificate, "client_tls_key": key})).expect(204);
    login(&vault, "ann", PASSWORD).expect(200);
    let shown = vault
        .root("GET", "auth/ldap/config", Value::Null)
        .expect(200);
    assert_eq!(shown.data()["client_tls_cert"], json!(certificate));
    assert!(!shown.text.contains("PRIVATE KEY"), "{}", shown.text);
}

#[test]
fn groups_come_in_pages_where_the_config_says_so() {
    let names: Vec<String> = (0..25).map(|number| format!("group{number:02}")).collect();
    let groups: String = names.iter().map(|name| group(name, &["ann"])).collect();
    let entries = [
        unit("people"),
        unit("groups"),
        person("ann", "Ann A"),
        groups,
    ];
    // As a directory does that gives no more than ten at once.
    let limit = "sizelimit size.soft=10 size.hard=10 size.prtotal=unlimited";
    let slapd = Slapd::start_with(&entries.concat(), false, limit);
    let vault = mounted();
    for name in &names {
        let path = format!("auth/ldap/groups/{name}");
        vault
            .root("POST", &path, json!({"policies": name}))
            .expect(204);
    }
    let granted = |size: i32| {
        searching(&vault, &slapd, json!({"max_page_size": size}));
        let auth = login(&vault, "ann", PASSWORD).expect(200).body["auth"].clone();
        auth["policies"].as_array().unwrap().len() - 1
    };
    assert_eq!(granted(0), 10);
    assert_eq!(granted(10), 25);
    assert_eq!(granted(7), 25);
    assert_eq!(granted(-1), 10);
    let shown = vault
        .root("GET", "auth/ldap/config", Value::Null)
        .expect(200);
    assert_eq!(shown.data()["max_page_size"], 0);
}

#[test]
fn a_name_is_locked_after_wrong_passwords_in_any_spelling_and_not_by_an_outage() {
    let slapd = directory(false);
    let vault = mounted();
    searching(&vault, &slapd, json!({"url": "ldap://127.0.0.1:1"}));
    for _ in 0..6 {
        login(&vault, "ann", PASSWORD).expect(400);
    }
    let url = format!("ldap://{}", slapd.plain);
    searching(&vault, &slapd, json!({ "url": url }));
    login(&vault, "ann", PASSWORD).expect(200);
    for name in ["ann", "ANN", "Ann", "aNN", "anN"] {
        refused(&vault, name, "wrong");
    }
    login(&vault, "ann", PASSWORD).expect(403);
    login(&vault, "bob", PASSWORD).expect(200);
    let locked = vault
        .root("GET", "sys/locked-users", Value::Null)
        .expect(200);
    assert!(locked.text.contains("ann"), "{}", locked.text);
    let mounts = vault.root("GET", "sys/auth", Value::Null).expect(200);
    let accessor = text(&mounts.data()["ldap/"]["accessor"]);
    let unlock = format!("sys/locked-users/{accessor}/unlock/ann");
    vault.root("POST", &unlock, json!({})).expect(204);
    login(&vault, "ann", PASSWORD).expect(200);
}

#[test]
fn a_config_is_checked_and_shows_no_password() {
    let vault = mounted();
    let write = |body: Value| vault.root("POST", "auth/ldap/config", body);
    vault
        .root("GET", "auth/ldap/config", Value::Null)
        .expect(404);
    let missing = login(&vault, "ann", PASSWORD).expect(400);
    assert!(missing.errors().contains("not configured"));
    let full =
        json!({"userdn": "ou=p", "binddn": "cn=r", "bindpass": "hunter2", "groupdn": "ou=g"});
    write(full).expect(204);
    for (body, why) in [
        (json!({"url": "ldapi:///x"}), "url: "),
        (json!({"url": "ldap://a,http://b"}), "url: "),
        (json!({"certificate": "x"}), "certificate: "),
        (json!({"insecure_tls": true}), "insecure_tls: "),
        (json!({"deny_null_bind": false}), "proves nothing"),
        (json!({"use_token_groups": true}), "not supported"),
        (json!({"client_tls_cert": "x"}), "client_tls_cert and"),
        (json!({"client_tls_key": "x"}), "client_tls_cert and"),
        (
            json!({"tls_min_version": "tls13", "tls_max_version": "tls12"}),
            "'tls_max_version' must be",
        ),
        (json!({"tls_min_version": "tls10"}), "tls_min_version"),
        (
            json!({"userfilter": "(uid={{.Username}}"}),
            "userfilter: it is no search filter",
        ),
        (
            json!({"userfilter": "(uid={{.Password}})"}),
            "userfilter: only",
        ),
        (json!({"groupfilter": "x"}), "groupfilter: it is no"),
        (json!({"userattr": "uid=x,"}), "names of attributes"),
        (json!({"dereference_aliases": "x"}), "dereference_aliases"),
        (json!({"request_timeout": 0}), "request_timeout"),
        (json!({"userdn": ""}), "userdn is missing"),
        (json!({"token_policies": "root"}), "root"),
    ] {
        let answer = write(body).expect(400);
        assert!(answer.errors().contains(why), "{}", answer.errors());
    }
    let plain = write(json!({"url": "ldap://dir.example.org"})).expect(200);
    assert!(plain.text.contains("in plain text"), "{}", plain.text);
    write(json!({"starttls": true})).expect(204);
    let shown = vault
        .root("GET", "auth/ldap/config", Value::Null)
        .expect(200);
    assert!(!shown.text.contains("hunter2"));
    assert_eq!(shown.data()["url"], "ldap://dir.example.org");
    assert_eq!(shown.data()["binddn"], "cn=r");
    assert_eq!(shown.data()["deny_null_bind"], true);
    for (path, body) in [
        ("users/a%2Fb", json!({"policies": "x"})),
        ("users/x", json!({"policies": "root"})),
        ("groups/x", json!({"policies": "root"})),
    ] {
        let answer = vault.root("POST", &format!("auth/ldap/{path}"), body);
        assert!(matches!(answer.status, 400 | 404), "{path} {}", answer.text);
    }
}

#[test]
fn the_command_line_logs_in() {
    let slapd = directory(false);
    let vault = mounted();
    searching(&vault, &slapd, json!({}));
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("password");
    std::fs::write(&file, PASSWORD).unwrap();
    let password = format!("password=@{}", file.display());
    let output = std::process::Command::new(program("vaultctl"))
        .args(["login", "--method", "ldap", "username=ann", &password])
        .env_clear()
        .env("HOME", home.path())
        .env("VAULT_ADDR", &vault.addr)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("authenticated"),
        "{output:?}"
    );
    assert!(home.path().join(".vault-token").exists());
}
