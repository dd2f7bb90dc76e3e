//! The job definitions in `deploy/ci`, done by a runner that does what they say.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use vault_tests::program;

use crate::forge::Forge;
use vault_tests::process::{finish, good};

use crate::job::Job;

const ADDRESS: &str = "https://vault.example.org:8200";

/// A sample, and the command of its owner in the comment at its top, in one line.
fn sample(name: &str) -> (String, String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../deploy/ci")
        .join(name);
    let text = std::fs::read_to_string(path).unwrap();
    let comment: Vec<&str> = text
        .lines()
        .map_while(|line| line.strip_prefix('#').or(line.strip_prefix("//")))
        .skip_while(|line| !line.contains("vaultctl ci setup"))
        .map(|line| line.trim().trim_end_matches('\\'))
        .collect();
    let owner = comment.join(" ");
    (text, owner)
}

/// The line that runs `vaultctl`.
fn step(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.starts_with(['#', '/']));
    let (_, step) = lines
        .filter_map(|line| line.split_once("vaultctl run "))
        .next()
        .unwrap();
    format!("vaultctl run {}", step.trim_end_matches('\''))
}

fn shell(job: &Job, line: &str, token: Option<&str>) -> Command {
    let bin = program("vaultctl");
    let path = format!("{}:/usr/bin:/bin", bin.parent().unwrap().display());
    let mut command = Command::new("sh");
    command
        .args(["-c", line])
        .env_clear()
        .env("PATH", path)
        .env("HOME", job.home.path())
        .env("VAULT_ADDR", &job.vault.addr)
        .current_dir(job.home.path());
    if let Some(token) = token {
        command.env("VAULT_TOKEN", token);
    }
    command
}

fn prepared() -> Job {
    use std::os::unix::fs::PermissionsExt;
    let job = Job::new();
    let body = json!({"type": "kv", "options": {"version": "2"}});
    job.vault
        .root("POST", "sys/mounts/secret", body)
        .expect(204);
    let data = json!({"data": {"db_password": "correct horse"}});
    job.vault
        .root("POST", "secret/data/apps/web", data)
        .expect(200);
    let policies = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/policies/ci.hcl");
    let words = ["policy", "write", "ci", policies.to_str().unwrap()];
    good(&mut job.owner(&words));
    let deploy = job.file(
        "deploy.sh",
        "#!/bin/sh\necho \"${#DB_PASSWORD}: $DB_PASSWORD\"\n",
    );
    std::fs::set_permissions(deploy, PermissionsExt::from_mode(0o755)).unwrap();
    job
}

fn set_up(job: &Job, forge: &Forge, owner: &str) {
    let line = format!(
        "{owner} --issuer {} --issuer-ca {}",
        forge.url(),
        forge.ca(job)
    );
    good(&mut shell(job, &line, Some(&job.vault.root)));
}

#[test]
fn the_github_sample_deploys() {
    let (text, owner) = sample("github.yml");
    assert!(text.contains("id-token: write") && text.contains("environment: production"));
    let forge = Forge::start(json!({
        "repository_id": "74", "repository_owner_id": "65", "environment": "production",
    }));
    let job = prepared();
    set_up(&job, &forge, &owner);
    let mut run = shell(&job, &step(&text), None);
    forge.github(&job, &mut run);
    assert_eq!(good(&mut run), "13: ***\n");
}

#[test]
fn the_gitlab_sample_deploys() {
    let (text, owner) = sample("gitlab.yml");
    let forge = Forge::start(json!({}));
    let job = prepared();
    set_up(&job, &forge, &owner);
    let (_, audience) = text.split_once("aud: ").unwrap();
    let audience = audience
        .lines()
        .next()
        .unwrap()
        .replace(ADDRESS, &job.vault.addr);
    let claims = |protected: &str| json!({"project_id": "22", "namespace_id": "72", "ref": "main", "ref_protected": protected});
    let run = |claims: &Value| {
        let mut run = shell(&job, &step(&text), None);
        run.env("GITLAB_CI", "true")
            .env("VAULT_ID_TOKEN", forge.token(&audience, claims));
        run
    };
    assert_eq!(good(&mut run(&claims("true"))), "13: ***\n");
    let (code, out, _) = finish(&mut run(&claims("false")));
    assert_eq!((code, out.as_str()), (125, ""));
}

const ORGANIZATION: &str = "0184990a-477b-4fa8-9968-496074483cee";
const PROJECT: &str = "0184990a-4782-42b5-afc1-16715b10b8ff";

/// Does the sample, once as the job it is for and once as another one. `arrange` gives the job its token,
/// as its runner does.
fn deploys(
    name: &str,
    audience: Option<&str>,
    claims: Value,
    arrange: impl Fn(&Job, &mut Command, &str),
) {
    let (text, owner) = sample(name);
    let forge = Forge::start(json!({}));
    let job = prepared();
    set_up(&job, &forge, &owner);
    let run = |claims: &Value| {
        let token = forge.token(audience.unwrap_or(&job.vault.addr), claims);
        let mut run = shell(&job, &step(&text), None);
        arrange(&job, &mut run, &token);
        finish(&mut run)
    };
    let (code, out, err) = run(&claims);
    assert_eq!((code, out.as_str()), (0, "13: ***\n"), "{name}: {err}");
    for claim in claims.as_object().unwrap().keys() {
        let mut other = claims.clone();
        other[claim] = json!("another");
        assert_eq!(run(&other).0, 125, "{name} with another {claim}");
    }
}

#[test]
fn the_buildkite_sample_deploys() {
    use std::os::unix::fs::PermissionsExt;
    let claims = json!({
        "organization_id": ORGANIZATION, "pipeline_id": PROJECT, "build_branch": "main",
    });
    deploys("buildkite.yml", None, claims, |job, run, token| {
        let agent = job.file("buildkite-agent", &format!("#!/bin/sh\necho '{token}'\n"));
        std::fs::set_permissions(agent, PermissionsExt::from_mode(0o755)).unwrap();
        let programs = program("vaultctl").parent().unwrap().display().to_string();
        let path = format!("{}:{programs}:/usr/bin:/bin", job.home.path().display());
        run.env("BUILDKITE", "true").env("PATH", path);
    });
}

#[test]
fn the_circleci_sample_deploys() {
    let claims = json!({
        "oidc.circleci.com/project-id": PROJECT, "oidc.circleci.com/vcs-ref": "refs/heads/main",
    });
    deploys(
        "circleci.yml",
        Some(ORGANIZATION),
        claims,
        |_, run, token| {
            run.env("CIRCLECI", "true")
                .env("CIRCLE_OIDC_TOKEN_V2", token);
        },
    );
}

#[test]
fn the_jenkins_sample_deploys() {
    let claims = json!({"sub": "https://jenkins.example.org/job/web/"});
    deploys("Jenkinsfile", None, claims, |_, run, token| {
        run.env("JENKINS_URL", "https://jenkins.example.org/")
            .env("VAULT_ID_TOKEN", token);
    });
}
