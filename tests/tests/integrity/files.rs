//! What a thief of the files can read.

use super::*;

#[test]
fn no_name_value_policy_or_token_is_in_the_files() {
    let mut vault = Vault::ready_with(Options::plain());
    vault
        .root(
            "POST",
            &format!("sys/mounts/{MARKER}mount"),
            json!({"type": "kv"}),
        )
        .expect(204);
    vault
        .root(
            "POST",
            &format!("{MARKER}mount/{MARKER}dir/{MARKER}name"),
            json!({"k": format!("{MARKER}value")}),
        )
        .expect(204);
    let policy =
        json!({"policy": format!("path \"{MARKER}mount/*\" {{ capabilities = [\"read\"] }}")});
    vault
        .root("POST", &format!("sys/policies/acl/{MARKER}policy"), policy)
        .expect(204);
    let token = vault.root(
        "POST",
        "auth/token/create",
        json!({"policies": [format!("{MARKER}policy")], "meta": {"m": MARKER}}),
    );
    let token = token.expect(200).body["auth"]["client_token"]
        .as_str()
        .unwrap()
        .to_owned();
    let search = |vault: &Vault, text: &str| -> Vec<String> {
        let files = std::fs::read_dir(vault.data())
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let holds =
            |path: &PathBuf| path.is_file() && find(&std::fs::read(path).unwrap(), text.as_bytes());
        files
            .filter(holds)
            .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
            .collect()
    };
    for _ in 0..2 {
        // Controls: the path is in the audit log, and the seal record is in the database.
        assert_eq!(search(&vault, &format!("{MARKER}dir")), ["audit.log"]);
        assert!(
            search(&vault, "S/seal")
                .iter()
                .any(|name| name.starts_with("vaultd.db"))
        );
        assert!(search(&vault, &format!("{MARKER}value")).is_empty());
        for text in [
            MARKER,
            token.as_str(),
            &token[4..20],
            vault.root.as_str(),
            vault.keys[0].as_str(),
        ] {
            let found = search(&vault, text);
            assert!(found.iter().all(|name| name == "audit.log"), "{found:?}");
        }
        for secret in [token.as_str(), vault.root.as_str(), vault.keys[0].as_str()] {
            assert!(search(&vault, secret).is_empty());
        }
        // Again with everything moved from the log into the database.
        vault.terminate();
    }
}

fn find(hay: &[u8], needle: &[u8]) -> bool {
    hay.windows(needle.len()).any(|window| window == needle)
}
