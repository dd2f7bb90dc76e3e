//! Jobs that log in with their runner's identity token, on each kind of runner.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use serde_json::{Value, json};

use crate::forge::Forge;
use vault_tests::process::{finish, good};

use crate::job::Job;

fn claims() -> Value {
    json!({
        "repository": "octo-org/app", "repository_id": "74", "repository_owner_id": "65",
        "environment": "production", "ref": "refs/heads/main", "actor": "mona", "run_id": "9",
    })
}

/// A server that takes this forge's tokens for the role `deploy`.
fn job(forge: &Forge) -> Job {
    let job = Job::new();
    job.put("deploy", json!({"password": "correct horse"}));
    job.vault
        .root("POST", "sys/auth/jwt", json!({"type": "jwt"}))
        .expect(204);
    let config =
        json!({"oidc_discovery_url": forge.url(), "oidc_discovery_ca_pem": forge.web.ca_pem});
    job.vault
        .root("POST", "auth/jwt/config", config)
        .expect(204);
    let role = json!({
        "role_type": "jwt", "user_claim": "repository_id", "bound_audiences": [job.vault.addr],
        "bound_claims": {"repository_id": "74", "repository_owner_id": "65"},
        "token_policies": ["ci"], "token_ttl": "5m",
    });
    let written = job.vault.root("POST", "auth/jwt/role/deploy", role);
    assert!(written.status < 300, "{}", written.text);
    job
}

const LOGIN: [&str; 6] = [
    "login",
    "--ci",
    "--role",
    "deploy",
    "--no-store",
    "--print-token",
];

#[track_caller]
fn logs_in(job: &Job, command: &mut Command) {
    let token = good(command);
    assert!(job.alive(token.trim()));
}

#[test]
fn each_runner_gives_its_token_and_the_job_logs_in() {
    let forge = Forge::start(claims());
    let job = job(&forge);
    let token = forge.token(&job.vault.addr, &claims());

    let mut github = job.without_token(&LOGIN);
    forge.github(&job, &mut github);
    logs_in(&job, &mut github);

    let mut gitlab = job.without_token(&LOGIN);
    gitlab
        .env("GITLAB_CI", "true")
        .env("VAULT_ID_TOKEN", &token);
    logs_in(&job, &mut gitlab);

    let named = [&LOGIN[..], &["--id-token-env", "MY_TOKEN"]].concat();
    let mut gitlab = job.without_token(&named);
    gitlab.env("GITLAB_CI", "true").env("MY_TOKEN", &token);
    logs_in(&job, &mut gitlab);

    let mut circle = job.without_token(&LOGIN);
    circle
        .env("CIRCLECI", "true")
        .env("CIRCLE_OIDC_TOKEN_V2", &token);
    logs_in(&job, &mut circle);

    let file = job.file("id-token", &format!("{token}\n"));
    let mut jenkins = job.without_token(&LOGIN);
    jenkins
        .env("JENKINS_URL", "https://jenkins.example")
        .env("VAULT_ID_TOKEN_FILE", file);
    logs_in(&job, &mut jenkins);

    // An agent that is asked as Buildkite's is.
    let bin = job.home.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    let agent = bin.join("buildkite-agent");
    let script = format!(
        "#!/bin/sh\n[ \"$*\" = 'oidc request-token --audience {} --claim organization_id --claim pipeline_id' ] && echo '{token}'\n",
        job.vault.addr
    );
    std::fs::write(&agent, script).unwrap();
    std::fs::set_permissions(&agent, PermissionsExt::from_mode(0o755)).unwrap();
    let mut buildkite = job.without_token(&LOGIN);
    buildkite
        .env("BUILDKITE", "true")
        .env("PATH", format!("{}:/usr/bin:/bin", bin.display()));
    logs_in(&job, &mut buildkite);
}

#[test]
fn a_job_without_a_token_is_told_what_to_add() {
    let forge = Forge::start(claims());
    let job = job(&forge);
    for (variable, advice) in [
        ("GITHUB_ACTIONS", "id-token: write"),
        ("GITLAB_CI", "id_tokens"),
        ("CIRCLECI", "context"),
        ("JENKINS_URL", "withCredentials"),
        ("BUILDKITE", "buildkite-agent"),
        ("NOWHERE", "VAULT_ID_TOKEN"),
    ] {
        let (code, out, err) = finish(job.without_token(&LOGIN).env(variable, "true"));
        assert_eq!((code, out.as_str()), (1, ""), "{err}");
        assert!(err.contains(advice), "{variable}: {err}");
    }
}

#[test]
fn a_job_is_one_line_and_its_token_does_not_outlive_it() {
    let forge = Forge::start(claims());
    let job = job(&forge);
    let run = |options: &[&str], script: &str| {
        let words = ["run", "--ci-role", "deploy", "-s", "kv/deploy"];
        let words = [&words, options, &["--", "sh", "-c", script]].concat();
        let mut command = job.without_token(&words);
        forge.github(&job, &mut command);
        finish(&mut command)
    };
    let tokens = || {
        let accessors = job.vault.root("LIST", "auth/token/accessors", Value::Null);
        accessors.expect(200).data()["keys"]
            .as_array()
            .unwrap()
            .len()
    };
    let before = tokens();
    let script = "echo \"${#password} ${VAULT_TOKEN:-none} ${VAULT_ID_TOKEN:-none}\"";
    let (code, out, err) = run(&[], script);
    assert_eq!((code, out.as_str()), (0, "13 none none\n"), "{err}");
    assert_eq!(tokens(), before);

    let (code, out, err) = run(&["--mask"], "echo $password; exit 6");
    assert_eq!((code, out.as_str()), (6, "***\n"), "{err}");
    assert_eq!(tokens(), before);

    let (code, out, err) = run(&["--keep-token"], "echo ${#VAULT_TOKEN}");
    assert!(
        code == 0 && out.trim().parse::<usize>().unwrap() > 20,
        "{err}"
    );
    assert_eq!(tokens(), before);

    // The forge's keys change while jobs run.
    forge.rotate();
    let (code, _, err) = run(&[], "true");
    assert_eq!(code, 0, "{err}");
}

#[test]
fn a_failed_login_of_a_job_leaves_a_persons_token_alone() {
    let forge = Forge::start(claims());
    let mut job = job(&forge);
    job.token = job.new_token();
    let words = [
        "run",
        "--ci-role",
        "deploy",
        "-s",
        "kv/deploy",
        "--",
        "true",
    ];
    let (code, _, err) = finish(&mut job.vaultctl(&words));
    assert_eq!(code, 125, "{err}");
    assert!(job.alive(&job.token));
}

#[test]
fn a_refused_job_learns_the_reason_and_no_output_holds_its_token() {
    let forge = Forge::start(claims());
    let job = job(&forge);
    let mut other = claims();
    other["repository_id"] = json!("theirs-75");
    let token = forge.token(&job.vault.addr, &other);
    let (code, out, err) = finish(job.without_token(&LOGIN).env("VAULT_ID_TOKEN", &token));
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(
        err.contains("repository_id") && err.contains("ci explain"),
        "{err}"
    );
    assert!(!err.contains(&token) && !err.contains("theirs"), "{err}");
}
