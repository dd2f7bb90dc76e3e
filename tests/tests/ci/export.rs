//! Secrets on their way into shells, files and other programs: `export`, `inject`, `render`, `check`.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use vault_tests::process::{finish, good};

use crate::job::Job;

const ODD: &str = "a 'b' \"c\" $HOME `x` \\n %25\nsecond: line\n";

fn job() -> Job {
    let job = Job::new();
    job.put("app", json!({"ODD": ODD, "PLAIN": "word", "n": 7}));
    job
}

fn export(job: &Job, form: &str) -> Command {
    job.vaultctl(&["export", "-s", "kv/app", "--only", "ODD,PLAIN", "-o", form])
}

#[test]
fn every_form_is_read_back_by_those_it_is_for() {
    let job = job();
    let script = "import os, sys; sys.stdout.write(os.environ['ODD'] + os.environ['PLAIN'])";
    let expected = format!("{ODD}word");

    let exported = job.file("exported", &good(&mut export(&job, "env")));
    let line = format!(". {exported} && exec python3 -c \"{script}\"");
    let mut shell = Command::new("sh");
    assert_eq!(
        good(
            shell
                .env_clear()
                .args(["-c", &line])
                .env("PATH", "/usr/bin:/bin")
        ),
        expected
    );

    let dotenv = job.file("dotenv", &good(&mut export(&job, "dotenv")));
    let words = ["run", "--env-file", &dotenv, "--", "python3", "-c", script];
    assert_eq!(good(&mut job.vaultctl(&words)), expected);

    let tree: Value = serde_json::from_str(&good(&mut export(&job, "json"))).unwrap();
    assert_eq!(tree, json!({"ODD": ODD, "PLAIN": "word"}));
    let yaml = good(&mut export(&job, "yaml"));
    let quoted = serde_json::to_string(ODD).unwrap();
    assert_eq!(yaml, format!("ODD: {quoted}\nPLAIN: \"word\"\n"));
}

/// Reads the file as the runner does: `NAME<<END`, lines, `END`.
fn github_environment(text: &str) -> Vec<(String, String)> {
    let mut lines = text.lines();
    let mut found = Vec::new();
    while let Some(line) = lines.next() {
        let (name, end) = line.split_once("<<").unwrap();
        let value: Vec<&str> = lines.by_ref().take_while(|line| *line != end).collect();
        found.push((name.to_owned(), value.join("\n")));
    }
    found
}

#[test]
fn github_gets_variables_that_no_value_can_end_and_masks_for_every_line() {
    let job = job();
    let evil = "x\nghadelimiter_\nPATH<<E\n/evil\nE";
    job.put("app", json!({"ODD": ODD, "PLAIN": evil}));
    let file = job.file("github-env", "");
    let out = good(export(&job, "github").env("GITHUB_ENV", &file));
    let masked: Vec<&str> = out
        .lines()
        .filter_map(|l| l.strip_prefix("::add-mask::"))
        .collect();
    assert_eq!(masked.len(), out.lines().count(), "{out}");
    for line in ["second: line", "/evil", "a 'b' \"c\" $HOME `x` \\n %2525"] {
        assert!(masked.contains(&line), "{out}");
    }
    let text = std::fs::read_to_string(&file).unwrap();
    let expected = [("ODD", ODD), ("PLAIN", evil)].map(|(k, v)| (k.to_owned(), v.to_owned()));
    assert_eq!(github_environment(&text), expected);
    let ends: Vec<&str> = text
        .lines()
        .filter(|line| line.contains("<<ghadelimiter_"))
        .collect();
    let end = |line: &str| line.split("<<").nth(1).unwrap().to_owned();
    assert_ne!(end(ends[0]), end(ends[1]));

    let (code, out, err) = finish(&mut export(&job, "github"));
    assert!(
        code == 1 && out.is_empty() && err.contains("GITHUB_ENV"),
        "{err}"
    );
    job.put("app", json!({"ODD": "x", "PLAIN": "y", "LD_PRELOAD": "z"}));
    let words = ["export", "-s", "kv/app", "-o", "github"];
    let (code, out, err) = finish(job.vaultctl(&words).env("GITHUB_ENV", &file));
    assert!(
        code == 1 && out.is_empty() && err.contains("LD_PRELOAD"),
        "{err}"
    );
}

/// A stand-in for systemd's, which has to be root: it says how it was called, and what it got.
#[test]
fn systemd_gets_credentials_under_their_names() {
    let job = job();
    let bin = job.home.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    let tool = bin.join("systemd-creds");
    let script = "#!/bin/sh\n[ \"$1 $2 $3 $5 $6\" = 'encrypt --pretty --name - -' ] || exit 1\n\
        echo \"SetCredentialEncrypted=$4: $(base64 -w0)\"\n";
    std::fs::write(&tool, script).unwrap();
    std::fs::set_permissions(&tool, PermissionsExt::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", bin.display());
    let lines = good(export(&job, "systemd-creds").env("PATH", &path));
    assert!(lines.starts_with("SetCredentialEncrypted=ODD: "), "{lines}");
    assert!(
        lines.ends_with("SetCredentialEncrypted=PLAIN: d29yZA==\n"),
        "{lines}"
    );

    std::fs::write(&tool, "#!/bin/sh\nexit 1\n").unwrap();
    let (code, out, err) = finish(export(&job, "systemd-creds").env("PATH", &path));
    assert!(
        code == 1 && out.is_empty() && err.contains("ODD") && !err.contains("HOME"),
        "{err}"
    );
}

#[test]
fn a_template_is_filled_in_one_step_or_left_alone() {
    let job = job();
    let template = job.file(
        "conf.tmpl",
        "key={{ kv/app#PLAIN }}\nother={{ .Values.x }} n={{kv/app#n}}\n",
    );
    let filled = "key=word\nother={{ .Values.x }} n=7\n";
    assert_eq!(good(&mut job.vaultctl(&["inject", &template])), filled);
    let out = job.file("conf", "before");
    good(&mut job.vaultctl(&["inject", &template, "--out", &out, "--mode", "0640"]));
    assert_eq!(std::fs::read_to_string(&out).unwrap(), filled);
    assert_eq!(
        std::fs::metadata(&out).unwrap().permissions().mode() & 0o777,
        0o640
    );

    let broken = job.file(
        "broken.tmpl",
        "{{ kv/app#PLAIN }} {{ kv/none#x }} {{ kv/nada#y }}",
    );
    let (code, _, err) = finish(&mut job.vaultctl(&["inject", &broken, "--out", &out]));
    assert!(
        code != 0 && err.contains("kv/none") && err.contains("kv/nada"),
        "{err}"
    );
    assert!(!err.contains("word"), "{err}");
    assert_eq!(std::fs::read_to_string(&out).unwrap(), filled);
}

fn own_ids() -> (u32, u32) {
    use rustix::process::{getgid, getuid};
    (getuid().as_raw(), getgid().as_raw())
}

/// Two files below `out`; the second with this command to reload.
fn manifest(job: &Job, reload: &str) -> String {
    job.file("app.tmpl", "password={{ kv/app#PLAIN }}\n");
    let (user, group) = own_ids();
    let text = format!(
        "[[file]]\npath = \"out/key\"\nvalue = \"kv/app#ODD\"\nmode = \"0440\"\nowner = \"{user}:{group}\"\n\
         [[file]]\npath = \"out/conf\"\ntemplate = \"app.tmpl\"\nreload = {reload}\n"
    );
    job.file("vault.toml", &text)
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap().flatten();
    let mut names: Vec<_> = entries
        .map(|e| e.file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn files_are_rendered_all_or_none_and_reloaded_when_they_changed() {
    let job = job();
    let out = job.home.path().join("out");
    std::fs::create_dir(&out).unwrap();
    manifest(&job, r#"["sh", "-c", "cat out/conf >> seen"]"#);
    let render = || finish(&mut job.vaultctl(&["render"]));
    let (code, _, err) = render();
    assert_eq!(code, 0, "{err}");
    let key = std::fs::metadata(out.join("key")).unwrap();
    let (user, group) = own_ids();
    assert_eq!(
        (key.permissions().mode() & 0o777, key.uid(), key.gid()),
        (0o440, user, group)
    );
    assert_eq!(std::fs::read_to_string(out.join("key")).unwrap(), ODD);
    let seen = || std::fs::read_to_string(job.home.path().join("seen")).unwrap();
    assert_eq!(seen(), "password=word\n");
    // Nothing changed: nothing is written, nobody is told.
    assert_eq!(render().0, 0);
    assert_eq!(seen(), "password=word\n");
    job.put("app", json!({"ODD": "new", "PLAIN": "newer"}));
    assert_eq!(render().0, 0);
    assert_eq!(seen(), "password=word\npassword=newer\n");

    // The second cannot be written, so the first is as it was; then what would use them refuses.
    job.put("app", json!({"ODD": "newest", "PLAIN": "newest"}));
    let before = || std::fs::read_to_string(out.join("key")).unwrap();
    std::fs::rename(out.join("conf"), out.join("kept")).unwrap();
    std::fs::create_dir(out.join("conf")).unwrap();
    let (code, _, err) = render();
    assert_eq!((code, before().as_str()), (1, "new"), "{err}");
    std::fs::remove_dir(out.join("conf")).unwrap();
    std::fs::rename(out.join("kept"), out.join("conf")).unwrap();
    manifest(&job, r#"["sh", "-c", "grep -q newer out/conf"]"#);
    let (code, _, err) = render();
    assert_eq!((code, before().as_str()), (1, "new"), "{err}");
    assert_eq!(
        std::fs::read_to_string(out.join("conf")).unwrap(),
        "password=newer\n"
    );
    assert_eq!(names(&out), ["conf", "key"]);
    assert!(!err.contains("newest"), "{err}");
}

#[test]
fn a_check_reads_nothing_and_names_what_may_not_be_read() {
    let job = Job::with(vault_tests::Options::plain());
    let body = json!({"type": "kv", "options": {"version": "2"}});
    job.vault.root("POST", "sys/mounts/other", body).expect(204);
    job.put("app", json!({"a": "word"}));
    let before = job.vault.audit().len();
    let template = job.file("t", "{{ kv/deep/er#x }}");
    let words = ["check", "-s", "kv/app", "--template", &template];
    assert_eq!(
        good(&mut job.vaultctl(&words)),
        "ok  kv/app\nok  kv/deep/er\n"
    );
    let words = ["check", "-s", "kv/app", "-s", "other/app#key"];
    let (code, out, _) = finish(&mut job.vaultctl(&words));
    assert_eq!(code, 2);
    assert!(out.starts_with("ok  kv/app\nNO  other/app: "), "{out}");
    let read = |line: &Value| {
        let path = line["request"]["path"].as_str().unwrap_or_default();
        path.starts_with("kv/data") || path.starts_with("sys/batch")
    };
    assert!(!job.vault.audit()[before..].iter().any(read));
}
