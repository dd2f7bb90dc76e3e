//! Every forge: a rotation from beginning to end, and what else their APIs do.

use serde_json::{Value, json};
use vault_tests::forge::{Dialect, Forge};

use crate::site::{Clone, Site};

#[test]
fn a_rotation_at_every_forge() {
    let site = Site::new();
    for dialect in Dialect::ALL {
        let repository = match dialect {
            Dialect::Gitlab => "group/sub/app",
            _ => "team/app",
        };
        let forge = Forge::start(dialect, &[repository, "team/other"]);
        let (name, clone) = (dialect.name(), Clone::of(&forge, repository));
        site.know(&forge);
        site.deploy_key(name, &forge, repository);
        site.ready(name, 1);
        let (old, _) = site.creds(name);
        clone.pulls(&old);
        Clone::of(&forge, "team/other")
            .pull(&old)
            .status
            .success()
            .then(|| panic!("too much"));

        site.write(&format!("keys/{name}/rotate"), json!({}));
        site.until(name, |s| s["rotation"]["stage"] == "draining");
        // Both are good until every reader has the new one.
        assert_eq!(forge.keys(repository).len(), 2);
        clone.pulls(&old);
        let (new, version) = site.creds(name);
        assert_eq!(version, 2);
        clone.pulls(&new);
        site.ready(name, 2);
        let left = forge.keys(repository);
        assert_eq!(left.len(), 1);
        assert!(
            left[0].read_only && left[0].title.starts_with(name),
            "{left:?}"
        );
        clone.is_refused(&old);
        clone.pulls(&new);
        println!("{name}: rotated");
    }
}

#[test]
fn a_key_that_is_there_already_is_no_error_and_one_in_another_repository_is() {
    let (site, forge) = (
        Site::new(),
        Forge::start(Dialect::Github, &["a/one", "a/two"]),
    );
    site.know(&forge);
    site.write("keys/k", json!({}));
    let public = site.read("public/k")["public_key"]
        .as_str()
        .unwrap()
        .to_owned();
    forge.add_by_hand("a/one", &public, true);
    let target = |repository: &str| json!({"forge": "github", "repository": repository});
    site.write("keys/k/targets/one", target("a/one"));
    site.ready("k", 1);
    assert_eq!(forge.keys("a/one").len(), 1);

    site.write("keys/k/targets/two", target("a/two"));
    let status = site.until("k", |s| s["state"] == "failing");
    let failure = &status["targets"]["two"]["versions"]["1"]["failure"];
    assert!(
        failure["cause"].as_str().unwrap().contains("422"),
        "{failure}"
    );
    let hint = failure["what_to_do"].as_str().unwrap();
    assert!(hint.contains("a key for each repository"), "{hint}");
    assert_eq!(status["targets"]["two"]["versions"]["1"]["step"], "publish");
}

/// More keys than fit on a page of any forge.
#[test]
fn a_key_on_the_third_page_is_found() {
    let (site, forge) = (Site::new(), Forge::start(Dialect::Gitea, &["a/one"]));
    site.know(&forge);
    site.write("keys/k", json!({}));
    for number in 0..120 {
        let name = format!("keys/other{}", number % 4);
        if number < 4 {
            site.write(&name, json!({}));
        }
        let public = site.read(&format!("public/other{}", number % 4));
        let public = public["public_key"].as_str().unwrap().to_owned();
        forge.add_by_hand("a/one", &public, true);
    }
    let public = site.read("public/k")["public_key"]
        .as_str()
        .unwrap()
        .to_owned();
    forge.add_by_hand("a/one", &public, true);
    let target = json!({"forge": "gitea", "repository": "a/one"});
    site.write("keys/k/targets/one", target);
    site.ready("k", 1);
    assert_eq!(forge.keys("a/one").len(), 121);
}

#[test]
fn an_app_of_github_gives_tokens_for_one_repository() {
    let (site, forge) = (
        Site::new(),
        Forge::start(Dialect::Github, &["a/one", "a/two"]),
    );
    let random = vault_crypto::System;
    let key = vault_ssh::PrivateKey::generate(vault_ssh::KeyKind::Rsa2048, &random).unwrap();
    forge.install_app(key.public().clone());
    let mut config = forge.config();
    config["token"] = Value::Null;
    config["app_id"] = json!(4711);
    config["installation_id"] = json!(77);
    config["private_key"] = json!(*key.to_pem().unwrap());
    let shown = site.write("forges/github", config);
    assert_eq!(shown["credential"]["kind"], "app");
    assert!(!shown.to_string().contains("PRIVATE"));
    site.pin(&forge.host(), &forge.sshd.site.host_key);
    site.deploy_key("k", &forge, "a/one");
    site.ready("k", 1);
    site.write("keys/k/rotate", json!({}));
    site.ready("k", 2);
    let asked = forge.web.asked();
    let granted = asked
        .iter()
        .filter(|asked| asked.target.contains("access_tokens"));
    for one in granted {
        let body = one.json();
        assert_eq!(body["repositories"], json!(["one"]));
        assert_eq!(body["permissions"], json!({"administration": "write"}));
    }

    let body = json!({"repository": "a/two", "permissions": {"contents": "read"}});
    let token = site.write("forges/github/token", body);
    assert!(
        token["token"].as_str().unwrap().starts_with("ghs_"),
        "{token}"
    );
    for (body, word) in [
        (json!({"repository": "a/none"}), "installed"),
        (
            json!({"repository": "a/one", "permissions": {"administration": "write"}}),
            "permissions",
        ),
        (json!({"repository": "one"}), "OWNER/NAME"),
    ] {
        let refused = site.vault.root("POST", "sshkeys/forges/github/token", body);
        let refused = refused.expect(400);
        assert!(refused.errors().contains(word), "{}", refused.errors());
    }
}

#[test]
fn credentials_of_forges_are_never_read_back() {
    let site = Site::new();
    let forge = json!({"type": "gitlab", "token": "glpat-hunter2\n"});
    let written = site.write("forges/lab", forge);
    let read = site.read("forges/lab");
    assert!(!format!("{written}{read}").contains("hunter2"));
    assert_eq!(read["url"], "https://gitlab.com/api/v4");
    assert_eq!(read["ssh_host"], "gitlab.com");
    // Who may write it, but has not the token, cannot have it sent elsewhere.
    let other = Forge::start(Dialect::Gitea, &["a/one"]);
    for body in [
        json!({"url": "https://git.example.com"}),
        json!({"ca_cert": other.web.ca_pem}),
    ] {
        let answer = site.vault.root("POST", "sshkeys/forges/lab", body);
        let errors = answer.expect(400).errors();
        assert!(errors.contains("needed again"), "{errors}");
    }
    site.write("forges/lab", json!({"ssh_port": 2222}));
    let moved = json!({"url": "https://git.example.com", "token": "glpat-other"});
    site.write("forges/lab", moved);
    let mut odd = vec![
        json!({"type": "gitea", "token": "x"}),
        json!({"type": "gitlab"}),
        json!({"type": "svn", "token": "x"}),
        json!({"type": "gitlab", "token": "a b"}),
        json!({"type": "gitlab", "token": "x", "url": "http://git.example.com"}),
        json!({"type": "gitlab", "token": "x", "ssh_host": "-oProxyCommand=id"}),
        json!({"type": "gitlab", "token": "x", "ssh_user": "git -oX"}),
        json!({"type": "gitlab", "token": "x", "ssh_port": 0}),
    ];
    odd.push(json!({"type": "gitlab", "app_id": 1, "installation_id": 2, "private_key": "x"}));
    for body in odd {
        let answer = site.vault.root("POST", "sshkeys/forges/odd", body.clone());
        assert_eq!(answer.status, 400, "{body}: {}", answer.text);
    }
}
