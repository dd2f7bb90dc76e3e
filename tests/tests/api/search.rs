//! `sys/search`: finds what the caller could find by listing, and nothing else.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use vault_tests::{Answer, Vault};

use crate::setup::{quick, token_with};

fn prepared() -> Vault {
    let vault = quick();
    for (mount, options) in [("old", json!({})), ("kv", json!({"version": "2"}))] {
        let body = json!({"type": "kv", "options": options});
        vault
            .root("POST", &format!("sys/mounts/{mount}"), body)
            .expect(204);
    }
    for path in [
        "app/db",
        "app/web/tls",
        "app-x/key",
        "team/a/db",
        "team/b/db",
        "top",
    ] {
        vault
            .root(
                "POST",
                &format!("kv/data/{path}"),
                json!({"data": {"v": "hunter2"}}),
            )
            .expect(200);
        vault
            .root("POST", &format!("old/{path}"), json!({"v": "hunter2"}))
            .expect(204);
    }
    vault
}

fn search(vault: &Vault, token: &str, query: &str) -> Answer {
    let answer = vault
        .call("GET", &format!("sys/search?{query}"), Some(token), None)
        .expect(200);
    assert!(!answer.text.contains("hunter2"));
    answer
}

fn keys(answer: &Answer) -> Vec<String> {
    let keys = answer.data()["keys"].as_array().unwrap().iter();
    keys.map(|key| key.as_str().unwrap().to_owned()).collect()
}

#[test]
fn names_are_found_below_all_folders_by_prefix_part_and_glob() {
    let vault = prepared();
    let found = |query: &str| keys(&search(&vault, &vault.root, query));
    let all = found("");
    assert_eq!(all.len(), 12);
    assert!(all.is_sorted());
    assert_eq!(
        found("mount=kv&contains=DB"),
        ["kv/app/db", "kv/team/a/db", "kv/team/b/db"]
    );
    assert_eq!(found("prefix=kv/app/"), ["kv/app/db", "kv/app/web/tls"]);
    assert_eq!(
        found("prefix=kv/app"),
        ["kv/app-x/key", "kv/app/db", "kv/app/web/tls"]
    );
    assert_eq!(
        found("glob=*/team/?/db"),
        [
            "kv/team/a/db",
            "kv/team/b/db",
            "old/team/a/db",
            "old/team/b/db"
        ]
    );
    assert_eq!(found("contains=nothing"), Vec::<String>::new());
    let detailed = search(&vault, &vault.root, "prefix=kv/top&detailed=true");
    assert_eq!(detailed.data()["key_info"]["kv/top"]["current_version"], 1);
    for bad in ["limit=-1", "limit=x", "detailed=maybe"] {
        vault
            .call("GET", &format!("sys/search?{bad}"), Some(&vault.root), None)
            .expect(400);
    }
}

#[test]
fn pages_of_any_size_join_to_the_whole() {
    let vault = prepared();
    let all = keys(&search(&vault, &vault.root, ""));
    for limit in 1..=5 {
        let (mut joined, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = search(
                &vault,
                &vault.root,
                &format!("limit={limit}&cursor={cursor}"),
            );
            assert!(keys(&page).len() <= limit);
            joined.extend(keys(&page));
            cursor = page.data()["cursor"].as_str().unwrap().to_owned();
            if cursor.is_empty() {
                break;
            }
        }
        assert_eq!(joined, all, "pages of {limit}");
    }
}

/// What a client finds that lists folder by folder.
fn by_hand(vault: &Vault, token: &str, starts: &[&str]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut folders: Vec<String> = starts.iter().map(|start| (*start).to_owned()).collect();
    while let Some(folder) = folders.pop() {
        let listed = vault.call("LIST", &folder, Some(token), None);
        for key in listed.data()["keys"].as_array().into_iter().flatten() {
            let path = format!("{folder}{}", key.as_str().unwrap());
            match path.ends_with('/') {
                true => folders.push(path),
                false => drop(found.insert(path.replacen("kv/metadata/", "kv/", 1))),
            }
        }
    }
    found
}

#[test]
fn a_caller_finds_what_it_could_list_and_no_more() {
    let vault = prepared();
    let cases = [
        ("", &[][..]),
        (r#"path "kv/data/*" { capabilities = ["read"] }"#, &[]),
        (
            r#"path "kv/metadata/*" { capabilities = ["list"] }"#,
            &["kv/metadata/"],
        ),
        (
            r#"path "kv/metadata/team/*" { capabilities = ["list"] }"#,
            &["kv/metadata/team/"],
        ),
        (
            r#"path "kv/metadata/team/a" { capabilities = ["list"] }"#,
            &["kv/metadata/team/a/"],
        ),
        (
            r#"path "kv/metadata/+/a/" { capabilities = ["list"] }"#,
            &[],
        ),
        (
            "path \"kv/metadata/*\" { capabilities = [\"list\"] }\npath \"kv/metadata/team/*\" { capabilities = [\"deny\"] }\npath \"kv/metadata/team/b/\" { capabilities = [\"list\"] }",
            &["kv/metadata/", "kv/metadata/team/b/"],
        ),
        (
            r#"path "old/app/*" { capabilities = ["list"] }"#,
            &["old/app/"],
        ),
    ];
    for (i, (rules, starts)) in cases.into_iter().enumerate() {
        let rules = if rules.is_empty() {
            r#"path "x" { capabilities = ["read"] }"#
        } else {
            rules
        };
        let app = token_with(&vault, &format!("p{i}"), rules);
        let answer = search(&vault, &app, "detailed=true");
        let found: BTreeSet<String> = keys(&answer).into_iter().collect();
        assert_eq!(found, by_hand(&vault, &app, starts), "{rules}");
        // None of them may read metadata.
        assert_eq!(answer.data()["key_info"], json!({}), "{rules}");
    }
    let none: Value = json!(null);
    vault.root("PUT", "sys/seal", none).expect(204);
    vault
        .call("GET", "sys/search", Some(&vault.root), None)
        .expect(503);
}
