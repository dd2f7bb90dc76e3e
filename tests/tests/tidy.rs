//! The tree keeps its shape: layers, lengths, words, and what the documents promise.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use vaultd::config::{Config, TlsConfig};
use vaultd::policy::{Policy, PolicyName};

/// Lines of a file without its tests, at most.
const LINES_MAX: usize = 400;

/// Files that are longer. The numbers may only become smaller.
const LONGER: &[(&str, usize)] = &[("vaultd/src/barrier/storage/conformance.rs", 513)];

/// What each layer of `vaultd/src` may use. Arrows point down; `VOCABULARY` is shared.
const LAYERS: &[(&str, &[&str])] = &[
    ("http", &["core", "engine"]),
    ("core", &["audit", "auth", "barrier", "engine", "outbound"]),
    ("auth", &["barrier", "jose", "outbound"]),
    ("engine", &["barrier", "jose", "outbound"]),
    ("audit", &[]),
    ("barrier", &[]),
    ("jose", &[]),
    ("outbound", &[]),
];

/// What engines and methods share with `core`: the types of a request and its answer, no deeds.
const VOCABULARY: &[&str] = &[
    "aside", "beside", "body", "context", "fault", "glob", "login", "name", "reply", "request",
    "route", "errand", "slow",
];

/// Names that say nothing about what a file does.
const EMPTY_NAMES: &[&str] = &[
    "backend", "common", "handler", "helpers", "logical", "manager", "misc", "util", "utils",
];

/// Folders whose every source file says what it promises.
const WITH_HEADERS: &[&str] = &[
    "vaultd/src",
    "vaultd/crypto/src",
    "vaultd/audit/src",
    "vaultd/policy/src",
    "vaultd/ssh/src",
    "vaultd/x509/src",
    "vaultctl/src",
    "sdk/src",
    "proto/src",
];

const TOP: &[&str] = &[
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "SECURITY.md",
    "deploy",
    "proto",
    "sdk",
    "tests",
    "vaultctl",
    "vaultd",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every file below `dir` but hidden ones and build output, relative to the root, sorted.
fn files(dir: &str) -> Vec<String> {
    fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            match entry.file_type().unwrap() {
                _ if name.starts_with('.') && name != ".ci"
                    || name == "target"
                    || name == "__pycache__" => {}
                kind if kind.is_dir() => walk(&entry.path(), found),
                _ => found.push(entry.path()),
            }
        }
    }
    let root = root();
    let mut found = Vec::new();
    walk(&root.join(dir), &mut found);
    let mut names: Vec<String> = found
        .iter()
        .map(|path| {
            path.strip_prefix(&root)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    names.sort();
    assert!(!names.is_empty(), "no files in {dir}");
    names
}

fn sources(dir: &str) -> Vec<String> {
    files(dir)
        .into_iter()
        .filter(|path| path.ends_with(".rs"))
        .collect()
}

fn is_test(path: &str) -> bool {
    path.split('/')
        .any(|part| matches!(part, "tests" | "tests.rs" | "benches"))
}

/// A source without the tests at its end.
fn without_tests(text: &str) -> &str {
    let begins_a_module = |rest: &str| {
        let brace = rest.find('{').unwrap_or(rest.len());
        rest[..brace].contains("\nmod ") && !rest[..brace].contains(';')
    };
    let tests = text
        .match_indices("\n#[cfg(test)]\n")
        .find(|(at, _)| begins_a_module(&text[*at..]));
    tests.map_or(text, |(at, _)| &text[..=at])
}

/// The modules that `text` takes from its own crate, as `core` or `core::fault`.
fn uses(text: &str) -> Vec<String> {
    let code = text
        .lines()
        .map(|line| line.split("//").next().unwrap())
        .collect::<Vec<_>>()
        .join("\n");
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    code.split("crate::")
        .skip(1)
        .map(|rest| rest.split(|c| !is_name(c)).next().unwrap().to_owned())
        .collect()
}

/// Why `layer` may not use `module`, if so.
fn forbidden(layer: &str, module: &str) -> bool {
    let (_, below) = LAYERS.iter().find(|(name, _)| *name == layer).unwrap();
    let mut parts = module.split("::");
    let (first, second) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
    let is_layer = LAYERS.iter().any(|(name, _)| *name == first);
    let shares_words =
        matches!(layer, "auth" | "engine") && first == "core" && VOCABULARY.contains(&second);
    is_layer && first != layer && !below.contains(&first) && !shares_words
}

#[test]
fn arrows_between_layers_point_down() {
    assert!(
        forbidden("core", "http::respond")
            && forbidden("engine", "core::pipeline")
            && forbidden("barrier", "core::fault")
    );
    assert!(
        !forbidden("engine", "core::fault::Fault")
            && !forbidden("http", "core::Core")
            && !forbidden("core", "memory")
    );
    let mut wrong = Vec::new();
    for (layer, _) in LAYERS {
        for path in sources(&format!("vaultd/src/{layer}"))
            .iter()
            .filter(|path| !is_test(path))
        {
            let text = read(path);
            let up = uses(without_tests(&text))
                .into_iter()
                .filter(|module| forbidden(layer, module));
            wrong.extend(up.map(|module| format!("{path} uses {module}")));
        }
    }
    assert!(wrong.is_empty(), "these arrows point up: {wrong:#?}");
}

#[test]
fn files_stay_short() {
    let mut wrong = Vec::new();
    for path in ["vaultd", "vaultctl", "sdk", "proto", "tests"]
        .iter()
        .flat_map(|dir| sources(dir))
    {
        let lines = without_tests(&read(&path)).lines().count();
        match LONGER.iter().find(|(longer, _)| *longer == path) {
            Some(_) if lines <= LINES_MAX => {
                wrong.push(format!("{path} is short now: take it off the list"))
            }
            Some((_, max)) if lines <= *max => {}
            None if lines <= LINES_MAX || is_test(&path) => {}
            _ => wrong.push(format!(
                "{path} has {lines} lines: split it by what it is about"
            )),
        }
    }
    for (path, _) in LONGER {
        assert!(
            root().join(path).exists(),
            "{path} is gone: take it off the list"
        );
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn nothing_unfinished_and_no_path_of_a_machine_is_left() {
    let banned = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X:"),
        concat!("db", "g!("),
        concat!("to", "do!("),
        concat!("unimple", "mented!("),
        concat!("#[ig", "nore]"),
        concat!("/wo", "rk/"),
        concat!("/ro", "ot/"),
        concat!("/ho", "me/"),
        concat!("/tmp/", "bash"),
    ];
    // A path of the API may end like the beginning of one of a machine.
    let has = |line: &str, word: &str| {
        line.match_indices(word).any(|(at, _)| {
            !word.starts_with('/') || !line[..at].ends_with(|c: char| c.is_ascii_alphanumeric())
        })
    };
    let mut wrong = Vec::new();
    for path in files("")
        .iter()
        .filter(|path| path.as_str() != "Cargo.lock" && path.as_str() != "LICENSE")
    {
        // Binary files have no words.
        let Ok(text) = fs::read_to_string(root().join(path)) else {
            continue;
        };
        for (number, line) in (1..).zip(text.lines()) {
            wrong.extend(
                banned
                    .iter()
                    .filter(|word| has(line, word))
                    .map(|word| format!("{path}:{number}: {word}")),
            );
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn files_are_named_after_what_they_do() {
    let named_so = |path: &String| {
        path.split('/')
            .any(|part| EMPTY_NAMES.contains(&part.trim_end_matches(".rs")))
    };
    let wrong: Vec<String> = files("").into_iter().filter(named_so).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_source_says_what_it_is_for() {
    let silent = |path: &String| !is_test(path) && !read(path).starts_with("//!");
    let wrong: Vec<String> = WITH_HEADERS
        .iter()
        .flat_map(|dir| sources(dir))
        .filter(silent)
        .collect();
    assert!(wrong.is_empty(), "no `//!` at the top of {wrong:#?}");
}

#[test]
fn unsafe_is_confined_to_one_file() {
    let word = concat!("un", "safe ");
    let is_code = |line: &&str| !line.trim_start().starts_with("//");
    let uses_it = |path: &String| {
        read(path)
            .lines()
            .filter(is_code)
            .any(|line| line.contains(word))
    };
    let with: Vec<String> = sources("").into_iter().filter(uses_it).collect();
    assert_eq!(with, ["vaultd/src/memory.rs"]);
}

#[test]
fn the_top_level_is_what_the_readme_maps() {
    let present: BTreeSet<String> = fs::read_dir(root())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.starts_with('.') && name != "target")
        .collect();
    let wanted: BTreeSet<String> = TOP.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(present, wanted);
}

/// The text below a heading, up to the next of its kind.
fn section<'a>(text: &'a str, heading: &str) -> &'a str {
    let (_, rest) = text
        .split_once(&format!("\n{heading}\n"))
        .unwrap_or_else(|| panic!("no heading {heading}"));
    rest.split("\n## ").next().unwrap()
}

/// What stands between fences.
fn fenced(text: &str) -> Vec<&str> {
    let inside = text.split("\n```").skip(1).step_by(2);
    inside
        .map(|block| block.split_once('\n').map_or("", |(_, body)| body))
        .collect()
}

#[test]
fn the_readme_has_one_command_to_run_and_one_to_test() {
    let readme = read("README.md");
    for heading in ["## Run it", "## Test it"] {
        let blocks = fenced(section(&readme, heading));
        assert_eq!(blocks.len(), 1, "{heading}: one fenced block");
        let lines: Vec<&str> = blocks[0].lines().collect();
        assert_eq!(lines.len(), 1, "{heading}: one command");
        let program = root().join(lines[0].split(' ').next().unwrap());
        let mode = fs::metadata(&program)
            .unwrap_or_else(|error| panic!("{}: {error}", program.display()))
            .permissions()
            .mode();
        assert_eq!(
            mode & 0o111,
            0o111,
            "{} is not executable",
            program.display()
        );
    }
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut wrong = Vec::new();
    for path in files("").iter().filter(|path| path.ends_with(".md")) {
        let text = read(path);
        let dir = Path::new(path).parent().unwrap();
        for target in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split_once(')'))
            .map(|(target, _)| target)
        {
            let file = target.split('#').next().unwrap();
            if !target.contains("://") && !file.is_empty() && !root().join(dir).join(file).exists()
            {
                wrong.push(format!("{path}: {target}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The keys of the config file, from the structs that it is read into.
fn config_keys() -> Vec<String> {
    let text = read("vaultd/src/config/native.rs");
    let structs = text
        .split("#[serde(deny_unknown_fields)]")
        .skip(1)
        .map(|rest| rest.split("\n}").next().unwrap());
    let field = |line: &str| -> Option<String> {
        let (name, _) = line.strip_prefix("    ")?.split_once(": ")?;
        let name = name.trim_start_matches("r#");
        name.chars()
            .all(|c| c.is_ascii_lowercase() || c == '_' || c.is_ascii_digit())
            .then(|| name.to_owned())
    };
    let keys: Vec<String> = structs
        .flat_map(|body| body.lines().filter_map(field).collect::<Vec<_>>())
        .collect();
    assert!(
        keys.len() >= 20,
        "the structs of the config file are written another way now"
    );
    keys
}

#[test]
fn every_config_key_is_documented_with_its_default() {
    let text = read("deploy/vaultd.toml");
    let documents = |line: &str, key: &str| {
        let line = line.trim_start_matches("# ");
        line.starts_with(&format!("{key} = "))
            || line == format!("[{key}]")
            || line == format!("[[{key}]]")
    };
    let missing: Vec<String> = config_keys()
        .into_iter()
        .filter(|key| !text.lines().any(|line| documents(line, key)))
        .collect();
    assert!(missing.is_empty(), "not in deploy/vaultd.toml: {missing:?}");

    let is_key = |line: &str| {
        line.split_once(" = ")
            .is_some_and(|(key, _)| key.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
    };
    // A section that is not there by default stays away, with its keys.
    let mut away = false;
    let written_out: String = text
        .lines()
        .map(|line| {
            away = line.starts_with("# [") || (away && !line.is_empty());
            match line.strip_prefix("# ") {
                Some(rest) if is_key(rest) && !away => format!("{rest}\n"),
                _ => format!("{line}\n"),
            }
        })
        .collect();
    let dir = tempfile::tempdir().unwrap();
    let all = dir.path().join("all.toml");
    fs::write(&all, written_out).unwrap();
    let short = Config::load(&root().join("deploy/vaultd.toml")).unwrap();
    let mut long = Config::load(&all).unwrap();
    assert!(
        matches!(long.listeners[0].tls, TlsConfig::Files { .. }),
        "certificate files are shown"
    );
    // Those that have no fixed default.
    long.cluster_name = None;
    long.audit_folder = None;
    long.listeners.clone_from(&short.listeners);
    assert_eq!(
        format!("{short:?}"),
        format!("{long:?}"),
        "a default in deploy/vaultd.toml is not the default"
    );
}

#[test]
fn sample_policies_parse() {
    let name = "sample".parse::<PolicyName>().unwrap();
    let policies: Vec<String> = files("deploy")
        .into_iter()
        .filter(|path| path.ends_with(".hcl"))
        .collect();
    assert!(policies.len() >= 3);
    for path in policies {
        if let Err(error) = Policy::parse(&name, &read(&path)) {
            panic!("{path}: {error}");
        }
    }
}

#[test]
fn the_checks_see_what_they_are_for() {
    assert_eq!(
        uses("use crate::http::tls;\n// crate::core\nlet x = crate::audit::open();"),
        ["http::tls", "audit::open"]
    );
    assert_eq!(
        without_tests("a\n#[cfg(test)]\nmod tests;\nb\n#[cfg(test)]\nmod tests {\nc"),
        "a\n#[cfg(test)]\nmod tests;\nb\n"
    );
    let text = "\n## A\n\n```sh\none\n```\n\n```\ntwo\nthree\n```\n## B\n";
    assert_eq!(fenced(section(text, "## A")), ["one", "two\nthree"]);
}
