//! `vaultctl ci setup` and `ci explain`: roles that are bound to ids, and why a token does not fit.

use serde_json::{Value, json};

use crate::forge::Forge;
use vault_tests::process::{finish, good};

use crate::job::Job;

const ORGANIZATION: &str = "0184990a-477b-4fa8-9968-496074483cee";
const PROJECT: &str = "0184990a-4782-42b5-afc1-16715b10b8ff";

/// For each forge: what its owner types, and the claims of a job that may log in.
fn forges() -> Vec<(Vec<&'static str>, Value)> {
    vec![
        (
            vec![
                "github",
                "--repository-id",
                "74",
                "--owner-id",
                "65",
                "--environment",
                "production",
            ],
            json!({"repository_id": "74", "repository_owner_id": "65", "environment": "production"}),
        ),
        (
            vec![
                "github",
                "--repository-id",
                "74",
                "--owner-id",
                "65",
                "--ref",
                "refs/heads/main",
            ],
            json!({
                "repository_id": "74", "repository_owner_id": "65",
                "ref": "refs/heads/main", "ref_protected": "true",
            }),
        ),
        (
            vec![
                "gitlab",
                "--project-id",
                "22",
                "--namespace-id",
                "72",
                "--ref",
                "main",
            ],
            json!({"project_id": "22", "namespace_id": "72", "ref": "main", "ref_protected": "true"}),
        ),
        (
            vec![
                "buildkite",
                "--organization-id",
                ORGANIZATION,
                "--pipeline-id",
                PROJECT,
            ],
            json!({"organization_id": ORGANIZATION, "pipeline_id": PROJECT}),
        ),
        (
            vec![
                "circleci",
                "--org-id",
                ORGANIZATION,
                "--project-id",
                PROJECT,
            ],
            json!({"oidc.circleci.com/project-id": PROJECT, "aud": ORGANIZATION}),
        ),
        (
            vec![
                "jenkins",
                "--jenkins",
                "https://ci.example",
                "--sub",
                "https://ci.example/job/app/",
            ],
            json!({"sub": "https://ci.example/job/app/", "build_number": 4}),
        ),
    ]
}

fn set_up(job: &Job, forge: &Forge, words: &[&str]) -> (i32, String, String) {
    let ca = forge.ca(job);
    let more = [
        "--role",
        "deploy",
        "--policy",
        "ci",
        "--issuer",
        forge.url(),
        "--issuer-ca",
        &ca,
    ];
    finish(&mut job.owner(&[&["ci", "setup"], words, &more].concat()))
}

#[test]
fn each_forge_is_set_up_by_ids_and_no_other_job_gets_in() {
    let forge = Forge::start(json!({}));
    let job = Job::new();
    for (words, claims) in forges() {
        let (code, out, err) = set_up(&job, &forge, &words);
        assert_eq!(code, 0, "{words:?}: {err}");
        assert!(out.contains("vaultctl run --ci-role deploy"), "{out}");
        let log_in = |claims: &Value| {
            let token = forge.token(&job.vault.addr, claims);
            let body = json!({"role": "deploy", "jwt": token});
            job.vault
                .call("POST", "auth/jwt/login", None, Some(&body))
                .status
        };
        assert_eq!(log_in(&claims), 200, "{words:?}");
        // Another value of any of them, or none, is another job.
        for name in claims
            .as_object()
            .unwrap()
            .keys()
            .filter(|name| *name != "build_number")
        {
            let mut other = claims.clone();
            other[name] = json!("666");
            assert_eq!(log_in(&other), 400, "{words:?} with another {name}");
            other[name] = Value::Null;
            assert_eq!(log_in(&other), 400, "{words:?} without {name}");
        }
    }
}

#[test]
fn names_other_issuers_and_every_branch_are_refused() {
    let forge = Forge::start(json!({}));
    let job = Job::new();
    let (code, _, err) = set_up(
        &job,
        &forge,
        &[
            "github",
            "--repository-id",
            "octo-org/app",
            "--owner-id",
            "65",
        ],
    );
    assert!(code == 1 && err.contains("can change hands"), "{err}");
    let (code, _, err) = set_up(
        &job,
        &forge,
        &["github", "--repository-id", "74", "--owner-id", "65"],
    );
    assert!(code == 1 && err.contains("--environment"), "{err}");
    let (words, _) = forges().remove(0);
    assert_eq!(set_up(&job, &forge, &words).0, 0);
    let other = Forge::start(json!({}));
    let (code, _, err) = set_up(&job, &other, &words);
    assert!(code == 1 && err.contains("--path github"), "{err}");
    // What was there before is as it was.
    let config = job
        .vault
        .root("GET", "auth/jwt/config", Value::Null)
        .expect(200);
    assert_eq!(config.data()["bound_issuer"], forge.url());
}

#[test]
fn a_mismatch_is_explained_claim_by_claim_without_the_token() {
    let (words, claims) = forges().remove(0);
    let forge = Forge::start(claims.clone());
    let job = Job::new();
    assert_eq!(set_up(&job, &forge, &words).0, 0);
    let explain =
        |token: &str| finish(&mut job.owner(&["ci", "explain", "--role", "deploy", token]));
    let token = forge.token(&job.vault.addr, &claims);
    let (code, out, err) = explain(&token);
    assert_eq!(code, 0, "{out}{err}");
    assert!(
        out.lines().all(|line| line.starts_with("ok")) && !out.contains("eyJ"),
        "{out}"
    );

    let mut other = claims;
    other["environment"] = json!("staging");
    other["exp"] = json!(7);
    let token = forge.token("https://elsewhere.example", &other);
    let (code, out, err) = explain(&token);
    assert_eq!(code, 2, "{err}");
    let wrong: Vec<&str> = out
        .lines()
        .filter_map(|line| line.strip_prefix("NO  "))
        .collect();
    assert_eq!(wrong, ["exp", "aud", "environment"], "{out}");
    assert!(
        out.contains("the token has: staging") && out.contains("it must be:    production"),
        "{out}"
    );
    let parts: Vec<&str> = token.split('.').collect();
    assert!(
        parts
            .iter()
            .all(|part| !out.contains(part) && !err.contains(part)),
        "{out}{err}"
    );

    // In the job itself, which may not read the role: what its token says.
    let mut own = job.without_token(&["ci", "explain"]);
    forge.github(&job, &mut own);
    let listed = good(&mut own);
    assert!(
        listed.contains("repository_id") && !listed.contains("eyJ"),
        "{listed}"
    );
    let (code, _, err) = explain("not-a-token");
    assert!(code == 1 && !err.contains("not-a-token"), "{err}");
}
