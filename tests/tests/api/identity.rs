//! Identity: one entity for each who logs in, what its groups give it, and what takes that away.

use serde_json::{Value, json};
use vault_tests::{Answer, Vault};

use crate::setup::{ROOT_SPELLINGS, durable, policy, quick, text, together, token, with_status};

/// Two AppRole mounts; roles there need no secret id, so a role id is a person.
fn prepare(vault: &Vault) {
    for mount in ["a", "b"] {
        let path = format!("sys/auth/{mount}");
        vault
            .root("POST", &path, json!({"type": "approle"}))
            .expect(204);
    }
    vault
        .root("POST", "sys/mounts/kv", json!({"type": "kv"}))
        .expect(204);
}

fn with_logins() -> Vault {
    let vault = quick();
    prepare(&vault);
    vault
}

fn role(vault: &Vault, mount: &str, who: &str, more: Value) {
    let mut body = json!({
        "role_id": who, "bind_secret_id": false, "secret_id_bound_cidrs": "127.0.0.0/8",
    });
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    let path = format!("auth/{mount}/role/{who}");
    vault.root("POST", &path, body).expect(204);
}

fn log_in(vault: &Vault, mount: &str, who: &str) -> Answer {
    let body = json!({ "role_id": who });
    vault.call("POST", &format!("auth/{mount}/login"), None, Some(&body))
}

/// Token and entity of a first login.
fn person(vault: &Vault, mount: &str, who: &str) -> (String, String) {
    role(vault, mount, who, json!({}));
    let auth = &log_in(vault, mount, who).expect(200).body["auth"];
    (text(&auth["client_token"]), text(&auth["entity_id"]))
}

fn accessor(vault: &Vault, mount: &str) -> String {
    let mounts = vault.root("GET", "sys/auth", Value::Null).expect(200);
    text(&mounts.data()[format!("{mount}/")]["accessor"])
}

/// The status of a read below `kv/`; an allowed one finds nothing.
fn read(vault: &Vault, token: &str, path: &str) -> u16 {
    let path = format!("kv/{path}");
    vault.call("GET", &path, Some(token), None).status
}

fn group(vault: &Vault, body: Value) -> String {
    let made = vault.root("POST", "identity/group", body).expect(200);
    text(&made.data()["id"])
}

fn change(vault: &Vault, path: &str, body: Value) -> Answer {
    vault.root("POST", &format!("identity/{path}"), body)
}

fn show(vault: &Vault, path: &str) -> Value {
    let answer = vault.root("GET", &format!("identity/{path}"), Value::Null);
    answer.expect(200).data().clone()
}

fn keys(vault: &Vault, path: &str) -> Vec<String> {
    let answer = vault.root("LIST", &format!("identity/{path}"), Value::Null);
    let keys = answer.expect(200).data()["keys"].clone();
    keys.as_array().unwrap().iter().map(text).collect()
}

#[test]
fn fifty_first_logins_at_once_make_one_entity() {
    let vault = with_logins();
    role(&vault, "a", "ann", json!({}));
    let answers = together(50, |_| log_in(&vault, "a", "ann"));
    assert_eq!(with_status(&answers, 200), 50);
    let ids = keys(&vault, "entity/id");
    assert_eq!(ids.len(), 1);
    for answer in &answers {
        assert_eq!(answer.body["auth"]["entity_id"], json!(ids[0]));
    }
    assert_eq!(keys(&vault, "entity-alias/id").len(), 1);
    let counted = vault.root("GET", "sys/internal/counters/entities", Value::Null);
    assert_eq!(
        counted.expect(200).data()["counters"]["entities"]["total"],
        1
    );
}

#[test]
fn the_same_name_on_another_mount_is_somebody_else() {
    let vault = with_logins();
    let (_, here) = person(&vault, "a", "ann");
    let (_, there) = person(&vault, "b", "ann");
    assert_ne!(here, there);
    // A new mount at an old path is a stranger, too.
    vault.root("DELETE", "sys/auth/a", Value::Null).expect(204);
    vault
        .root("POST", "sys/auth/a", json!({"type": "approle"}))
        .expect(204);
    let (_, new) = person(&vault, "a", "ann");
    assert_ne!(here, new);
    let old = show(&vault, &format!("entity/id/{here}"));
    assert_eq!(old["aliases"][0]["mount_path"], "");
}

#[test]
fn cve_2020_10660_policies_of_entity_and_groups_count_from_one_request_to_the_next() {
    let vault = with_logins();
    for name in ["own", "team", "org"] {
        let rule = format!("path \"kv/{name}\" {{ capabilities = [\"read\"] }}");
        policy(&vault, name, &rule);
    }
    let (token, id) = person(&vault, "a", "ann");
    let may = |token: &str| ["own", "team", "org"].map(|path| read(&vault, token, path));
    assert_eq!(may(&token), [403, 403, 403]);
    change(
        &vault,
        &format!("entity/id/{id}"),
        json!({"policies": "own"}),
    )
    .expect(204);
    assert_eq!(may(&token), [404, 403, 403]);
    let team = group(
        &vault,
        json!({"name": "team", "policies": ["team"], "member_entity_ids": [id]}),
    );
    assert_eq!(may(&token), [404, 404, 403]);
    let org = group(
        &vault,
        json!({"name": "org", "policies": ["org"], "member_group_ids": [team]}),
    );
    assert_eq!(may(&token), [404, 404, 404]);

    let own = vault
        .call("GET", "auth/token/lookup-self", Some(&token), None)
        .expect(200);
    assert_eq!(own.data()["policies"], json!(["default"]));
    assert_eq!(
        own.data()["identity_policies"],
        json!(["org", "own", "team"])
    );
    assert_eq!(own.data()["external_namespace_policies"], json!({}));
    let auth = log_in(&vault, "a", "ann").expect(200).body["auth"].clone();
    assert_eq!(auth["policies"], json!(["default", "org", "own", "team"]));
    assert_eq!(auth["token_policies"], json!(["default"]));
    let entity = show(&vault, &format!("entity/id/{id}"));
    assert_eq!(entity["direct_group_ids"], json!([team]));
    assert_eq!(entity["inherited_group_ids"], json!([org]));

    // What is taken away is gone with the answer: of a group, of a policy, of an entity.
    change(&vault, &format!("group/id/{org}"), json!({"policies": []})).expect(200);
    assert_eq!(may(&token), [404, 404, 403]);
    change(
        &vault,
        &format!("group/id/{org}"),
        json!({"policies": ["org"]}),
    )
    .expect(200);
    change(
        &vault,
        &format!("group/id/{team}"),
        json!({"member_entity_ids": []}),
    )
    .expect(200);
    assert_eq!(may(&token), [404, 403, 403]);
    policy(
        &vault,
        "own",
        "path \"kv/own\" { capabilities = [\"deny\"] }",
    );
    assert_eq!(may(&token), [403, 403, 403]);
    change(
        &vault,
        "group/name/team",
        json!({"member_entity_ids": [id]}),
    )
    .expect(200);
    assert_eq!(may(&token), [403, 404, 404]);
    vault
        .root("DELETE", &format!("identity/group/id/{team}"), Value::Null)
        .expect(204);
    assert_eq!(may(&token), [403, 403, 403]);
}

#[test]
fn tokens_of_an_entity_that_is_disabled_or_gone_are_refused() {
    let vault = with_logins();
    let (service, id) = person(&vault, "a", "ann");
    role(&vault, "a", "ann", json!({"token_type": "batch"}));
    let batch = text(&log_in(&vault, "a", "ann").expect(200).body["auth"]["client_token"]);
    let child = vault
        .call(
            "POST",
            "auth/token/create",
            Some(&service),
            Some(&json!({})),
        )
        .status;
    assert_eq!(child, 403, "the default policy makes no tokens");
    let asks = |token: &str| {
        let answer = vault.call("GET", "auth/token/lookup-self", Some(token), None);
        answer.status
    };
    assert_eq!((asks(&service), asks(&batch)), (200, 200));
    let path = format!("entity/id/{id}");
    change(&vault, &path, json!({"disabled": true})).expect(204);
    assert_eq!((asks(&service), asks(&batch)), (403, 403));
    assert_eq!(log_in(&vault, "a", "ann").status, 403);
    change(&vault, &path, json!({"disabled": false})).expect(204);
    assert_eq!((asks(&service), asks(&batch)), (200, 200));
    vault
        .root("DELETE", &format!("identity/{path}"), Value::Null)
        .expect(204);
    assert_eq!((asks(&service), asks(&batch)), (403, 403));
    // Who logs in again is somebody new.
    let again = log_in(&vault, "a", "ann").expect(200);
    assert_ne!(again.body["auth"]["entity_id"], json!(id));
}

#[test]
fn children_are_their_parents_entity_and_orphans_are_nobodys() {
    let vault = with_logins();
    let maker = r#"path "auth/token/*" { capabilities = ["create", "update", "sudo"] }"#;
    policy(&vault, "maker", maker);
    role(&vault, "a", "ann", json!({"token_policies": "maker"}));
    let auth = log_in(&vault, "a", "ann").expect(200).body["auth"].clone();
    let (token, id) = (text(&auth["client_token"]), auth["entity_id"].clone());
    let make = |path: &str, body: Value| {
        let answer = vault.call("POST", path, Some(&token), Some(&body));
        answer.expect(200).body["auth"]["entity_id"].clone()
    };
    assert_eq!(make("auth/token/create", json!({})), id);
    assert_eq!(make("auth/token/create", json!({"type": "batch"})), id);
    assert_eq!(make("auth/token/create-orphan", json!({})), "");

    let role = json!({"allowed_entity_aliases": ["web-*"], "orphan": true});
    vault.root("POST", "auth/token/roles/web", role).expect(204);
    let named = |alias: &str| {
        let body = json!({"entity_alias": alias});
        vault.root("POST", "auth/token/create/web", body)
    };
    let first = named("Web-1").expect(200).body["auth"]["entity_id"].clone();
    assert_eq!(named("web-1").expect(200).body["auth"]["entity_id"], first);
    assert_ne!(named("web-2").expect(200).body["auth"]["entity_id"], first);
    named("db-1").expect(400);
    let bare = vault.root(
        "POST",
        "auth/token/create",
        json!({"entity_alias": "web-1"}),
    );
    bare.expect(400);
}

#[test]
fn groups_have_no_circles_even_if_two_requests_close_one() {
    let vault = with_logins();
    let ids: Vec<_> = (0..3).map(|_| group(&vault, json!({}))).collect();
    let hold = |outer: &str, inner: &str| {
        let path = format!("group/id/{outer}");
        change(&vault, &path, json!({"member_group_ids": [inner]}))
    };
    hold(&ids[0], &ids[1]).expect(200);
    hold(&ids[1], &ids[2]).expect(200);
    let refused = hold(&ids[2], &ids[0]).expect(400);
    assert!(refused.errors().contains("cyclic relationship"));
    hold(&ids[0], &ids[0]).expect(400);
    for _ in 0..10 {
        let pair = [group(&vault, json!({})), group(&vault, json!({}))];
        let answers = together(2, |n| hold(&pair[n], &pair[1 - n]));
        assert_eq!(
            (with_status(&answers, 200), with_status(&answers, 400)),
            (1, 1)
        );
    }
}

#[test]
fn cve_2021_41802_a_merge_keeps_aliases_groups_and_tokens() {
    let vault = with_logins();
    policy(
        &vault,
        "team",
        "path \"kv/team\" { capabilities = [\"read\"] }",
    );
    let (old_token, old) = person(&vault, "a", "ann");
    let (_, new) = person(&vault, "b", "ann");
    let team = group(
        &vault,
        json!({"policies": "team", "member_entity_ids": [old]}),
    );
    let merge = |from: &str, into: &str, keep: Value| {
        let body = json!({
            "from_entity_ids": [from], "to_entity_id": into, "conflicting_alias_ids_to_keep": keep,
        });
        change(&vault, "entity/merge", body)
    };
    merge(&old, &new, Value::Null).expect(204);
    let entity = show(&vault, &format!("entity/id/{new}"));
    assert_eq!(entity["merged_entity_ids"], json!([old]));
    assert_eq!(entity["aliases"].as_array().unwrap().len(), 2);
    assert_eq!(entity["direct_group_ids"], json!([team]));
    let members = &show(&vault, &format!("group/id/{team}"))["member_entity_ids"];
    assert_eq!(*members, json!([new]));
    assert_eq!(read(&vault, &old_token, "team"), 404);
    for mount in ["a", "b"] {
        let auth = log_in(&vault, mount, "ann").expect(200);
        assert_eq!(auth.body["auth"]["entity_id"], json!(new));
    }
    // An alias of a mount that both have: one must be named.
    let (_, other) = person(&vault, "a", "bob");
    let alias = |id: &str| show(&vault, &format!("entity/id/{id}"))["aliases"][0].clone();
    let bob = text(&alias(&other)["id"]);
    merge(&other, &new, Value::Null).expect(400);
    merge(&other, &new, json!([bob])).expect(204);
    assert_eq!(
        log_in(&vault, "a", "bob").expect(200).body["auth"]["entity_id"],
        json!(new)
    );
    assert_ne!(
        log_in(&vault, "a", "ann").expect(200).body["auth"]["entity_id"],
        json!(new)
    );
    merge(&new, &new, Value::Null).expect(400);
    merge("nobody", &new, Value::Null).expect(400);
    // A merged id names nobody who could be deleted by it.
    vault
        .root("DELETE", &format!("identity/entity/id/{old}"), Value::Null)
        .expect(204);
    show(&vault, &format!("entity/id/{new}"));
}

#[test]
fn templates_give_each_their_own() {
    let vault = with_logins();
    let here = accessor(&vault, "a");
    let rules = format!(
        r#"path "kv/id/{{{{identity.entity.id}}}}/*" {{ capabilities = ["read"] }}
        path "kv/alias/{{{{identity.entity.aliases.{here}.name}}}}" {{ capabilities = ["read"] }}
        path "kv/role/{{{{identity.entity.aliases.{here}.metadata.role_name}}}}" {{ capabilities = ["read"] }}
        path "kv/group/{{{{identity.groups.names.ops.metadata.env}}}}" {{ capabilities = ["read"] }}
        path "kv/team-{{{{identity.entity.metadata.team}}}}" {{ capabilities = ["read"] }}"#
    );
    policy(&vault, "default", &rules);
    let (ann, id) = person(&vault, "a", "ann");
    let (bob, other) = person(&vault, "b", "bob");
    assert_eq!(read(&vault, &ann, &format!("id/{id}/x")), 404);
    assert_eq!(read(&vault, &ann, &format!("id/{other}/x")), 403);
    assert_eq!(read(&vault, &bob, &format!("id/{other}/x")), 404);
    assert_eq!(read(&vault, &ann, "alias/ann"), 404);
    assert_eq!(read(&vault, &ann, "role/ann"), 404);
    assert_eq!(read(&vault, &bob, "alias/bob"), 403, "of another mount");
    assert_eq!(read(&vault, &ann, "group/prod"), 403);
    let ops = json!({"name": "ops", "metadata": {"env": "prod"}, "member_entity_ids": [id]});
    group(&vault, ops);
    assert_eq!(read(&vault, &ann, "group/prod"), 404);
    assert_eq!(read(&vault, &bob, "group/prod"), 403);
    // Without an entity, no template means anything: not the empty path either.
    let nobody = token(&vault, json!({"policies": ["default"]}));
    for path in ["id//x", "id/x", "alias/", "team-", "group/prod"] {
        assert_ne!(read(&vault, &nobody, path), 404, "{path}");
    }
    let body = json!({"metadata": "team=red"});
    change(&vault, &format!("entity/id/{id}"), body).expect(204);
    assert_eq!(read(&vault, &ann, "team-red"), 404);
    let may = vault
        .call(
            "POST",
            "sys/capabilities",
            Some(&vault.root),
            Some(&json!({"token": ann, "path": "kv/team-red"})),
        )
        .expect(200);
    assert_eq!(may.data()["capabilities"], json!(["read"]));
}

/// CVE-2026-5006: what a caller says about itself becomes part of a policy's path.
#[test]
fn cve_2026_5006_values_that_would_change_a_path_drop_their_rule() {
    let vault = with_logins();
    let rules = r#"path "kv/team/{{identity.entity.metadata.team}}/data" { capabilities = ["read"] }
        path "kv/{{identity.entity.metadata.team}}" { capabilities = ["read"] }"#;
    policy(&vault, "team", rules);
    role(&vault, "a", "ann", json!({"token_policies": "team"}));
    let auth = log_in(&vault, "a", "ann").expect(200).body["auth"].clone();
    let (token, id) = (text(&auth["client_token"]), text(&auth["entity_id"]));
    let set = |value: &str| {
        let body = json!({"metadata": {"team": value}});
        change(&vault, &format!("entity/id/{id}"), body).expect(204);
    };
    set("red");
    assert_eq!(read(&vault, &token, "team/red/data"), 404);
    for value in [
        "*", "+", "red/blue", "..", ".", "/", "a*", "%2a", "%2F", "{{x}}", "", "red*", "\\",
    ] {
        set(value);
        for path in [
            "team/red/data",
            "team/blue/data",
            "team/red/blue/data",
            "other",
            "red",
            "team/%2a/data",
        ] {
            assert_eq!(read(&vault, &token, path), 403, "{value:?} at {path}");
        }
    }
}

/// CVE-2025-5999, CVE-2025-64761 and CVE-2024-9180: `root` in any spelling, and what a refused write leaves.
#[test]
fn cve_2024_9180_root_is_refused_in_every_spelling_and_leaves_nothing() {
    let vault = with_logins();
    let (token, id) = person(&vault, "a", "ann");
    let team = group(&vault, json!({"member_entity_ids": [id]}));
    for name in ROOT_SPELLINGS {
        let body = json!({"policies": [name], "metadata": {"seen": "1"}});
        change(&vault, &format!("entity/id/{id}"), body.clone()).expect(400);
        change(&vault, &format!("group/id/{team}"), body.clone()).expect(400);
        change(&vault, "entity", body.clone()).expect(400);
        change(&vault, "group", body).expect(400);
        let answer = vault.call("GET", "sys/auth", Some(&token), None);
        assert_eq!(answer.status, 403, "{name:?}");
    }
    assert_eq!(
        show(&vault, &format!("entity/id/{id}"))["metadata"],
        Value::Null
    );
    assert_eq!(keys(&vault, "entity/id").len(), 1);
    assert_eq!(keys(&vault, "group/id").len(), 1);
}

#[test]
fn names_are_one_in_any_case_and_may_be_odd() {
    let vault = with_logins();
    let made = change(&vault, "entity", json!({"name": "Ann/Lee"})).expect(200);
    let id = text(&made.data()["id"]);
    let body = json!({"metadata": ["a=1", "b=2"]});
    change(&vault, "entity/name/ann/lee", body).expect(204);
    assert_eq!(keys(&vault, "entity/name"), ["Ann/Lee"]);
    let by_name = show(&vault, "entity/name/ANN/LEE");
    assert_eq!(by_name["id"], json!(id));
    assert_eq!(by_name["metadata"], json!({"a": "1", "b": "2"}));
    let bob = change(&vault, "entity", json!({"name": "bob"})).expect(200);
    let bob = format!("entity/id/{}", text(&bob.data()["id"]));
    let taken = change(&vault, &bob, json!({"name": "ANN/lee"})).expect(400);
    assert!(taken.errors().contains("already in use"));
    change(&vault, &bob, json!({"name": "Bob"})).expect(204);
    assert_eq!(keys(&vault, "entity/name"), ["Ann/Lee", "Bob"]);
    change(&vault, "entity", json!({"id": "nobody", "name": "x"})).expect(400);
    for odd in [" a", "a\n", &"a".repeat(300)] {
        change(&vault, "entity", json!({ "name": odd })).expect(400);
    }
    let found = |body: Value| change(&vault, "lookup/entity", body);
    found(json!({"name": "nobody"})).expect(204);
    found(json!({"id": id, "name": "bob"})).expect(400);
    found(json!({})).expect(400);
    found(json!({"alias_name": "x"})).expect(400);
    assert_eq!(
        found(json!({"id": id})).expect(200).data()["name"],
        "Ann/Lee"
    );
    let page = vault.root("LIST", "identity/entity/name?limit=1", Value::Null);
    assert_eq!(page.expect(200).data()["keys"], json!(["Ann/Lee"]));
}

#[test]
fn an_alias_moves_and_each_mount_has_one_for_an_entity() {
    let vault = with_logins();
    let here = accessor(&vault, "a");
    let made = change(&vault, "entity", json!({"name": "ann"})).expect(200);
    let id = text(&made.data()["id"]);
    let alias = |body: Value| change(&vault, "entity-alias", body);
    let before = alias(json!({"name": "ann", "mount_accessor": here, "canonical_id": id}));
    before.expect(200);
    // The login finds the entity that an operator prepared.
    let (_, found) = person(&vault, "a", "ann");
    assert_eq!(found, id);
    alias(json!({"name": "second", "mount_accessor": here, "canonical_id": id})).expect(400);
    alias(json!({"name": "x", "mount_accessor": "auth_approle_none"})).expect(400);
    alias(json!({"name": "x", "mount_accessor": "../x"})).expect(400);
    let (_, bob) = person(&vault, "b", "bob");
    let moved = alias(json!({"name": "ann", "mount_accessor": here, "canonical_id": bob}));
    assert_eq!(moved.expect(200).data()["canonical_id"], json!(bob));
    let (_, found) = person(&vault, "a", "ann");
    assert_eq!(found, bob);
    assert_eq!(
        show(&vault, &format!("entity/id/{id}"))["aliases"],
        json!([])
    );
    let by_alias = json!({"alias_name": "ann", "alias_mount_accessor": here});
    let by_alias = change(&vault, "lookup/entity", by_alias).expect(200);
    assert_eq!(by_alias.data()["id"], json!(bob));
}

#[test]
fn groups_refuse_members_and_kinds_that_do_not_fit() {
    let vault = with_logins();
    let (_, ann) = person(&vault, "a", "ann");
    let inner = group(&vault, json!({}));
    for body in [
        json!({"type": "external", "member_entity_ids": [ann]}),
        json!({"type": "external", "member_group_ids": [inner]}),
        json!({"type": "cosmic"}),
        json!({"member_entity_ids": ["nobody"]}),
        json!({"member_entity_ids": [inner]}),
        json!({"member_group_ids": [ann]}),
        json!({"id": ann}),
    ] {
        change(&vault, "group", body).expect(400);
    }
    let path = format!("group/id/{inner}");
    change(&vault, &path, json!({"type": "external"})).expect(400);
    let alias =
        json!({"name": "x", "mount_accessor": accessor(&vault, "a"), "canonical_id": inner});
    change(&vault, "group-alias", alias).expect(400);
    assert_eq!(keys(&vault, "group/id"), [inner]);
}

#[test]
fn a_batch_delete_is_as_long_as_it_must_be() {
    let vault = with_logins();
    let ids: Vec<_> = (0..80)
        .map(|_| text(&change(&vault, "entity", json!({})).expect(200).data()["id"]))
        .collect();
    let (_, kept) = person(&vault, "a", "ann");
    change(&vault, "entity/batch-delete", json!({"entity_ids": ids})).expect(204);
    assert_eq!(keys(&vault, "entity/id"), [kept]);
    change(&vault, "entity/batch-delete", json!({})).expect(400);
}

#[test]
fn entities_groups_and_their_tokens_survive_a_restart() {
    let mut vault = durable();
    prepare(&vault);
    policy(
        &vault,
        "team",
        "path \"kv/team\" { capabilities = [\"read\"] }",
    );
    let (token, id) = person(&vault, "a", "ann");
    group(
        &vault,
        json!({"policies": "team", "member_entity_ids": [id]}),
    );
    let before = show(&vault, &format!("entity/id/{id}"));
    vault.restart_unsealed();
    assert_eq!(read(&vault, &token, "team"), 404);
    assert_eq!(show(&vault, &format!("entity/id/{id}")), before);
    let (_, again) = person(&vault, "a", "ann");
    assert_eq!(again, id);
}

/// A token that an engine allows to see its own entity only.
#[test]
fn the_default_policy_shows_everybody_themselves() {
    let vault = with_logins();
    let (ann, id) = person(&vault, "a", "ann");
    let (_, other) = person(&vault, "a", "bob");
    let name = text(&show(&vault, &format!("entity/id/{id}"))["name"]);
    let see = |path: String| vault.call("GET", &path, Some(&ann), None).status;
    assert_eq!(see(format!("identity/entity/id/{id}")), 200);
    assert_eq!(see(format!("identity/entity/name/{name}")), 200);
    assert_eq!(see(format!("identity/entity/id/{other}")), 403);
    let acl = vault
        .call("GET", "sys/internal/ui/resultant-acl", Some(&ann), None)
        .expect(200);
    let own = &acl.data()["exact_paths"][format!("identity/entity/id/{id}")];
    assert_eq!(own["capabilities"], json!(["read"]));
    assert!(acl.data()["glob_paths"]["cubbyhole/"].is_object());
}
