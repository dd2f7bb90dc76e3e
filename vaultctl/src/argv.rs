//! The command line before clap sees it: Go-style flags, and the name we are called by.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::path::Path;

/// The Vault level that the compatible face reports.
const VAULT_LEVEL: &str = "1.16.3";

/// The program that the caller thinks it runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Face {
    Native,
    Vault,
    Bao,
}

impl Face {
    /// Reads the face from `argv[0]`.
    pub(crate) fn of(program: Option<&OsString>) -> Self {
        match program
            .and_then(|p| Path::new(p).file_name())
            .and_then(OsStr::to_str)
        {
            Some("vault") => Self::Vault,
            Some("bao") => Self::Bao,
            _ => Self::Native,
        }
    }

    pub(crate) fn is_compat(self) -> bool {
        self != Self::Native
    }

    /// One line; the second word is a plain version that clients parse.
    pub(crate) fn version_line(self) -> String {
        let own = env!("CARGO_PKG_VERSION");
        match self {
            Self::Native => format!("vaultctl {own}"),
            Self::Vault => format!("Vault v{VAULT_LEVEL} (vaultctl {own})"),
            Self::Bao => format!("OpenBao v{VAULT_LEVEL} (vaultctl {own})"),
        }
    }
}

/// Whether the command line is only a question for the version.
pub(crate) fn asks_version(argv: &[OsString]) -> bool {
    matches!(
        argv.get(1).and_then(|a| a.to_str()),
        Some("-version" | "--version" | "-v" | "version")
    )
}

/// Long flags of the tree, and whether each takes a value.
fn long_flags(tree: &clap::Command, found: &mut HashMap<String, bool>) {
    for arg in tree.get_arguments() {
        let takes_value = arg.get_action().takes_values();
        let names = arg
            .get_long()
            .into_iter()
            .chain(arg.get_all_aliases().unwrap_or_default());
        for name in names {
            *found.entry(name.to_owned()).or_default() |= takes_value;
        }
    }
    for sub in tree.get_subcommands() {
        long_flags(sub, found);
    }
}

/// Turns known `-flag`, `-flag=x` and `--switch=true` into what clap reads. Nothing after `--`
/// is touched, nor after the host of `ssh`, and for `server` nothing at all: those words belong to
/// other programs.
pub(crate) fn rewrite(argv: Vec<OsString>, tree: &clap::Command) -> Vec<OsString> {
    if argv.get(1).is_some_and(|a| a == "server") {
        return argv;
    }
    let mut flags = HashMap::from([("help".to_owned(), false), ("version".to_owned(), false)]);
    long_flags(tree, &mut flags);
    if argv.get(1).is_some_and(|a| a == "ssh") {
        return before_host(argv, &flags);
    }
    let mut out = Vec::with_capacity(argv.len());
    let exports = argv
        .iter()
        .skip(1)
        .find(|a| !a.as_encoded_bytes().starts_with(b"-"));
    let exports = exports.is_some_and(|command| command == "export");
    let mut words = argv.into_iter();
    out.extend(words.next());
    for word in words.by_ref() {
        if word == "--" {
            out.push(word);
            break;
        }
        match exports.then(|| own_form(&word)).flatten() {
            Some(form) => out.push(form),
            None => out.extend(rewrite_word(word, &flags)),
        }
    }
    out.extend(words);
    out
}

/// Touches flags up to the first word that is neither one nor the value of one.
fn before_host(argv: Vec<OsString>, flags: &HashMap<String, bool>) -> Vec<OsString> {
    let mut words = argv.into_iter();
    let mut out: Vec<OsString> = words.by_ref().take(2).collect();
    let mut is_value = false;
    for word in words.by_ref() {
        let name = word.to_str().and_then(|text| text.strip_prefix('-'));
        let name = name.map(|name| name.trim_start_matches('-').to_owned());
        if name.is_none() && !is_value {
            out.push(word);
            break;
        }
        let is_flag = name.is_some() && !is_value;
        is_value = is_flag && name.is_some_and(|name| flags.get(&name) == Some(&true));
        out.extend(match is_flag {
            true => rewrite_word(word, flags),
            false => Some(word),
        });
    }
    out.extend(words);
    out
}

/// `export` has forms of its own where other commands have formats.
fn own_form(word: &OsStr) -> Option<OsString> {
    let text = word.to_str()?;
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    match (name, value) {
        ("-o" | "--output" | "-output" | "--format" | "-format", "") => Some("--as".into()),
        ("-o" | "--output" | "-output" | "--format" | "-format", value) => {
            Some(format!("--as={value}").into())
        }
        _ => {
            let value = text
                .strip_prefix("-o")
                .filter(|rest| !rest.starts_with("utput"))?;
            Some(format!("--as={value}").into())
        }
    }
}

fn rewrite_word(word: OsString, flags: &HashMap<String, bool>) -> Option<OsString> {
    let Some(text) = word.to_str() else {
        return Some(word);
    };
    let Some(rest) = text
        .strip_prefix('-')
        .filter(|r| r.trim_start_matches('-').len() > 1)
    else {
        return Some(word);
    };
    let rest = rest.strip_prefix('-').unwrap_or(rest);
    let (name, value) = rest
        .split_once('=')
        .map_or((rest, None), |(n, v)| (n, Some(v)));
    match flags.get(name) {
        None => Some(word),
        // Go's flag package lets a switch carry a truth value.
        Some(false) => match value {
            Some("true" | "1" | "t" | "T" | "TRUE" | "True") => Some(format!("--{name}").into()),
            Some("false" | "0" | "f" | "F" | "FALSE" | "False") => None,
            _ => Some(format!("--{rest}").into()),
        },
        Some(true) => Some(format!("--{rest}").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn rewritten(line: &str) -> String {
        let argv = line.split(' ').map(OsString::from).collect();
        let tree = crate::args::Cli::command();
        let words: Vec<_> = rewrite(argv, &tree)
            .into_iter()
            .map(|w| w.to_string_lossy().into_owned())
            .collect();
        words.join(" ")
    }

    #[test]
    fn single_dash_long_flags_become_double() {
        assert_eq!(
            rewritten("vault kv get -field=x secret/a"),
            "vault kv get --field=x secret/a"
        );
        assert_eq!(
            rewritten("vault read -format json sys/a"),
            "vault read --format json sys/a"
        );
        assert_eq!(
            rewritten("vault operator generate-root -address U -tls-skip-verify -decode E -otp O"),
            "vault operator generate-root --address U --tls-skip-verify --decode E --otp O"
        );
    }

    #[test]
    fn switches_lose_their_truth_value() {
        assert_eq!(
            rewritten("vault status -tls-skip-verify=true"),
            "vault status --tls-skip-verify"
        );
        assert_eq!(
            rewritten("vault status -tls-skip-verify=false"),
            "vault status"
        );
    }

    #[test]
    fn stdin_dash_short_flags_and_unknown_words_stay() {
        assert_eq!(rewritten("v kv put secret/a -"), "v kv put secret/a -");
        assert_eq!(
            rewritten("v kv list -R secret -o json"),
            "v kv list -R secret -o json"
        );
        assert_eq!(rewritten("v read -nosuchflag"), "v read -nosuchflag");
        assert_eq!(rewritten("v write a k=-field"), "v write a k=-field");
    }

    #[test]
    fn the_child_of_run_keeps_its_words() {
        assert_eq!(
            rewritten("v run -only A -- cmd -field -format"),
            "v run --only A -- cmd -field -format"
        );
    }

    #[test]
    fn export_has_forms_of_its_own() {
        for words in ["-o dotenv", "--format dotenv", "-format dotenv"] {
            assert_eq!(
                rewritten(&format!("v export -s a/b {words}")),
                "v export -s a/b --as dotenv"
            );
        }
        for words in ["-odotenv", "-o=dotenv", "--format=dotenv"] {
            assert_eq!(
                rewritten(&format!("v export {words}")),
                "v export --as=dotenv"
            );
        }
        assert_eq!(rewritten("v get -o json a/b"), "v get -o json a/b");
    }

    #[test]
    fn what_follows_the_host_belongs_to_ssh() {
        assert_eq!(
            rewritten("vault ssh -mode=ca -role ops -mount-point=ca ada@h -role x -format y"),
            "vault ssh --mode=ca --role ops --mount-point=ca ada@h -role x -format y"
        );
        assert_eq!(rewritten("vault ssh ada@h -p 22"), "vault ssh ada@h -p 22");
        assert_eq!(rewritten("vault ssh"), "vault ssh");
    }

    #[test]
    fn server_words_belong_to_the_server() {
        assert_eq!(
            rewritten("vault server -dev -address x"),
            "vault server -dev -address x"
        );
    }

    #[test]
    fn the_face_is_the_last_part_of_the_program_name() {
        assert_eq!(Face::of(Some(&"/usr/bin/vault".into())), Face::Vault);
        assert_eq!(Face::of(Some(&"bao".into())), Face::Bao);
        assert_eq!(Face::of(Some(&"/x/vault/vaultctl".into())), Face::Native);
        assert_eq!(
            Face::Vault.version_line().split(' ').nth(1),
            Some("v1.16.3")
        );
    }
}
