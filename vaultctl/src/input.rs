//! `k=v`, `k=@file`, `k=-`, a bare `k` (hidden prompt), `-` and `@file.json`.
//!
//! Promise: bytes are taken as they are. A line end at the end of a file is part of the value.

use std::io::{IsTerminal, Read};
use std::path::Path;

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::error::{Outcome, file, local};
use crate::prompt;

/// Where values that are not on the command line come from.
pub(crate) trait Source {
    /// All of stdin, once.
    fn stdin(&mut self) -> Outcome<Vec<u8>>;
    fn file(&mut self, path: &Path) -> Outcome<Vec<u8>>;
    fn hidden(&mut self, key: &str) -> Outcome<Zeroizing<String>>;
}

/// The process's own stdin, files and terminal.
#[derive(Default)]
pub(crate) struct Process {
    stdin_taken: bool,
}

impl Source for Process {
    fn stdin(&mut self) -> Outcome<Vec<u8>> {
        if std::mem::replace(&mut self.stdin_taken, true) {
            return Err(local(
                "stdin is asked for twice",
                "use - once, and @FILE for the others",
            ));
        }
        let mut bytes = Vec::new();
        std::io::stdin()
            .read_to_end(&mut bytes)
            .map_err(|e| file("read", Path::new("stdin"), &e))?;
        Ok(bytes)
    }

    fn file(&mut self, path: &Path) -> Outcome<Vec<u8>> {
        std::fs::read(path).map_err(|e| file("read", path, &e))
    }

    fn hidden(&mut self, key: &str) -> Outcome<Zeroizing<String>> {
        let otherwise = format!("give {key}=@FILE, or {key}=- and the value on stdin");
        prompt::hidden(&format!("Value of {key}"), &otherwise)
    }
}

/// Reads the arguments of a write. A key given more than once becomes a list, as in Vault.
pub(crate) fn object(arguments: &[String], source: &mut dyn Source) -> Outcome<Map<String, Value>> {
    let mut out = Map::new();
    for argument in arguments {
        if argument == "-" {
            out.extend(json_object(&source.stdin()?, "stdin")?);
        } else if let Some(path) = argument.strip_prefix('@') {
            out.extend(json_object(&source.file(Path::new(path))?, path)?);
        } else {
            let (key, value) = pair(argument, source)?;
            insert(&mut out, key, value);
        }
    }
    Ok(out)
}

/// Warns when a secret is about to land in the shell history.
pub(crate) fn warn_about_argv(arguments: &[String]) {
    let looks_secret = |a: &&String| {
        let key = a.split('=').next().unwrap_or_default().to_ascii_lowercase();
        let literal = a
            .split_once('=')
            .is_some_and(|(_, v)| !v.is_empty() && v != "-" && !v.starts_with('@'));
        literal
            && [
                "password",
                "passphrase",
                "passwd",
                "secret",
                "secret_id",
                "token",
                "private_key",
                "api_key",
            ]
            .iter()
            .any(|w| key.ends_with(w))
    };
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return;
    }
    if let Some(key) = arguments
        .iter()
        .find(looks_secret)
        .and_then(|a| a.split('=').next())
    {
        eprintln!(
            "note: the value of {key} is now in your shell history; a bare {key} asks for it without echo"
        );
    }
}

fn pair(argument: &str, source: &mut dyn Source) -> Outcome<(String, Value)> {
    let Some((key, value)) = argument.split_once('=') else {
        let typed = source.hidden(argument)?;
        return Ok((argument.to_owned(), Value::String(typed.to_string())));
    };
    if key.is_empty() {
        return Err(local("a value has no key", "write KEY=VALUE"));
    }
    let value = match value {
        "-" => text(source.stdin()?, key)?,
        v if v.starts_with('@') => text(source.file(Path::new(&v[1..]))?, key)?,
        v if v.starts_with("\\@") || v == "\\-" => v[1..].to_owned(),
        v => v.to_owned(),
    };
    Ok((key.to_owned(), Value::String(value)))
}

fn text(bytes: Vec<u8>, key: &str) -> Outcome<String> {
    let text = String::from_utf8(bytes).map_err(|_| {
        local(
            format!("the value of {key} is not UTF-8"),
            format!("encode it first: base64 -w0 FILE | vaultctl … {key}=-"),
        )
    })?;
    if text.ends_with('\n')
        && text.trim_end_matches('\n').lines().count() == 1
        && std::io::stderr().is_terminal()
    {
        eprintln!(
            "note: the value of {key} ends with a line end, which is stored too; printf instead of echo leaves it out"
        );
    }
    Ok(text)
}

fn json_object(bytes: &[u8], from: &str) -> Outcome<Map<String, Value>> {
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(local(
            format!("{from} holds JSON that is not an object"),
            "give {\"key\": \"value\", …}",
        )),
        // serde's own text may quote what it read.
        Err(e) => Err(local(
            format!(
                "{from} is not JSON, line {}, column {}",
                e.line(),
                e.column()
            ),
            "give {\"key\": \"value\", …}; for one value use KEY=- or KEY=@FILE",
        )),
    }
}

fn insert(out: &mut Map<String, Value>, key: String, value: Value) {
    match out.get_mut(&key) {
        None => {
            out.insert(key, value);
        }
        Some(Value::Array(list)) => list.push(value),
        Some(first) => *first = Value::Array(vec![first.take(), value]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Failure;

    struct Fake;
    impl Source for Fake {
        fn stdin(&mut self) -> Outcome<Vec<u8>> {
            Ok(b"{\"a\": 1}\n".to_vec())
        }
        fn file(&mut self, path: &Path) -> Outcome<Vec<u8>> {
            Ok(if path == Path::new("bin") {
                vec![0xff]
            } else {
                b"line\n".to_vec()
            })
        }
        fn hidden(&mut self, _: &str) -> Outcome<Zeroizing<String>> {
            Ok(Zeroizing::new("typed".into()))
        }
    }

    fn read(words: &[&str]) -> Result<Value, Failure> {
        let words: Vec<_> = words.iter().map(|w| (*w).to_owned()).collect();
        object(&words, &mut Fake).map(Value::Object)
    }

    #[test]
    fn values_come_from_words_files_stdin_and_prompts() {
        let got = read(&["a=b=c", "f=@x", "s=-", "p", "e="]).map_err(|e| e.to_string());
        let want = serde_json::json!({"a": "b=c", "f": "line\n", "s": "{\"a\": 1}\n", "p": "typed", "e": ""});
        assert_eq!(got, Ok(want));
    }

    #[test]
    fn a_backslash_keeps_an_at_sign_literal() {
        assert_eq!(read(&["a=\\@x"]).ok(), Some(serde_json::json!({"a": "@x"})));
    }

    #[test]
    fn json_keeps_its_types() {
        assert_eq!(read(&["-"]).ok(), Some(serde_json::json!({"a": 1})));
    }

    #[test]
    fn a_repeated_key_is_a_list() {
        assert_eq!(
            read(&["a=1", "a=2", "a=3"]).ok(),
            Some(serde_json::json!({"a": ["1", "2", "3"]}))
        );
    }

    #[test]
    fn binary_files_and_broken_json_are_refused_without_quoting_them() {
        assert!(read(&["a=@bin"]).is_err_and(|e| e.to_string().contains("not UTF-8")));
        assert!(read(&["@x"]).is_err_and(|e| !e.to_string().contains("line\n")));
    }
}
