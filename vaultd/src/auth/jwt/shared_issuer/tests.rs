//! What binds are worth, issuer by issuer.
#![expect(clippy::unwrap_used, reason = "tests")]

use serde_json::json;

use super::super::model::Place;
use super::*;
use crate::auth::jwt::role::fresh;

fn config(issuer: &str, keys: &str) -> Config {
    let source = match keys {
        "" => Source::Keys(Vec::new()),
        url => Source::Jwks(Place {
            url: Url::parse(url).unwrap(),
            ca_pem: String::new(),
        }),
    };
    Config {
        source,
        bound_issuer: issuer.to_owned(),
        supported_algs: Vec::new(),
        default_role: String::new(),
        client: None,
        response_mode: String::new(),
        response_types: Vec::new(),
        provider_config: serde_json::Map::new(),
        namespace_in_state: false,
    }
}

fn role(glob: bool, claims: &Value) -> Role {
    let mut role = fresh();
    role.role_type = RoleType::Jwt;
    role.bound_audiences = vec!["vaultd".to_owned()];
    role.bound_claims = claims.as_object().unwrap().clone();
    if glob {
        role.bound_claims_type = Match::Glob;
    }
    role
}

fn grade(issuer: &str, glob: bool, claims: &Value) -> &'static str {
    match judge(&config(issuer, ""), &role(glob, claims)) {
        Judgement::Bound => "bound",
        Judgement::NamesOnly(_) => "names",
        Judgement::Strangers(_) => "strangers",
    }
}

const GITHUB: &str = "https://token.actions.githubusercontent.com";
const CIRCLE: &str = "https://oidc.circleci.com/org/0b0a";

#[test]
fn a_bind_is_worth_what_a_stranger_cannot_have() {
    for (issuer, glob, claims, expected) in [
        (GITHUB, false, json!({}), "strangers"),
        (
            GITHUB,
            false,
            json!({"ref": "refs/heads/main", "environment": "prod"}),
            "strangers",
        ),
        (GITHUB, false, json!({"repository": "org/app"}), "names"),
        (
            GITHUB,
            false,
            json!({"/repository": ["org/app", "org/b"]}),
            "names",
        ),
        (GITHUB, false, json!({"repository_owner": "org"}), "names"),
        (
            GITHUB,
            false,
            json!({"sub": "repo:org/app:ref:refs/heads/main"}),
            "names",
        ),
        (
            GITHUB,
            false,
            json!({"repository": "org/app", "repository_id": "7"}),
            "bound",
        ),
        (
            GITHUB,
            false,
            json!({"repository_owner_id": ["7", "8"]}),
            "bound",
        ),
        (GITHUB, false, json!({"repository_owner_id": 7}), "bound"),
        (
            GITHUB,
            false,
            json!({"sub": "repository_id:7:ref:refs/heads/main"}),
            "bound",
        ),
        (GITHUB, true, json!({"sub": "repository_id:7:*"}), "bound"),
        (
            GITHUB,
            true,
            json!({"sub": "repository_id:7*"}),
            "strangers",
        ),
        (GITHUB, true, json!({"sub": "repo:org/*"}), "names"),
        (GITHUB, true, json!({"sub": "repo:org*"}), "strangers"),
        (
            GITHUB,
            true,
            json!({"sub": "repo:*/app:ref:refs/heads/main"}),
            "strangers",
        ),
        (
            GITHUB,
            true,
            json!({"sub": ["repo:org/*", "*"]}),
            "strangers",
        ),
        (GITHUB, true, json!({"repository": "*/app"}), "strangers"),
        (
            GITHUB,
            true,
            json!({"repository_owner": "org*"}),
            "strangers",
        ),
        (GITHUB, true, json!({"repository_id": "7*"}), "strangers"),
        (
            GITHUB,
            true,
            json!({"repository_id": "7", "ref": "*"}),
            "bound",
        ),
        // A reusable workflow can be called by anybody's.
        (
            GITHUB,
            false,
            json!({"job_workflow_ref": "org/app/.github/workflows/x.yml@refs/heads/main"}),
            "strangers",
        ),
        (
            "https://gitlab.com",
            false,
            json!({"ref_protected": "true"}),
            "strangers",
        ),
        (
            "https://gitlab.com",
            false,
            json!({"namespace_path": "org"}),
            "names",
        ),
        (
            "https://gitlab.com",
            true,
            json!({"project_path": "org/*"}),
            "names",
        ),
        (
            "https://gitlab.com",
            true,
            json!({"namespace_path": "org*"}),
            "strangers",
        ),
        (
            "https://gitlab.com/",
            false,
            json!({"project_id": "22"}),
            "bound",
        ),
        (
            "https://agent.buildkite.com",
            false,
            json!({"pipeline_slug": "app"}),
            "strangers",
        ),
        (
            "https://agent.buildkite.com",
            true,
            json!({"sub": "organization:acme:pipeline:app:*"}),
            "names",
        ),
        (
            "https://agent.buildkite.com",
            false,
            json!({"organization_id": "0a"}),
            "bound",
        ),
        (CIRCLE, false, json!({}), "names"),
        (
            CIRCLE,
            false,
            json!({"oidc.circleci.com/project-id": "1c"}),
            "bound",
        ),
        (
            CIRCLE,
            false,
            json!({"/oidc.circleci.com~1project-id": "1c"}),
            "bound",
        ),
        (
            CIRCLE,
            true,
            json!({"sub": "org/0b0a/project/1c/user/*"}),
            "bound",
        ),
        (CIRCLE, true, json!({"sub": "org/0b0a/project/*"}), "names"),
        // Issuers of one owner.
        (
            "https://token.actions.githubusercontent.com/acme",
            false,
            json!({}),
            "bound",
        ),
        ("https://gitlab.example.org", false, json!({}), "bound"),
        (
            "https://token.actions.githubusercontent.com.evil.example",
            false,
            json!({}),
            "bound",
        ),
        ("not a URL", false, json!({}), "bound"),
    ] {
        assert_eq!(
            grade(issuer, glob, &claims),
            expected,
            "{issuer} {glob} {claims}"
        );
    }
}

#[test]
fn the_issuer_is_known_by_its_keys_too() {
    let open = role(false, &json!({}));
    for keys in [
        "https://token.actions.githubusercontent.com/.well-known/jwks",
        "https://gitlab.com/oauth/discovery/keys",
    ] {
        let judged = judge(&config("", keys), &open);
        assert!(matches!(judged, Judgement::Strangers(_)), "{keys}");
        let other = config("https://gitlab.example.org", keys);
        assert_eq!(judge(&other, &open), Judgement::Bound, "{keys}");
    }
    let mut subject = open;
    subject.bound_subject = "repo:org/app:environment:prod".to_owned();
    let judged = judge(&config(GITHUB, ""), &subject);
    let Judgement::NamesOnly(why) = judged else {
        panic!("{judged:?}");
    };
    assert!(
        why.contains("repository_owner_id or repository_id"),
        "{why}"
    );
    subject.role_type = RoleType::Oidc;
    assert_eq!(judge(&config(GITHUB, ""), &subject), Judgement::Bound);
}
