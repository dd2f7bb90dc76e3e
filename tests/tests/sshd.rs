//! The SSH server that other tests stand on: a real one, which tells keys apart.
#![expect(clippy::unwrap_used, reason = "tests")]

use vault_tests::sshd::{Sshd, keygen};

#[test]
fn a_key_that_is_authorized_logs_in_and_another_does_not() {
    let sshd = Sshd::start();
    let dir = tempfile::tempdir().unwrap();
    let (right, wrong) = (dir.path().join("right"), dir.path().join("wrong"));
    sshd.authorize(&keygen(&right));
    keygen(&wrong);
    let login = |key: &std::path::Path| {
        let mut ssh = sshd.ssh(&["-i", key.to_str().unwrap()]);
        ssh.arg("echo $HOME").output().unwrap()
    };
    let said = login(&right);
    assert!(said.status.success(), "{said:?}\n{}", sshd.log());
    let home = String::from_utf8(said.stdout).unwrap();
    assert_eq!(home.trim_end(), sshd.site.home().to_str().unwrap());

    let refused = login(&wrong);
    assert_eq!(refused.status.code(), Some(255), "{}", sshd.log());
    let why = String::from_utf8(refused.stderr).unwrap();
    assert!(why.contains("Permission denied (publickey)"), "{why}");

    sshd.reload();
    assert!(login(&right).status.success(), "{}", sshd.log());
}
