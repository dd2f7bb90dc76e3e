//! Whether a role still takes who logs in: machines that stop, accounts that go, keys that change.

use super::*;

#[test]
fn an_instance_that_was_stopped_or_replaced_logs_in_no_more() {
    let bed = Bed::with_credentials();
    bed.role("web", with(of_acme(), json!({"bound_labels": "env:prod"})));
    let token = bed.identity("web", json!({}));
    let auth = bed.login("web", &token).expect(200).body["auth"].clone();
    let set = |name: &str, value: Value| {
        let mut world = bed.google.world();
        world.instances.get_mut(&place("web-1")).unwrap()[name] = value;
    };
    for (field, value, back, why) in [
        (
            "status",
            json!("TERMINATED"),
            json!("RUNNING"),
            "does not run",
        ),
        (
            "status",
            json!("SUSPENDED"),
            json!("STAGING"),
            "does not run",
        ),
        (
            "id",
            json!("7002"),
            json!("7001"),
            "another one has its name",
        ),
        (
            "labels",
            json!({"env": "test"}),
            json!({"env": "prod"}),
            "bound_labels",
        ),
    ] {
        set(field, value);
        refused(&bed.login("web", &token), why);
        refused(&bed.renew(&auth), why);
        set(field, back);
        bed.login("web", &token).expect(200);
        bed.renew(&auth).expect(200);
    }
    bed.google.world().instances.clear();
    refused(&bed.login("web", &token), "does not exist");
    refused(&bed.renew(&auth), "does not exist");
}

#[test]
fn a_renewal_asks_whether_the_role_still_takes_the_account() {
    let bed = Bed::with_credentials();
    bed.role("app", bound_to_ci());
    let auth = bed.logged_in("app");
    bed.google.world().change(CI, |ci| ci.disabled = true);
    refused(&bed.renew(&auth), "disabled");
    refused(&bed.login("app", &bed.signed("app", json!({}))), "disabled");
    bed.google.world().change(CI, |ci| ci.disabled = false);
    bed.renew(&auth).expect(200);
    bed.write("app", json!({"bound_projects": "other"}))
        .expect(204);
    refused(&bed.renew(&auth), "bound_projects");
    bed.write("app", json!({"bound_projects": "acme"}))
        .expect(204);
    bed.google.web.set_down(true);
    refused(&bed.renew(&auth), "Google does not answer");
    bed.google.web.set_down(false);
    bed.renew(&auth).expect(200);
    let more = json!({"token_policies": "app,more"});
    bed.vault
        .root("POST", "auth/gcp/role/app", more)
        .expect(204);
    let changed = bed.renew(&auth).expect(403);
    assert!(changed.errors().contains("policies have changed"));
    bed.vault
        .root("DELETE", "auth/gcp/role/app", Value::Null)
        .expect(204);
    refused(&bed.renew(&auth), "no longer exists");
    // The account is gone, and nobody has its name.
    bed.role("app", bound_to_ci());
    bed.google.world().accounts.clear();
    refused(&bed.renew(&auth), "does not exist");
}

#[test]
fn without_credentials_only_what_was_signed_counts() {
    let bed = Bed::start();
    bed.role("app", bound_to_ci());
    let auth = bed.logged_in("app");
    assert_eq!(
        auth["metadata"],
        json!({"role": "app", "service_account_email": CI, "project_id": "acme"})
    );
    bed.renew(&auth).expect(200);
    bed.role(
        "app",
        json!({"type": "iam", "bound_service_accounts": "*", "bound_projects": "acme"}),
    );
    bed.login("app", &bed.signed("app", json!({}))).expect(200);
    // An account whose name holds no project.
    let robot = "42-compute@developer.gserviceaccount.com";
    bed.google.world().change(CI, |ci| ci.email = robot.into());
    let token = bed.signed("app", json!({"sub": robot}));
    refused(
        &bed.login("app", &token),
        "bound_projects: without the mount's credentials that is not known",
    );
    bed.role(
        "app",
        json!({"type": "iam", "bound_service_accounts": CI_ID}),
    );
    refused(
        &bed.login("app", &token),
        "its other name without the mount's credentials",
    );
    bed.login("app", &bed.signed("app", json!({"sub": CI_ID})))
        .expect(200);
    // Google tells both names of an instance's account.
    bed.role(
        "web",
        with(
            of_acme(),
            json!({"bound_service_accounts": CI, "bound_zones": ZONE}),
        ),
    );
    let auth = bed
        .login("web", &bed.identity("web", json!({})))
        .expect(200)
        .body["auth"]
        .clone();
    bed.renew(&auth).expect(200);
    let unverified = bed.identity("web", json!({"email_verified": false}));
    refused(&bed.login("web", &unverified), "bound_service_accounts");
    assert_eq!(bed.google.web.count("/token"), 0);
    for (field, value) in [
        ("bound_labels", json!("env:prod")),
        ("bound_instance_groups", json!("web")),
        ("add_group_aliases", json!(true)),
    ] {
        let mut body = with(of_acme(), json!({"bound_zones": ZONE}));
        body[field] = value;
        bed.vault
            .root("DELETE", "auth/gcp/role/web", Value::Null)
            .expect(204);
        let warned = bed.write("web", body).expect(200);
        let why = format!("the role's {field} needs Google's APIs");
        assert!(warned.text.contains(&why), "{}", warned.text);
        let asked = bed.asked();
        refused(&bed.login("web", &bed.identity("web", json!({}))), &why);
        assert_eq!(bed.asked(), asked);
    }
}

#[test]
fn known_keys_outlive_google_being_down_and_a_restart() {
    let mut bed = Bed::on(Options::plain());
    bed.role("app", bound_to_ci());
    bed.role("web", of_acme());
    bed.login("app", &bed.signed("app", json!({}))).expect(200);
    bed.login("web", &bed.identity("web", json!({})))
        .expect(200);
    bed.google.web.set_down(true);
    bed.vault.restart_unsealed();
    bed.login("app", &bed.signed("app", json!({}))).expect(200);
    bed.login("web", &bed.identity("web", json!({})))
        .expect(200);
    // Another key may be one that Google does not know.
    refused(
        &bed.login("app", &RsaSigner::new("ci-2").token(&own("app"))),
        "kid",
    );
    bed.google.web.set_down(false);
    // Kept keys are those of the address that they came from.
    let url = format!("{}/elsewhere", bed.google.web.url);
    bed.config(json!({"custom_endpoint": {"api": url}}))
        .expect(204);
    refused(&bed.login("app", &bed.signed("app", json!({}))), "status");
}

#[test]
fn invented_keys_and_accounts_are_asked_about_seldom() {
    let bed = Bed::start();
    bed.role("app", bound_to_ci());
    bed.role(
        "any",
        json!({"type": "iam", "bound_service_accounts": "*", "bound_projects": "acme"}),
    );
    bed.login("app", &bed.signed("app", json!({}))).expect(200);
    let path = format!("/service_accounts/v1/jwk/{}", CI.replace('@', "%40"));
    let invented = RsaSigner::new("invented");
    for _ in 0..10 {
        refused(&bed.login("app", &invented.token(&own("app"))), "kid");
    }
    assert_eq!(bed.google.web.count(&path), 2);
    // Names outside of the project, and of other roles, are not asked about at all.
    for name in [
        "eve@elsewhere.iam.gserviceaccount.com",
        "eve@acme2.iam.gserviceaccount.com",
    ] {
        let token = invented.token(&with(own("any"), json!({"sub": name})));
        refused(&bed.login("any", &token), "bound_projects");
    }
    let asked = bed.asked();
    let mut limited = 0;
    for number in 0..30 {
        let name = format!("x{number}@acme.iam.gserviceaccount.com");
        let token = invented.token(&with(own("any"), json!({"sub": name})));
        limited += usize::from(bed.login("any", &token).status == 429);
    }
    assert_eq!(bed.asked() + limited, asked + 30);
    assert!(limited >= 10, "{limited}");
    // Who is known, or named by a role, gets in meanwhile.
    bed.login("any", &bed.signed("any", json!({}))).expect(200);
    bed.login("app", &bed.signed("app", json!({}))).expect(200);
}
