//! `vaultctl ci ssh`.

use vault_tests::sshd::keygen;

use vault_tests::process::{finish, good};

use crate::host::{Host, holds_no_key};

const RULES: &str = r#"
path "sshkeys/lookup" { capabilities = ["read"] }
path "sshkeys/sign/*" { capabilities = ["update"] }
"#;

#[test]
fn git_clones_with_the_key_that_is_named_and_pinned_hosts() {
    let host = Host::new(RULES);
    let (one, two) = (host.url("one"), host.url("two"));
    let clone = ["ci", "ssh", "--key", "one", "--", "git", "clone", "-q"];
    good(&mut host.vaultctl(&[&clone[..], &[&one, "a"]].concat()));
    assert!(host.home.path().join("a/README").exists());
    // The other repository does not know this key.
    let (code, _, err) = finish(&mut host.vaultctl(&[&clone[..], &[&two, "b"]].concat()));
    assert_eq!(code, 128, "{err}");
    assert!(err.contains("Repository not found"), "{err}");
    // ssh itself, as git would start it.
    let (place, port) = ("deploy@127.0.0.1", host.sshd.port.to_string());
    let ssh = ["ci", "ssh", "--key", "one", "--", "ssh", "-p", &port, place];
    let (code, _, err) = finish(&mut host.vaultctl(&[&ssh[..], &["uptime"]].concat()));
    assert_eq!(code, 1, "{err}");
    assert!(err.contains("Repository not found"), "{err}");
    holds_no_key(host.home.path(), &host.private("one"));
    assert_eq!(std::fs::read_dir(host.runtime()).unwrap().count(), 0);
    // The code is the command's own, and so are its words.
    let exits = [
        "ci",
        "ssh",
        "--",
        "sh",
        "-c",
        "test -z \"$VAULT_TOKEN\" && exit 7",
    ];
    assert_eq!(finish(&mut host.vaultctl(&exits)).0, 7);
}

#[test]
fn a_host_that_shows_another_key_is_not_logged_in_to() {
    let host = Host::new(RULES);
    let other = keygen(&host.home.path().join("other"));
    host.pin(&other);
    let url = host.url("one");
    let clone = [
        "ci", "ssh", "--key", "one", "--", "git", "clone", "-q", &url, "a",
    ];
    let (code, _, err) = finish(&mut host.vaultctl(&clone));
    assert_eq!(code, 128);
    assert!(err.contains("Host key verification failed"), "{err}");
}
