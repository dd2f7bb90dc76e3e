//! `vaultctl ssh-agent`.

use std::process::{Command, Stdio};
use std::time::Duration;

use vault_tests::process::until;
use vault_tests::sshd::keygen;

use vault_tests::process::{finish, good};

use crate::host::{Host, files, holds_no_key};

/// The server signs; the private half may not be read.
const MAY_SIGN: &str = r#"
path "sshkeys/lookup" { capabilities = ["read"] }
path "sshkeys/sign/one" { capabilities = ["update"] }
"#;

const MAY_READ: &str = r#"
path "sshkeys/lookup" { capabilities = ["read"] }
path "sshkeys/creds/one" { capabilities = ["read"] }
"#;

/// `vaultctl ssh-agent` for the key `one`, with a script as its command.
fn with_agent(host: &Host, way: &[&str], script: &str) -> Command {
    let (name, script) = (host.name(), host.script(script));
    let words = ["ssh-agent", "--key", "one", "--host", &name];
    let command = ["--", "sh", &script];
    host.vaultctl(&[&words, way, &command].concat())
}

fn clone(host: &Host, name: &str, into: &str) -> String {
    format!(
        "GIT_SSH_COMMAND='{}' git clone -q {} {into}\n",
        host.credulous(),
        host.url(name)
    )
}

#[test]
fn a_repository_is_cloned_with_a_key_that_never_leaves_the_server() {
    let host = Host::new(MAY_SIGN);
    let look = "find \"$XDG_RUNTIME_DIR\" -type f; ssh-add -l";
    let script = format!("set -e\n{}{look}", clone(&host, "one", "cloned"));
    let out = good(&mut with_agent(&host, &[], &script));
    let public = host.public("one");
    let key = vault_ssh::Key::from_line(&public).unwrap();
    assert!(out.contains(&key.fingerprint()), "{out}");
    let cloned = std::fs::read_to_string(host.home.path().join("cloned/README"));
    assert_eq!(cloned.unwrap(), "one");
    holds_no_key(host.home.path(), &host.private("one"));
    assert!(files(&host.runtime()).is_empty());
    assert_eq!(std::fs::read_dir(host.runtime()).unwrap().count(), 0);
    // The policy decides: it may not be read.
    let (code, _, err) = finish(&mut with_agent(&host, &["--in-memory"], "true"));
    assert_eq!(code, 125, "{err}");
    assert!(err.contains("sshkeys/creds/one"), "{err}");
}

#[test]
fn a_key_in_memory_goes_on_while_the_server_is_sealed() {
    let host = Host::new(MAY_READ);
    let go_on = host.home.path().join("sealed");
    let wait = format!("while [ ! -e {} ]; do sleep 0.1; done\n", go_on.display());
    let first = clone(&host, "one", "first");
    let second = clone(&host, "one", "second");
    let script = format!("set -e\n{first}touch cloned\n{wait}{second}");
    let mut command = with_agent(&host, &[], &script);
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let child = child.unwrap();
    let cloned = host.home.path().join("cloned");
    until(Duration::from_secs(30), || cloned.exists().then_some(())).unwrap();
    let private = host.private("one");
    host.vault
        .root("PUT", "sys/seal", serde_json::json!({}))
        .expect(204);
    std::fs::write(&go_on, "").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(host.home.path().join("second/README").exists());
    holds_no_key(host.home.path(), &private);
}

#[test]
fn a_renewed_key_is_used_at_once() {
    for rules in [MAY_SIGN, MAY_READ] {
        let host = Host::new(rules);
        let go_on = host.home.path().join("renewed");
        let wait = format!("while [ ! -e {} ]; do sleep 0.1; done\n", go_on.display());
        let (first, second) = (clone(&host, "one", "first"), clone(&host, "one", "second"));
        let script = format!("set -e\n{first}touch cloned\n{wait}{second}");
        let mut command = with_agent(&host, &[], &script);
        let child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let child = child.unwrap();
        let cloned = host.home.path().join("cloned");
        until(Duration::from_secs(30), || cloned.exists().then_some(())).unwrap();
        host.renew("one");
        std::fs::write(&go_on, "").unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
}

#[test]
fn nothing_is_signed_for_a_host_that_is_not_pinned() {
    let host = Host::new(MAY_SIGN);
    let other = keygen(&host.home.path().join("other"));
    host.pin(&other);
    // ssh itself is told to trust any host; the agent is not.
    let script = clone(&host, "one", "cloned");
    let (code, out, err) = finish(&mut with_agent(&host, &[], &script));
    assert_ne!(code, 0, "{out}");
    assert!(!host.home.path().join("cloned/README").exists());
    assert!(err.contains("Permission denied (publickey)"), "{err}");
    // Without any pin there is no agent at all.
    let words = [
        "ssh-agent",
        "--key",
        "one",
        "--host",
        "elsewhere",
        "--",
        "true",
    ];
    let (code, _, err) = finish(&mut host.vaultctl(&words));
    assert_eq!(code, 125);
    assert!(err.contains("no host keys are pinned"), "{err}");
}

#[test]
fn nothing_but_a_login_of_a_bound_session_is_signed() {
    let host = Host::new(MAY_SIGN);
    let public = host.home.path().join("one.pub");
    std::fs::write(&public, host.public("one")).unwrap();
    keygen(&host.home.path().join("own"));
    std::fs::write(host.home.path().join("file"), "text").unwrap();
    let script = "
ssh-add -T one.pub && echo SIGNED a challenge
ssh-keygen -Y sign -f one.pub -n git file && echo SIGNED a file
ssh-keygen -q -s one.pub -U -I id -n root own.pub && echo SIGNED a certificate
ssh-add own && echo ADDED
ssh-add -D && echo DELETED
ssh-add -l >list || exit 3
true";
    let (code, out, err) = finish(&mut with_agent(&host, &[], script));
    assert_eq!(code, 0, "{err}");
    assert_eq!(out, "", "{err}");
    let list = std::fs::read_to_string(host.home.path().join("list")).unwrap();
    assert_eq!(list.lines().count(), 1, "{list}");
}

#[test]
fn an_agent_that_is_killed_leaves_no_socket() {
    let host = Host::new(MAY_SIGN);
    let mut command = with_agent(&host, &[], "touch started; exec sleep 60");
    let mut child = command.spawn().unwrap();
    let started = host.home.path().join("started");
    until(Duration::from_secs(30), || started.exists().then_some(())).unwrap();
    assert_eq!(std::fs::read_dir(host.runtime()).unwrap().count(), 1);
    child.kill().unwrap();
    child.wait().unwrap();
    let is_empty = || (std::fs::read_dir(host.runtime()).unwrap().count() == 0).then_some(());
    until(Duration::from_secs(10), is_empty).expect("the folder stays");
}

#[test]
fn a_shell_gets_lines_and_the_agent_ends_when_it_is_told_to() {
    let host = Host::new(MAY_SIGN);
    let vaultctl = vault_tests::program("vaultctl");
    let vaultctl = vaultctl.display();
    let script = format!(
        "set -e
eval \"$({vaultctl} ssh-agent --key one --host '{}')\" >/dev/null
test -S \"$SSH_AUTH_SOCK\"
stat -c %a \"$SSH_AUTH_SOCK\"
{}ssh-agent -k >/dev/null
for i in $(seq 100); do test -e \"$SSH_AUTH_SOCK\" || break; sleep 0.1; done
test ! -e \"$SSH_AUTH_SOCK\"
sleep 0.5
grep '^State:.[^Z]' /proc/$SSH_AGENT_PID/status 2>/dev/null || true",
        host.name(),
        clone(&host, "one", "cloned"),
    );
    let script = host.script(&script);
    let mut shell = host.vaultctl(&[]);
    let mut command = Command::new("sh");
    command
        .arg(script)
        .current_dir(host.home.path())
        .env_clear();
    for (name, value) in shell.get_envs() {
        command.env(name, value.unwrap());
    }
    assert_eq!(good(&mut command), "600\n");
    assert!(host.home.path().join("cloned/README").exists());
    shell.args(["ssh-agent", "--key", "nothing"]);
    let (code, out, err) = finish(&mut shell);
    assert_eq!((code, out.as_str()), (125, ""), "{err}");
    assert!(err.contains("there is no key nothing"), "{err}");
}
