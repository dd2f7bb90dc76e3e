//! The real binary against no server: usage, exit codes, and what never reaches a file or stream.

#![expect(clippy::unwrap_used)]

use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::process::{Command, Output, Stdio};

const BINARY: &str = env!("CARGO_BIN_EXE_vaultctl");
/// Nothing listens there.
const NOBODY: &str = "http://127.0.0.1:9";

fn command(program: &Path, home: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", home)
        .env("VAULT_ADDR", NOBODY)
        .env("VAULT_MAX_RETRIES", "0")
        .stdin(Stdio::null());
    command
}

fn run(words: &[&str]) -> Output {
    let home = tempfile::tempdir().unwrap();
    command(Path::new(BINARY), home.path())
        .args(words)
        .output()
        .unwrap()
}

fn code(words: &[&str]) -> Option<i32> {
    run(words).status.code()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn usage_errors_exit_1_and_help_exits_0() {
    assert_eq!(code(&["nosuchverb"]), Some(1));
    assert_eq!(code(&["kv", "get"]), Some(1));
    assert_eq!(code(&["--nosuchflag"]), Some(1));
    assert_eq!(code(&["--help"]), Some(0));
    assert_eq!(code(&["kv", "--help"]), Some(0));
    assert_eq!(code(&["--version"]), Some(0));
}

#[test]
fn help_fits_on_one_screen() {
    let help = stdout(&run(&["--help"]));
    assert!(help.lines().count() <= 48, "{} lines", help.lines().count());
    assert!(help.lines().all(|l| l.chars().count() <= 100));
}

#[test]
fn an_unreachable_server_is_2_for_verbs_and_1_for_status() {
    assert_eq!(code(&["read", "sys/mounts"]), Some(2));
    assert_eq!(code(&["status"]), Some(1));
    assert_eq!(code(&["operator", "init", "--status"]), Some(1));
    let output = run(&["read", "sys/mounts"]);
    assert!(stderr(&output).contains("next:"), "{}", stderr(&output));
}

#[test]
fn errors_are_json_when_asked() {
    let output = run(&["read", "-o", "json", "sys/mounts"]);
    let object: serde_json::Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!(object["code"], 2);
    assert!(object["errors"][0].is_string() && object["next"].is_string());
}

#[test]
fn destructive_verbs_refuse_without_a_terminal_or_yes() {
    for words in [
        ["secrets", "disable", "kv"],
        ["policy", "delete", "p"],
        ["auth", "disable", "approle"],
    ] {
        let output = run(&words);
        assert_eq!(output.status.code(), Some(1), "{words:?}");
        assert!(stderr(&output).contains("--yes"), "{words:?}");
    }
    assert_eq!(code(&["secrets", "disable", "kv", "--yes"]), Some(2));
}

#[test]
fn run_reports_its_own_failures_with_125() {
    assert_eq!(code(&["run", "-s", "secret/app", "--", "true"]), Some(125));
    assert_eq!(code(&["run", "--", "true"]), Some(125));
    assert_eq!(code(&["run", "-s", "a//b", "--", "true"]), Some(125));
}

/// Runs a command with the variables of a file, which needs no server.
fn run_with_file(file: &str, extra: &[&str], child: &[&str]) -> Output {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("vars");
    std::fs::write(&path, file).unwrap();
    let mut command = command(Path::new(BINARY), home.path());
    command
        .env("VAULT_TOKEN", "s.marker-token")
        .env("VAULT_SECRET_ID", "marker-id");
    command
        .arg("run")
        .arg("--env-file")
        .arg(&path)
        .args(extra)
        .arg("--")
        .args(child);
    command.output().unwrap()
}

#[test]
fn run_gives_variables_and_takes_tokens_away() {
    let output = run_with_file("A=1\nB=\"x\\ny\"\n", &[], &["env"]);
    let text = stdout(&output);
    assert!(
        text.contains("A=1\n") && text.contains("B=x\ny\n"),
        "{text}"
    );
    assert!(!text.contains("marker"), "{text}");
    let output = run_with_file("A=1\n", &["--keep-token"], &["env"]);
    assert!(stdout(&output).contains("marker-token"));
    let output = run_with_file("A=1\n", &["--pristine"], &["/usr/bin/env"]);
    assert_eq!(stdout(&output), "A=1\n");
}

#[test]
fn run_ends_with_the_commands_own_code() {
    assert_eq!(
        run_with_file("A=1\n", &[], &["sh", "-c", "exit 37"])
            .status
            .code(),
        Some(37)
    );
    let killed = run_with_file("A=1\n", &[], &["sh", "-c", "kill -TERM $$"]);
    assert_eq!(
        std::os::unix::process::ExitStatusExt::signal(&killed.status),
        Some(15)
    );
    assert_eq!(
        run_with_file("A=1\n", &[], &["/nonexistent/x"])
            .status
            .code(),
        Some(127)
    );
    assert_eq!(
        run_with_file("A=1\n", &[], &["/etc/passwd"]).status.code(),
        Some(126)
    );
}

#[test]
fn run_refuses_names_that_hijack_programs() {
    let output = run_with_file("LD_PRELOAD=/tmp/x.so\nPATH=/tmp\nA=1\n", &[], &["true"]);
    assert_eq!(output.status.code(), Some(125));
    let text = stderr(&output);
    assert!(
        text.contains("LD_PRELOAD") && text.contains("PATH") && text.contains("--allow-name"),
        "{text}"
    );
    let output = run_with_file("PYTHONPATH=/x\n", &["--allow-name", "PYTHONPATH"], &["env"]);
    assert!(stdout(&output).contains("PYTHONPATH=/x"));
    assert_eq!(
        run_with_file("A=1\n", &["--on-conflict", "error"], &["true"])
            .status
            .code(),
        Some(0)
    );
    assert_eq!(
        run_with_file("HOME=/x\n", &["--on-conflict", "error"], &["true"])
            .status
            .code(),
        Some(125)
    );
}

#[test]
fn called_as_vault_or_bao_it_answers_like_them() {
    let home = tempfile::tempdir().unwrap();
    for (name, first) in [("vault", "Vault"), ("bao", "OpenBao")] {
        let link = home.path().join(name);
        symlink(BINARY, &link).unwrap();
        for flag in ["-version", "--version", "version"] {
            let output = command(&link, home.path()).arg(flag).output().unwrap();
            let text = stdout(&output);
            let words: Vec<_> = text.split_whitespace().collect();
            assert_eq!(words[0], first);
            assert_eq!(
                words[1]
                    .trim_start_matches('v')
                    .split('.')
                    .filter(|n| n.parse::<u32>().is_ok())
                    .count(),
                3
            );
        }
        // "hvs.root" xor "abcdefgh", base64 without padding.
        let xor: Vec<u8> = "hvs.root"
            .bytes()
            .zip("abcdefgh".bytes())
            .map(|(a, b)| a ^ b)
            .collect();
        let encoded = base64_no_pad(&xor);
        let words = [
            "operator",
            "generate-root",
            "-address",
            NOBODY,
            "-tls-skip-verify",
            "-decode",
            &encoded,
            "-otp",
            "abcdefgh",
        ];
        let output = command(&link, home.path()).args(words).output().unwrap();
        assert_eq!(
            stdout(&output),
            "Root token: hvs.root\n",
            "{}",
            stderr(&output)
        );
    }
}

fn base64_no_pad(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD_NO_PAD.encode(bytes)
}

#[test]
fn a_token_that_cannot_be_looked_up_is_neither_stored_nor_printed() {
    let home = tempfile::tempdir().unwrap();
    let output = command(Path::new(BINARY), home.path())
        .args(["login", "token=s.marker-token"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(!home.path().join(".vault-token").exists());
    assert!(!stderr(&output).contains("marker") && !stdout(&output).contains("marker"));
}

#[test]
fn doctor_finds_an_open_token_file_and_a_dead_server() {
    use std::os::unix::fs::PermissionsExt;
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join(".vault-token");
    std::fs::write(&path, "s.marker").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o644);
    let output = command(Path::new(BINARY), home.path())
        .args(["doctor", "-o", "json"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let verdict = |name: &str| {
        let checks = report["checks"].as_array().unwrap();
        checks
            .iter()
            .find(|c| c["check"] == name)
            .map(|c| c["verdict"].as_str().unwrap().to_owned())
    };
    assert_eq!(verdict("token").as_deref(), Some("FAIL"));
    assert_eq!(verdict("port").as_deref(), Some("FAIL"));
    assert!(!stdout(&output).contains("marker"));
}

#[test]
fn completion_and_manual_pages_are_made_without_a_server() {
    for shell in ["bash", "zsh", "fish"] {
        assert!(stdout(&run(&["completion", shell])).contains("vaultctl"));
    }
    let home = tempfile::tempdir().unwrap();
    let out = home.path().join("man");
    let words = ["man", "--out", out.to_str().unwrap()];
    assert_eq!(code(&words), Some(0));
    assert!(
        out.join("vaultctl-kv-get.1").exists() || std::fs::read_dir(&out).unwrap().count() > 10
    );
}

#[test]
fn an_environment_that_is_not_text_does_no_harm() {
    use std::os::unix::ffi::OsStrExt;
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("vars");
    std::fs::write(&path, "A=1\n").unwrap();
    let mut command = command(Path::new(BINARY), home.path());
    command.env("BINARY_VALUE", std::ffi::OsStr::from_bytes(b"x\xff"));
    command
        .args(["run", "--resolve-env", "--env-file"])
        .arg(&path)
        .args(["--", "env"]);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(
        output
            .stdout
            .windows(15)
            .any(|w| w == b"BINARY_VALUE=x\xff")
    );
}

#[test]
fn a_reader_that_goes_away_is_no_crash() {
    let script = format!("{BINARY} completion bash | head -c 1");
    let output = Command::new("sh").arg("-c").arg(script).output().unwrap();
    assert!(!stderr(&output).contains("panicked"), "{}", stderr(&output));
}

#[test]
fn policies_in_files_are_tested_without_a_server() {
    let home = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = home.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let app = file(
        "app.hcl",
        "# the app\npath \"secret/data/app/*\" { capabilities = [\"read\"] }\n\
         path \"secret/data/{{identity.entity.name}}/*\" { capabilities = [\"list\"] }\n",
    );
    let ops = file(
        "ops.json",
        r#"{"path": {"secret/data/app/db": {"capabilities": ["deny"]}}}"#,
    );
    let test =
        |more: &[&str]| run(&[&["policy", "test", app.as_str(), ops.as_str()], more].concat());

    let allowed = test(&["--path", "secret/data/app/x", "--as", "app"]);
    assert_eq!(allowed.status.code(), Some(0), "{}", stderr(&allowed));
    assert!(
        stdout(&allowed).contains("(app line 2)"),
        "{}",
        stdout(&allowed)
    );

    let pasted = test(&["--path", "/v1/secret/data/app/x", "--as", "app"]);
    assert_eq!(stdout(&pasted), stdout(&allowed));

    let missing = test(&[
        "--path",
        "secret/data/app/x",
        "--as",
        "app",
        "--capability",
        "update",
    ]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(
        stdout(&missing).contains("capabilities = [\"read\", \"update\"]"),
        "{}",
        stdout(&missing)
    );

    // Both policies: the deny of one path outranks the other's rule, and says so.
    let denied = test(&["--path", "secret/data/app/db", "-o", "json"]);
    assert_eq!(denied.status.code(), Some(2));
    let told: serde_json::Value = serde_json::from_slice(&denied.stdout).unwrap();
    assert_eq!(told["rule"]["from"][0]["policy"], "ops");
    assert_eq!(told["lost"][0]["from"][0]["line"], 2);
    assert!(told["suggestion"].is_null(), "{told}");

    let templated = [
        "--path",
        "secret/data/bob/x",
        "--capability",
        "list",
        "--as",
        "app",
    ];
    assert_eq!(test(&templated).status.code(), Some(2));
    let named = [&templated[..], &["--var", "identity.entity.name=bob"]].concat();
    assert_eq!(test(&named).status.code(), Some(0));
    let default = ["--path", "auth/token/lookup-self", "--as", "default"];
    assert_eq!(test(&default).status.code(), Some(0));

    for wrong in [
        &["--path", "a", "--as", "nobody"][..],
        &["--path", "a", "--capability", "fly"],
    ] {
        assert_eq!(test(wrong).status.code(), Some(1), "{wrong:?}");
    }
    let broken = file("broken.hcl", "path \"a\" {\n  capabilities = [\"reed\"]\n}");
    let refused = run(&["policy", "test", &broken, "--path", "a"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("line 2"), "{}", stderr(&refused));
}
