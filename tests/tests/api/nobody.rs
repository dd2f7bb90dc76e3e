//! Nobody gets in: every route of every route table, without a token, with a token of the wrong
//! policy, with one that lacks only `sudo`, and while the server is sealed.

use serde_json::{Value, json};
use vault_tests::{Answer, Request, Vault};
use vaultd::core::dispatch::AnyRow;
use vaultd::core::mount::Kind;
use vaultd::core::request::Verb;
use vaultd::core::route::Access;

use crate::routes::{self, Route};
use crate::setup::{policy, quick, token};

const DENIED: &str = "1 error occurred:\n\t* permission denied\n\n";
const NO_TOKEN: &str = "permission denied";
const SEALED: &str = "Vault is sealed";
const ALL_BUT_SUDO: &str =
    r#"path "*" { capabilities = ["create", "read", "update", "patch", "delete", "list"] }"#;

/// Whether an answer has this status and exactly this text.
fn refuses(answer: &Answer, status: u16, text: &str) -> bool {
    answer.status == status && answer.body == json!({ "errors": [text] })
}

fn demand(holds: bool, who: &str, route: &Route, answer: &Answer) -> Result<(), String> {
    match holds {
        true => Ok(()),
        false => Err(format!(
            "{who}: {} answered {} {}",
            route.name(),
            answer.status,
            answer.text
        )),
    }
}

fn without_token(vault: &Vault, route: &Route) -> Result<(), String> {
    let answer = vault.send(&route.request());
    let refused = refuses(&answer, 403, NO_TOKEN);
    let open = matches!(route.row.access, Access::Open | Access::Sealed);
    let anyone = open || route.row.access == Access::Anyone;
    demand(refused != anyone, "no token", route, &answer)?;
    let forged = vault.send(&route.request().token("hvs.forgedforgedforgedforged"));
    demand(
        refuses(&forged, 403, NO_TOKEN) != open,
        "forged token",
        route,
        &forged,
    )
}

fn with_wrong_policy(vault: &Vault, route: &Route) -> Result<(), String> {
    let nothing = token(
        vault,
        json!({"policies": ["elsewhere"], "no_default_policy": true}),
    );
    let answer = vault.send(&route.request().token(&nothing));
    let needs_policy = matches!(route.row.access, Access::Token | Access::Sudo);
    demand(
        refuses(&answer, 403, DENIED) == needs_policy,
        "wrong policy",
        route,
        &answer,
    )
}

/// The other side: the refusals above come from the policy, not from something that refuses anyway.
fn with_all_but_sudo(vault: &Vault, route: &Route) -> Result<(), String> {
    let most = token(
        vault,
        json!({"policies": ["all-but-sudo"], "no_default_policy": true}),
    );
    let answer = vault.send(&route.request().token(&most));
    let needs_sudo = route.row.access == Access::Sudo;
    demand(
        refuses(&answer, 403, DENIED) == needs_sudo,
        "all but sudo",
        route,
        &answer,
    )
}

fn while_sealed(vault: &Vault, route: &Route) -> Result<(), String> {
    let answers = route.row.access == Access::Sealed;
    for request in [route.request(), route.request().token(&vault.root)] {
        let answer = vault.send(&request);
        demand(
            refuses(&answer, 503, SEALED) != answers,
            "sealed",
            route,
            &answer,
        )?;
    }
    Ok(())
}

fn prepared() -> Vault {
    let vault = quick();
    routes::mount_all(&vault);
    policy(&vault, "all-but-sudo", ALL_BUT_SUDO);
    policy(
        &vault,
        "elsewhere",
        r#"path "other/*" { capabilities = ["read"] }"#,
    );
    vault
}

fn state(vault: &Vault) -> Vec<Value> {
    let paths = [
        "sys/mounts",
        "sys/auth",
        "sys/policies/acl?list=true",
        "sys/key-status",
        "auth/approle/role/sample",
    ];
    paths
        .map(|path| {
            vault
                .root("GET", path, Value::Null)
                .expect(200)
                .data()
                .clone()
        })
        .into()
}

type Check = fn(&Vault, &Route) -> Result<(), String>;

fn failures(vault: &Vault, check: Check, routes: &[Route]) -> Vec<String> {
    routes
        .iter()
        .filter_map(|route| check(vault, route).err())
        .collect()
}

#[track_caller]
fn assert_none(failures: &[String]) {
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn every_route_refuses_who_has_no_right_and_changes_nothing() {
    let vault = prepared();
    let before = state(&vault);
    let routes = routes::all();
    assert!(routes.len() > 100, "the tables are empty");
    let mut found = failures(&vault, without_token, &routes);
    found.extend(failures(&vault, with_wrong_policy, &routes));
    assert_eq!(state(&vault), before, "a refused request had an effect");
    found.extend(failures(&vault, with_all_but_sudo, &routes));
    assert_none(&found);
}

#[test]
fn every_route_but_the_sealed_ones_is_shut_while_sealed() {
    let vault = prepared();
    vault.root("PUT", "sys/seal", Value::Null).expect(204);
    assert_none(&failures(&vault, while_sealed, &routes::all()));
    vault.unseal();
    vault.root("GET", "sys/mounts", Value::Null).expect(200);
}

#[test]
fn cve_2020_25594_paths_that_lead_nowhere_look_the_same_without_a_token() {
    let vault = prepared();
    let paths = [
        "one/there",
        "nowhere/at/all",
        "sys/nothing",
        "auth/nowhere/login",
        "two/neither",
        "identity/entity",
    ];
    for path in paths {
        for method in ["GET", "POST", "DELETE", "LIST"] {
            let answer = vault.send(&Request::new(method, path));
            assert!(
                refuses(&answer, 403, NO_TOKEN),
                "{method} {path}: {} {}",
                answer.status,
                answer.text
            );
        }
    }
}

#[test]
fn help_is_for_callers_only() {
    let vault = prepared();
    for route in routes::all() {
        if route.row.access == Access::Sealed {
            continue;
        }
        let request = Request::new("GET", &format!("{}?help=1", route.path));
        let answer = vault.send(&request);
        assert!(
            refuses(&answer, 403, NO_TOKEN),
            "{}: {} {}",
            route.name(),
            answer.status,
            answer.text
        );
    }
}

/// A row that lies about its access must be found by each of the checks.
#[test]
fn a_planted_wrong_row_is_found() {
    let vault = prepared();
    let row = |verb, pattern, access| {
        let row = AnyRow {
            verb,
            pattern,
            access,
            fields: "",
            about: "planted",
        };
        Route::new(Kind::System, row)
    };
    let said_closed = row(Verb::Read, "seal-status", Access::Token);
    let said_open = row(Verb::Read, "mounts", Access::Open);
    let said_plain = row(Verb::Read, "audit", Access::Token);
    let said_any = row(Verb::Read, "mounts", Access::AnyToken);
    assert!(without_token(&vault, &said_closed).is_err());
    assert!(without_token(&vault, &said_open).is_err());
    assert!(with_wrong_policy(&vault, &said_closed).is_err());
    assert!(with_wrong_policy(&vault, &said_any).is_err());
    assert!(with_all_but_sudo(&vault, &said_plain).is_err());
    vault.root("PUT", "sys/seal", Value::Null).expect(204);
    assert!(while_sealed(&vault, &said_closed).is_err());
    assert!(while_sealed(&vault, &row(Verb::Read, "mounts", Access::Sealed)).is_err());
}
