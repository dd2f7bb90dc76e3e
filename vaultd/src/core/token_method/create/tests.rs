//! Which policies a new token gets: never more than its parent has, unless the parent has sudo.

use std::sync::Arc;

use serde_json::{Value, json};
use vault_crypto::{Key, Prf, Seeded};
use vault_proto::path::ApiPath;

use super::*;
use crate::core::body::Body;
use crate::core::mount::Mount;
use crate::core::request::{Request, Verb};
use crate::core::route::Params;
use crate::policy::Acl;

const SUBSET: &str = "child policies must be subset of parent";

fn names(list: &[&str]) -> Vec<PolicyName> {
    list.iter().map(|name| name.parse().unwrap()).collect()
}

/// The policies of a child, or the refusal.
fn child(
    parent: &[&str],
    sudo: bool,
    role: Option<&TokenRole>,
    body: Value,
) -> Result<Vec<String>, String> {
    let random = Seeded::new(1);
    let now = "2026-11-21T07:00:00Z".parse().unwrap();
    let request = Request {
        id: String::new(),
        verb: Verb::Write,
        path: ApiPath::from_plain("auth/token/create").unwrap(),
        body: Body::parse(body.to_string().as_bytes()).unwrap(),
        token: None,
        wrap_ttl: None,
        remote: "127.0.0.1".parse().unwrap(),
        client_chain: None,
        now,
        help: false,
        head: false,
        content_type: String::new(),
        standing: Default::default(),
    };
    let kind = crate::core::mount::Kind::Token;
    let ctx = Ctx {
        request: &request,
        params: &Params::default(),
        operation: Capability::Update,
        caller: None,
        mount: &Mount::new(100, kind, "auth/token/", "", &random),
        random: &random,
        prf: &Prf::new(&Key::generate(&random)),
        values: &Prf::new(&Key::generate(&random)),
    };
    let caller = Caller {
        id: "parent".into(),
        token: Arc::new(Token {
            policies: names(parent),
            ..Token::new(now)
        }),
        acl: Arc::new(Acl::default()),
        standing: None,
        last_use: false,
    };
    match policies(&ctx, &caller, sudo, role) {
        Ok(chosen) => Ok(chosen.iter().map(|name| name.as_str().to_owned()).collect()),
        Err(fault) => Err(fault.to_string()),
    }
}

fn asking(policies: &[&str]) -> Value {
    json!({ "policies": policies })
}

#[test]
fn a_child_has_what_its_parent_has() {
    let parent = &["a", "default"];
    assert_eq!(child(parent, false, None, json!({})).unwrap(), *parent);
    assert_eq!(child(parent, false, None, asking(&["a"])).unwrap(), *parent);
    let bare = json!({"no_default_policy": true});
    assert_eq!(child(parent, false, None, bare).unwrap(), ["a"]);
    // default comes along only if the parent has it.
    assert_eq!(child(&["a"], false, None, json!({})).unwrap(), ["a"]);
    assert_eq!(child(&["a"], false, None, asking(&["a"])).unwrap(), ["a"]);
}

#[test]
fn more_than_the_parent_needs_sudo() {
    let asked = || asking(&["a", "b"]);
    assert_eq!(child(&["a"], false, None, asked()).unwrap_err(), SUBSET);
    let given = child(&["a"], true, None, asked()).unwrap();
    assert_eq!(given, ["a", "b", "default"]);
}

#[test]
fn only_root_makes_root() {
    let asked = || asking(&["root", "a"]);
    assert_eq!(child(&["root"], true, None, asked()).unwrap(), ["root"]);
    assert_eq!(child(&["root"], true, None, json!({})).unwrap(), ["root"]);
    assert!(child(&["a"], true, None, asked()).is_err());
    assert!(child(&["a"], false, None, asked()).is_err());
}

#[test]
fn a_roles_list_replaces_the_parents() {
    let role = TokenRole {
        allowed_policies: names(&["a", "b"]),
        ..TokenRole::default()
    };
    let made = |body| child(&["x"], false, Some(&role), body);
    assert_eq!(made(json!({})).unwrap(), ["a", "b", "default"]);
    assert_eq!(made(asking(&["b"])).unwrap(), ["b", "default"]);
    let refused = "token policies must be subset of the role's allowed policies";
    assert_eq!(made(asking(&["x"])).unwrap_err(), refused);
    assert!(made(asking(&["root"])).is_err());
}

#[test]
fn a_role_without_a_list_gives_no_more_than_the_parent_has() {
    let role = TokenRole {
        disallowed_policies: names(&["b"]),
        ..TokenRole::default()
    };
    let made = |sudo, body| child(&["a", "b"], sudo, Some(&role), body);
    assert_eq!(made(false, json!({})).unwrap(), ["a", "default"]);
    assert_eq!(made(false, asking(&["c"])).unwrap_err(), SUBSET);
    assert_eq!(made(true, asking(&["c"])).unwrap(), ["c", "default"]);
    assert!(made(true, asking(&["b"])).is_err());
}

#[test]
fn a_role_can_do_without_default() {
    for role in [
        TokenRole {
            no_default_policy: true,
            ..TokenRole::default()
        },
        TokenRole {
            disallowed_policies: names(&["default"]),
            ..TokenRole::default()
        },
    ] {
        assert_eq!(child(&["a"], false, Some(&role), json!({})).unwrap(), ["a"]);
    }
}
