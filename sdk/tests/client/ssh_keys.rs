//! Managed SSH keys.

use serde_json::json;

use crate::fake::{Fake, data};

#[tokio::test]
async fn a_key_is_read_or_the_server_signs_with_it() {
    let fake = Fake::start(|seen| match seen.verb.as_str() {
        "GET" if seen.path.contains("known-hosts") => data(json!({ "lines": ["h ssh-ed25519 A"] })),
        "GET" => data(json!({
            "private_key": "hunter2", "public_key": "ssh-ed25519 A", "fingerprint": "SHA256:x",
            "version": 3
        })),
        _ => data(json!({ "signature": "AAEC", "version": 3 })),
    })
    .await;
    let client = fake.client();
    let keys = client.ssh_keys("sshkeys/");
    let key = keys.read("web").await.unwrap();
    assert_eq!((key.private_key.expose(), key.version), ("hunter2", 3));
    assert!(!format!("{key:?}").contains("hunter2"));
    assert_eq!(keys.sign("web", b"login").await.unwrap(), [0, 1, 2]);
    assert_eq!(keys.known_hosts("h").await.unwrap(), ["h ssh-ed25519 A"]);
    let seen = fake.seen();
    let paths: Vec<_> = seen.iter().map(|seen| seen.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "sshkeys/creds/web",
            "sshkeys/sign/web",
            "sshkeys/known-hosts/h"
        ]
    );
    assert_eq!(seen[1].body["data"], "bG9naW4=");
}
