//! What config and roles may hold, and what they make of a login.

use super::*;

#[test]
fn the_config_shows_no_key_and_sends_it_nowhere_else() {
    let bed = Bed::with_credentials();
    let read = bed
        .vault
        .root("GET", "auth/gcp/config", Value::Null)
        .expect(200);
    let data = read.data();
    assert_eq!(data["client_email"], vault_tests::google::SERVER);
    assert_eq!(
        (&data["project_id"], &data["private_key_id"]),
        (&json!("ours"), &json!("server"))
    );
    assert_eq!(
        (&data["client_id"], &data["iam_alias"]),
        (&json!("1001"), &json!("role_id"))
    );
    assert!(data.get("credentials").is_none() && !read.text.contains("PRIVATE KEY"));
    assert_eq!(data["gce_metadata"].as_array().unwrap().len(), 9);
    // An access token would go to another server.
    let moved = json!({"custom_endpoint": {"iam": "https://elsewhere.example"}});
    let refusal = bed.config(moved.clone()).expect(400);
    assert!(
        refusal.errors().contains("give the credentials again"),
        "{}",
        refusal.errors()
    );
    bed.config(with(
        moved,
        json!({"credentials": bed.google.credentials()}),
    ))
    .expect(204);
    let key = bed.google.server.pem();
    for (body, why) in [
        (
            json!({"credentials": "some invalid JWT"}),
            "failed to read credentials",
        ),
        (
            json!({"credentials": "{}"}),
            "missing private key in credentials",
        ),
        (
            json!({"credentials": json!({"type": "authorized_user", "private_key_id": "x", "private_key": key}).to_string()}),
            "service_account",
        ),
        (
            json!({"credentials": json!({"private_key_id": "x", "client_email": "a@b", "private_key": "x"}).to_string()}),
            "RSA key",
        ),
        (
            json!({"credentials": json!({"private_key_id": "x", "client_email": "a@b", "private_key": key, "token_uri": "http://elsewhere.example"}).to_string()}),
            "https",
        ),
        (
            json!({"custom_endpoint": {"api": "http://elsewhere.example"}}),
            "https",
        ),
        (
            json!({"custom_endpoint": {"storage": "https://elsewhere.example"}}),
            "available types",
        ),
        (json!({"iam_alias": "instance_id"}), "iam_alias"),
        (json!({"gce_alias": "unique_id"}), "gce_alias"),
        (json!({"iam_metadata": "zone"}), "iam_metadata"),
        (json!({"identity_token_audience": "x"}), "not supported"),
    ] {
        let answer = bed.config(body).expect(400);
        assert!(
            answer.errors().contains(why),
            "{} for {why}",
            answer.errors()
        );
        assert!(
            !answer.text.contains("elsewhere") && !answer.text.contains("PRIVATE"),
            "{}",
            answer.text
        );
    }
    // Other credentials get a token of their own.
    let url = &bed.google.web.url;
    let back = json!({"custom_endpoint": {"iam": url}, "credentials": bed.google.credentials()});
    bed.config(back).expect(204);
    bed.role("app", bound_to_ci());
    bed.login("app", &bed.signed("app", json!({}))).expect(200);
    let other = RsaSigner::new("other");
    let foreign = bed
        .google
        .credentials()
        .replace(&json!(key).to_string(), &json!(other.pem()).to_string());
    bed.config(json!({"credentials": foreign})).expect(204);
    refused(
        &bed.login("app", &bed.signed("app", json!({}))),
        "the mount's credentials are refused",
    );
    bed.config(json!({"credentials": ""})).expect(204);
    bed.login("app", &bed.signed("app", json!({}))).expect(200);
}

#[test]
fn entities_are_roles_accounts_or_machines_with_the_chosen_metadata() {
    let bed = Bed::with_credentials();
    bed.role("app", bound_to_ci());
    bed.role("web", of_acme());
    let entity = |auth: &Value| {
        let path = format!("identity/entity/id/{}", auth["entity_id"].as_str().unwrap());
        let answer = bed.vault.root("GET", &path, Value::Null).expect(200);
        answer.data()["aliases"][0].clone()
    };
    let app = || {
        bed.login("app", &bed.signed("app", json!({})))
            .expect(200)
            .body["auth"]
            .clone()
    };
    let web = || {
        bed.login("web", &bed.identity("web", json!({})))
            .expect(200)
            .body["auth"]
            .clone()
    };
    let id = |name: &str| {
        let path = format!("auth/gcp/role/{name}");
        bed.vault.root("GET", &path, Value::Null).expect(200).data()["role_id"].clone()
    };
    let alias = entity(&app());
    assert_eq!(alias["name"], id("app"));
    assert_eq!(alias["metadata"]["service_account_email"], CI);
    assert_eq!(entity(&web())["name"], id("web"));
    bed.config(json!({
        "iam_alias": "unique_id", "gce_alias": "instance_id", "iam_metadata": ["role"], "gce_metadata": [],
    }))
    .expect(204);
    let auth = app();
    assert_eq!(auth["metadata"], json!({"role": "app"}));
    assert_eq!(entity(&auth)["name"], CI_ID);
    // What is not shown is known all the same.
    bed.renew(&auth).expect(200);
    let auth = web();
    assert_eq!(entity(&auth)["name"], "gce-7001");
    assert!(auth["metadata"].is_null(), "{auth}");
    bed.renew(&auth).expect(200);
    bed.config(json!({"gce_metadata": "default", "credentials": ""}))
        .expect(204);
    assert_eq!(web()["metadata"]["zone"], ZONE);
    refused(
        &bed.login("app", &bed.signed("app", json!({}))),
        "iam_alias",
    );
}

#[test]
fn groups_follow_the_folders_above_the_project() {
    let bed = Bed::with_credentials();
    let group = |name: &str, body: Value| {
        let answer = bed
            .vault
            .root("POST", "identity/group", with(json!({"name": name}), body));
        answer.expect(200).data()["id"].clone()
    };
    policy(
        &bed.vault,
        "folder",
        r#"path "kv/*" { capabilities = ["list"] }"#,
    );
    let id = group("f", json!({"type": "external", "policies": "folder"}));
    let mounts = bed.vault.root("GET", "sys/auth", Value::Null).expect(200);
    let accessor = &mounts.data()["gcp/"]["accessor"];
    let alias = json!({"name": "folder-77", "mount_accessor": accessor, "canonical_id": id});
    bed.vault
        .root("POST", "identity/group-alias", alias)
        .expect(200);
    let above = [("project", "acme"), ("folder", "77"), ("organization", "5")];
    bed.google.world().ancestors = above.map(|(kind, id)| (kind.into(), id.into())).into();
    bed.role(
        "app",
        with(bound_to_ci(), json!({"add_group_aliases": true})),
    );
    let auth = bed.logged_in("app");
    assert_eq!(auth["policies"], json!(["app", "default", "folder"]));
    assert_eq!(bed.google.web.count("/v1/projects/acme:getAncestry"), 1);
}

#[test]
fn a_role_that_lets_in_strangers_or_makes_no_sense_is_refused() {
    let bed = Bed::start();
    for (body, why) in [
        (json!({}), "role type cannot be empty"),
        (json!({"type": "aws"}), "role type is invalid"),
        (
            json!({"type": "iam"}),
            "IAM role type must have at least one service account",
        ),
        (
            json!({"type": "iam", "bound_service_accounts": "*"}),
            "lets in strangers",
        ),
        (
            json!({"type": "iam", "bound_service_accounts": ["*", CI]}),
            "wildcard",
        ),
        (
            json!({"type": "iam", "bound_service_accounts": "../x"}),
            "bound_service_accounts",
        ),
        (
            json!({"type": "iam", "bound_service_accounts": CI, "bound_zones": "a", "bound_labels": "a:b"}),
            "invalid args found for role of type iam: bound_zones,bound_labels",
        ),
        (
            json!({"type": "iam", "bound_service_accounts": CI, "max_jwt_exp": "61m"}),
            "60 minutes",
        ),
        (json!({"type": "gce"}), "strangers can log in"),
        (
            json!({"type": "gce", "bound_zones": ZONE, "bound_labels": "env:prod"}),
            "strangers can log in",
        ),
        (
            json!({"type": "gce", "bound_projects": "acme", "bound_service_accounts": "*"}),
            "'*' is for iam roles",
        ),
        (
            json!({"type": "gce", "bound_projects": "acme", "max_jwt_exp": "1m"}),
            "invalid args found for role of type gce: max_jwt_exp",
        ),
        (
            json!({"type": "gce", "bound_projects": "acme", "bound_instance_groups": "x"}),
            "region or zone information",
        ),
        (
            json!({"type": "gce", "bound_projects": "acme", "bound_labels": "Env=prod"}),
            "invalid labels",
        ),
        (
            json!({"type": "gce", "bound_projects": "acme", "project_id": "acme"}),
            "bound_projects",
        ),
    ] {
        let answer = bed.write("odd", body).expect(400);
        assert!(
            answer.errors().contains(why),
            "{} for {why}",
            answer.errors()
        );
    }
    bed.vault
        .root("GET", "auth/gcp/role/odd", Value::Null)
        .expect(404);

    let read = |name: &str| {
        let path = format!("auth/gcp/role/{name}");
        bed.vault
            .root("GET", &path, Value::Null)
            .expect(200)
            .data()
            .clone()
    };
    bed.role("app", bound_to_ci());
    let data = read("app");
    assert_eq!(
        (&data["type"], &data["max_jwt_exp"]),
        (&json!("iam"), &json!(900))
    );
    assert_eq!(data["allow_gce_inference"], true);
    let id = data["role_id"].clone();
    let changed = bed.write("app", json!({"type": "gce"})).expect(400);
    assert!(changed.errors().contains("role type cannot be changed"));
    let warned = bed.write("app", json!({"project_id": "acme"})).expect(200);
    assert!(
        warned.text.contains("use bound_projects"),
        "{}",
        warned.text
    );
    assert_eq!(
        (&read("app")["bound_projects"], &read("app")["role_id"]),
        (&json!(["acme"]), &id)
    );

    let edit = |path: &str, body: Value| {
        let path = format!("auth/gcp/role/{path}");
        bed.vault.root("POST", &path, body)
    };
    edit(
        "app/service-accounts",
        json!({"add": ["7", "8"], "remove": CI}),
    )
    .expect(204);
    assert_eq!(read("app")["bound_service_accounts"], json!(["7", "8"]));
    bed.role(
        "web",
        with(
            of_acme(),
            json!({"bound_zones": format!("projects/acme/zones/{ZONE}")}),
        ),
    );
    assert_eq!(read("web")["bound_zones"], json!([ZONE]));
    edit("web/labels", json!({"add": ["env:prod", "team:"]})).expect(200);
    edit("web/labels", json!({"remove": "env"})).expect(200);
    assert_eq!(read("web")["bound_labels"], json!({"team": ""}));
    for (path, body, why) in [
        (
            "app/service-accounts",
            json!({}),
            "must provide at least one value to add or remove",
        ),
        (
            "app/service-accounts",
            json!({"remove": "7,8"}),
            "at least one service account",
        ),
        (
            "app/labels",
            json!({"add": "a:b"}),
            "cannot edit attribute 'labels'",
        ),
        (
            "web/service-accounts",
            json!({"add": CI}),
            "cannot edit attribute 'service_accounts'",
        ),
        ("web/labels", json!({"add": "nolabel"}), "invalid labels"),
        ("none/labels", json!({"add": "a:b"}), "role not found"),
    ] {
        let answer = edit(path, body).expect(400);
        assert!(
            answer.errors().contains(why),
            "{} for {why}",
            answer.errors()
        );
    }
    for path in ["auth/gcp/role", "auth/gcp/roles"] {
        let listed = bed.vault.root("LIST", path, Value::Null).expect(200);
        assert_eq!(listed.data()["keys"], json!(["app", "web"]));
    }
    bed.vault
        .root("DELETE", "auth/gcp/config", Value::Null)
        .expect(405);
}
