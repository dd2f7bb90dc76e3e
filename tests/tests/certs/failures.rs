//! What can go wrong on the way to being served: found, taken back, said.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use vault_tests::process::{good, until};
use vault_tests::{Said, Vaultctl};

use crate::server::{Kind, NAME, configure, script};
use crate::site::{Site, names};

/// All files of the certificate with their content.
fn files(site: &Site) -> Vec<(String, Vec<u8>)> {
    let folder = site.path("tls");
    let read = |name: String| (name.clone(), fs::read(folder.join(name)).unwrap());
    names(&folder).into_iter().map(read).collect()
}

/// A renewal that comes to nothing leaves everything as it was, and says why.
#[track_caller]
fn comes_to_nothing(site: &Site, words: &[String], why: &str) -> Said {
    let before = files(site);
    let said = site.run(words);
    assert_eq!(said.code, 4, "{}{}", said.out, said.err);
    assert!(said.err.contains(why), "{}", said.err);
    assert!(
        said.err.contains("the files from before are back"),
        "{}",
        said.err
    );
    assert!(before == files(site), "the files changed");
    assert!(site.record()["unfinished"].is_null());
    said
}

#[test]
fn a_reload_that_says_it_went_well_and_did_not_is_found() {
    let site = Site::new();
    let server = site.serve(Kind::Nginx);
    let words = site.nginx(&server);
    assert_eq!(site.run(&words).code, 0);
    let served = site.client(&server).ask().unwrap();
    // The master refuses this at its reload, and `nginx -s reload` exits 0 all the same.
    fs::write(site.path("broken.conf"), "nonsense;").unwrap();
    let text = fs::read_to_string(site.path("nginx.conf")).unwrap();
    let include = format!("http {{ include {};", site.path("broken.conf").display());
    // `-s` reads the configuration, too: it sees the sound one.
    fs::write(site.path("sound.conf"), &text).unwrap();
    fs::write(site.path("nginx.conf"), text.replace("http {", &include)).unwrap();
    let dir = site.dir.path().display();
    let reload = format!("/usr/sbin/nginx -p {dir} -c {dir}/sound.conf -s reload");
    let words = site.install(
        Kind::Nginx,
        &server,
        &["--reload", &reload, "--probe-seconds", "2"],
    );
    comes_to_nothing(&site, &words, "it serves another certificate");
    assert_eq!(site.client(&server).ask().unwrap(), served);
    let said = site.pki("verify-served shop");
    assert_eq!(said.code, 0, "{}", said.err);
    // Mended, it goes well.
    configure(Kind::Nginx, site.dir.path(), server.port);
    assert_eq!(site.run(&site.nginx(&server)).code, 0);
    assert_ne!(site.client(&server).ask().unwrap(), served);
}

#[test]
fn a_reload_that_fails_or_does_nothing_is_taken_back() {
    let site = Site::new();
    let server = site.serve(Kind::Nginx);
    // What it goes back to is not reloaded, which would take its time.
    let to = site.to(Kind::Nginx);
    site.good(&format!(
        "install web --name {NAME} --as shop {to} --reload true"
    ));
    let install = |how: &[&str]| {
        let limit = ["--probe-seconds", "1"];
        site.install(Kind::Nginx, &server, &[how, &limit].concat())
    };
    comes_to_nothing(&site, &install(&["--reload", "false"]), "false failed");
    comes_to_nothing(
        &site,
        &install(&["--reload", "no-such-program"]),
        "No such file",
    );
    comes_to_nothing(
        &site,
        &install(&["--reload", "true"]),
        "another certificate",
    );
    comes_to_nothing(&site, &install(&[]), "another certificate");
    // Of another port nobody knows anything.
    let port = ["--reload", "true", "--probe", "127.0.0.1:1"];
    comes_to_nothing(&site, &install(&port), "127.0.0.1:1: Connection refused");
    // Somewhere else, in vain; what was there goes on.
    let other = site.path("other").display().to_string();
    let place = format!("--layout separate --to {other} --reload false");
    let said = site.pki(&format!("install web --name {NAME} --as shop {place}"));
    assert_eq!(
        (said.code, names(Path::new(&other))),
        (4, vec![]),
        "{}",
        said.err
    );
    site.good("renew shop");
    let name = ["--server-name", "-"];
    let said = site.run(&install(&name));
    assert!(said.err.contains("no name to ask for"), "{}", said.err);
}

#[test]
fn haproxy_that_does_not_know_the_file_is_taken_back() {
    let site = Site::new();
    let server = site.serve(Kind::Haproxy);
    let socket = site.path("admin.sock").display().to_string();
    let words = site.install(Kind::Haproxy, &server, &["--haproxy-socket", &socket]);
    assert_eq!(site.run(&words).code, 0);
    // HAProxy knows it by another path.
    let link = site.path("link.pem");
    std::os::unix::fs::symlink(site.path("tls/haproxy.pem"), &link).unwrap();
    let (from, to) = (site.to(Kind::Haproxy), link.display().to_string());
    let from = from.rsplit(' ').next().unwrap();
    let mut words: Vec<String> = words.iter().map(|word| word.replace(from, &to)).collect();
    words.push("--force".to_owned());
    comes_to_nothing(&site, &words, "HAProxy does not take the certificate");
}

#[test]
fn a_first_certificate_that_is_not_served_leaves_nothing() {
    let site = Site::new();
    let said = site.pki(&format!(
        "install web --name {NAME} --as shop {} --reload false",
        site.to(Kind::Nginx)
    ));
    assert_eq!(said.code, 4, "{}", said.err);
    assert!(said.err.contains("nothing is now"), "{}", said.err);
    assert_eq!(names(&site.path("tls")), Vec::<String>::new());
}

#[test]
fn a_process_that_is_killed_between_write_and_reload_is_healed_by_the_next() {
    let site = Site::new();
    let server = site.serve(Kind::Nginx);
    let reload = crate::server::nginx_reload(site.dir.path());
    let (hang, mark) = (site.path("hang"), site.path("mark"));
    let text = format!(
        "touch {}; while [ -e {} ]; do sleep 0.05; done; exec {reload}",
        mark.display(),
        hang.display()
    );
    let slow = script(site.path("slow"), &text);
    let words = site.install(Kind::Nginx, &server, &["--reload", &slow]);
    assert_eq!(site.run(&words).code, 0);
    let served = site.client(&server).ask().unwrap();
    fs::remove_file(&mark).unwrap();
    fs::write(&hang, "").unwrap();
    let state = site.path("state").display().to_string();
    let renew = ["pki", "renew", "shop", "--state", &state];
    let mut child = site.vaultctl().command(&renew).spawn().unwrap();
    until(Duration::from_secs(20), || mark.exists().then_some(())).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    // The files are new, nginx serves the old one, and the note says so.
    assert!(!site.record()["unfinished"].is_null());
    assert_eq!(site.client(&server).ask().unwrap(), served);
    let waiting = names(&site.path("tls"));
    assert!(
        waiting.iter().any(|name| name.starts_with('.')),
        "{waiting:?}"
    );
    // Its reload dies with it in the end; it is not what heals.
    fs::remove_file(&hang).unwrap();
    let said = site.pki("renew shop --if-due");
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(
        said.err.contains("goes on where it was interrupted"),
        "{}",
        said.err
    );
    assert_ne!(site.client(&server).ask().unwrap(), served);
    assert_eq!(names(&site.path("tls")), ["fullchain.pem", "privkey.pem"]);
    assert!(site.record()["unfinished"].is_null());
}

#[test]
fn keys_are_not_for_others_from_their_first_byte() {
    let site = Site::new();
    let to = site.to(Kind::Nginx);
    let install =
        |more: &str| site.pki(&format!("install web --name {NAME} --as shop {to} {more}"));
    // Whoever watches sees no moment with another mode.
    let folder = site.path("tls");
    fs::create_dir(&folder).unwrap();
    let watched = folder.clone();
    let watch = thread::spawn(move || {
        let mut seen = Vec::new();
        until(Duration::from_secs(30), || {
            for name in names(&watched) {
                // It may be gone by now.
                let Ok(found) = fs::metadata(watched.join(&name)) else {
                    continue;
                };
                if name.contains("privkey") && found.len() > 0 {
                    seen.push(found.mode() & 0o777);
                }
            }
            watched.join("fullchain.pem").exists().then_some(())
        });
        seen
    });
    let said = install("--mode 0640 --owner :0");
    assert_eq!(said.code, 0, "{}", said.err);
    let seen = watch.join().unwrap();
    assert!(seen.iter().all(|mode| *mode == 0o640), "{seen:?}");
    let mode = |name: &str| fs::metadata(folder.join(name)).unwrap().mode() & 0o777;
    assert_eq!((mode("privkey.pem"), mode("fullchain.pem")), (0o640, 0o644));
    for mode in ["0644", "0660", "0000", "640x"] {
        let said = install(&format!("--mode {mode}"));
        assert_eq!(said.code, 1, "{mode}: {}", said.err);
    }
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
    let said = install("");
    assert!(
        said.code == 1 && said.err.contains("anyone may write"),
        "{}",
        said.err
    );
}

#[test]
fn a_key_of_somebody_else_is_not_replaced_unless_told() {
    let site = Site::new();
    fs::create_dir(site.path("tls")).unwrap();
    fs::write(site.path("tls/privkey.pem"), "mine").unwrap();
    let to = site.to(Kind::Nginx);
    for verb in ["install", "issue"] {
        let words = format!("{verb} web --name {NAME} {to}");
        let said = match verb {
            "install" => site.pki(&words),
            _ => issue(&site, &words),
        };
        assert_eq!(said.code, 1, "{}", said.err);
        assert!(said.err.contains("not of our making"), "{}", said.err);
        assert_eq!(fs::read(site.path("tls/privkey.pem")).unwrap(), b"mine");
    }
    site.good(&format!("install web --name {NAME} --as shop {to} --force"));
    site.good("renew shop");
}

fn issue(site: &Site, words: &str) -> Said {
    let words = format!("pki {words}");
    let words: Vec<&str> = words.split_whitespace().collect();
    site.vaultctl().run(&words, "")
}

#[test]
fn a_key_that_is_made_here_never_leaves_and_revokes_its_certificate() {
    let site = Site::new();
    let to = site.path("own").display().to_string();
    let words = format!("issue web --name {NAME} --ip 127.0.0.1 --layout separate --to {to}");
    let said = issue(&site, &words);
    assert_eq!(said.code, 0, "{}", said.err);
    let words = format!("issue web --name {NAME} --layout separate --to {to} --force");
    assert_eq!(issue(&site, &words).code, 0);
    assert_eq!(
        names(Path::new(&to)),
        ["cert.pem", "chain.pem", "privkey.pem"]
    );
    let key = fs::read_to_string(format!("{to}/privkey.pem")).unwrap();
    let secret: String = key.lines().skip(1).take(1).collect();
    assert!(!site.vault.log().contains(&secret));
    let other = site.path("other.pem").display().to_string();
    good(Command::new("openssl").args(["genpkey", "-algorithm", "ed25519", "-out", &other]));
    let revoke = |key: &str| {
        issue(
            &site,
            &format!("revoke --cert {to}/cert.pem --own-key {key} --yes"),
        )
    };
    let said = revoke(&other);
    assert!(said.err.contains("does not belong"), "{}", said.err);
    let said = revoke(&format!("{to}/privkey.pem"));
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.out.contains("revoked"), "{}", said.out);
    // Without the key it takes a right that this machine does not have.
    let said = issue(&site, &format!("revoke --cert {to}/cert.pem --yes"));
    assert_eq!(said.code, 2, "{}", said.err);
}

#[test]
fn what_is_not_written_is_printed_and_a_key_may_be_of_the_server() {
    let site = Site::new();
    // This role signs keys of elliptic curves alone.
    let said = issue(
        &site,
        &format!("issue web --name {NAME} --key-type rsa2048"),
    );
    assert!(
        said.code == 2 && said.err.contains("keys of type ec"),
        "{}",
        said.err
    );
    for how in [
        "web",
        "web --server-key",
        "any --key-type ec-p384",
        "any --key-type ed25519",
        "any --key-type rsa2048",
    ] {
        let said = issue(&site, &format!("issue {how} --name {NAME} --format json"));
        assert_eq!(said.code, 0, "{}", said.err);
        let shown: serde_json::Value = serde_json::from_str(&said.out).unwrap();
        let (key, chain) = (site.path("key.pem"), site.path("chain.pem"));
        fs::write(&key, shown["private_key"].as_str().unwrap()).unwrap();
        fs::write(&chain, shown["certificate"].as_str().unwrap()).unwrap();
        crate::server::openssl_verifies(&site.path("root.pem"), &chain);
        let public = |words: &[&str], path: &Path| {
            good(Command::new("openssl").args(words).arg(path).arg("-pubout"))
        };
        let own = public(&["pkey", "-in"], &key);
        let mut of = Command::new("openssl");
        let of = good(of.args(["x509", "-noout", "-pubkey", "-in"]).arg(&chain));
        assert_eq!(own, of);
    }
    let said = issue(&site, &format!("issue web --name {NAME} --layout nginx"));
    assert!(said.code == 1 && said.err.contains("--to"), "{}", said.err);
}

#[test]
fn a_server_that_is_away_leaves_what_is_there() {
    let site = Site::new();
    let server = site.serve(Kind::Nginx);
    assert_eq!(site.run(&site.nginx(&server)).code, 0);
    let before = files(&site);
    let away = Vaultctl::new(site.dir.path(), "http://127.0.0.1:1").env("VAULT_TOKEN", "x");
    let state = site.path("state").display().to_string();
    let said = away.run(&["pki", "renew", "shop", "--state", &state], "");
    assert_eq!(said.code, 2, "{}", said.err);
    assert!(before == files(&site));
    assert!(
        site.record()["failure"]["what"]
            .as_str()
            .unwrap()
            .contains("cannot connect")
    );
    site.vault
        .root("PUT", "sys/seal", serde_json::Value::Null)
        .expect(204);
    let said = site.pki("renew shop");
    assert!(
        said.code == 2 && said.err.contains("sealed"),
        "{}",
        said.err
    );
    assert!(before == files(&site));
    site.vault.unseal();
    site.good("renew shop");
    assert!(before != files(&site));
}
