//! The environment that the command gets, and the names that are refused.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};

use serde_json::Value;

use crate::error::{Outcome, local};

/// Names that make programs load, run or trust something else.
const REFUSED: &[&str] = &[
    "BASH_ENV",
    "BROWSER",
    "CDPATH",
    "CLASSPATH",
    "EDITOR",
    "ENV",
    "GCONV_PATH",
    "GIT_ASKPASS",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_SYSTEM",
    "GIT_EDITOR",
    "GIT_EXEC_PATH",
    "GIT_EXTERNAL_DIFF",
    "GIT_PAGER",
    "GIT_PROXY_COMMAND",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "GLOBIGNORE",
    "HOSTALIASES",
    "IFS",
    "JAVA_TOOL_OPTIONS",
    "JDK_JAVA_OPTIONS",
    "LESSOPEN",
    "LOCALDOMAIN",
    "LUA_INIT",
    "MANPAGER",
    "NODE_OPTIONS",
    "NODE_PATH",
    "NLSPATH",
    "OPENSSL_CONF",
    "OPENSSL_MODULES",
    "PAGER",
    "PATH",
    "PERL5DB",
    "PERL5LIB",
    "PERL5OPT",
    "PERLLIB",
    "PHPRC",
    "PROMPT_COMMAND",
    "PS4",
    "PYTHONHOME",
    "PYTHONINSPECT",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "PYTHONUSERBASE",
    "PYTHONWARNINGS",
    "RES_OPTIONS",
    "RUBYLIB",
    "RUBYOPT",
    "SHELL",
    "SHELLOPTS",
    "BASHOPTS",
    "SSH_ASKPASS",
    "SSLKEYLOGFILE",
    "VISUAL",
    "ZDOTDIR",
    "_JAVA_OPTIONS",
    "DOTNET_STARTUP_HOOKS",
    "RUSTC_WRAPPER",
    "GOFLAGS",
];
const REFUSED_PREFIXES: &[&str] = &[
    "LD_",
    "DYLD_",
    "BASH_FUNC_",
    "GIT_CONFIG_KEY_",
    "GIT_CONFIG_VALUE_",
    "CORECLR_",
];

/// What lets a process act as us; not for the command unless it is asked for.
const TOKENS: &[&str] = &[
    "BAO_TOKEN",
    "VAULT_TOKEN",
    "BAO_TOKEN_FILE",
    "VAULT_TOKEN_FILE",
    "BAO_TOKEN_PATH",
    "VAULT_TOKEN_PATH",
    "BAO_SECRET_ID",
    "VAULT_SECRET_ID",
    "BAO_SECRET_ID_FILE",
    "VAULT_SECRET_ID_FILE",
    "BAO_PASSWORD",
    "VAULT_PASSWORD",
    "VAULT_ID_TOKEN",
    "VAULT_ID_TOKEN_FILE",
];

/// What to do about a name that is set already.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub(crate) enum Conflict {
    Keep,
    Override,
    Error,
}

pub(crate) struct Environment {
    inherited: BTreeMap<OsString, OsString>,
    set: BTreeMap<String, String>,
    not_conflicts: BTreeSet<String>,
    twice: BTreeSet<String>,
    on_conflict: Conflict,
    allowed: Vec<String>,
}

impl Environment {
    pub(crate) fn new(
        inherited: BTreeMap<OsString, OsString>,
        on_conflict: Conflict,
        allowed: Vec<String>,
    ) -> Self {
        Self {
            inherited,
            set: BTreeMap::new(),
            not_conflicts: BTreeSet::new(),
            twice: BTreeSet::new(),
            on_conflict,
            allowed,
        }
    }

    /// Names whose inherited value was a reference, which the value replaces in any case.
    pub(super) fn forget_conflicts_with(&mut self, names: &BTreeSet<String>) {
        self.not_conflicts.clone_from(names);
    }

    /// `also` names one more, and the one for its file.
    pub(crate) fn strip_tokens(&mut self, also: Option<&str>) {
        let file = also.map(|name| format!("{name}_FILE"));
        let ours = |name: &OsStr| {
            let mut tokens = TOKENS.iter().copied().chain(also).chain(file.as_deref());
            tokens.any(|token| name == OsStr::new(token))
        };
        self.inherited.retain(|name, _| !ours(name));
    }

    /// Lets the command go on with this token.
    pub(super) fn hand_over(&mut self, token: &str, address: &str) {
        self.strip_tokens(None);
        for (name, value) in [("VAULT_TOKEN", token), ("VAULT_ADDR", address)] {
            self.inherited.insert(name.into(), value.into());
        }
    }

    /// Sets a variable; what is set twice is a conflict like any other.
    pub(crate) fn set(&mut self, name: String, value: String) {
        match self.set.get(&name) {
            Some(old) if *old != value && self.on_conflict == Conflict::Error => {
                self.twice.insert(name);
            }
            Some(_) if self.on_conflict == Conflict::Keep => {}
            _ => {
                self.set.insert(name, value);
            }
        }
    }

    /// Another value for a variable that is set here.
    pub(super) fn replace(&mut self, name: &str, value: String) {
        if let Some(old) = self.set.get_mut(name) {
            *old = value;
        }
    }

    /// Refuses bad names and values, all of them in one message.
    pub(crate) fn check(&mut self) -> Outcome {
        let malformed: Vec<_> = self
            .set
            .keys()
            .filter(|name| !is_name(name))
            .map(|name| name.escape_debug().to_string())
            .collect();
        if let Some(first) = malformed.first() {
            return Err(local(
                format!(
                    "these keys cannot be names of variables: {}",
                    malformed.join(", ")
                ),
                format!("rename them: --map '{first}=NAME'"),
            ));
        }
        let refused: Vec<_> = self
            .set
            .keys()
            .filter(|n| is_refused(n) && !self.allowed.contains(n))
            .cloned()
            .collect();
        if let Some(first) = refused.first() {
            return Err(local(
                format!(
                    "these names change what programs load or run: {}",
                    refused.join(", ")
                ),
                format!(
                    "rename them with --map, leave them out with --only, or say --allow-name {first}"
                ),
            ));
        }
        if let Some((name, _)) = self.set.iter().find(|(_, value)| value.contains('\0')) {
            return Err(local(
                format!("the value of {name} holds a NUL byte, which no variable can"),
                "encode it, or read it inside the command",
            ));
        }
        self.settle_conflicts()
    }

    fn settle_conflicts(&mut self) -> Outcome {
        let conflicts: Vec<String> = self
            .set
            .keys()
            .filter(|name| {
                self.inherited.contains_key(OsStr::new(name.as_str()))
                    && !self.not_conflicts.contains(*name)
            })
            .cloned()
            .chain(self.twice.iter().cloned())
            .collect();
        match self.on_conflict {
            Conflict::Override => Ok(()),
            Conflict::Keep => {
                self.set.retain(|name, _| !conflicts.contains(name));
                Ok(())
            }
            Conflict::Error if conflicts.is_empty() => Ok(()),
            Conflict::Error => Err(local(
                format!("these names are set already: {}", conflicts.join(", ")),
                "unset them, add --prefix, or choose --on-conflict keep or override",
            )),
        }
    }

    /// Only what was set here.
    pub(crate) fn into_set(self) -> BTreeMap<String, String> {
        self.set
    }

    pub(crate) fn into_vars(self) -> BTreeMap<OsString, OsString> {
        let mut vars = self.inherited;
        vars.extend(
            self.set
                .into_iter()
                .map(|(name, value)| (name.into(), value.into())),
        );
        vars
    }
}

/// A value as a variable holds it: texts as they are, the rest as JSON.
pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn is_name(name: &str) -> bool {
    let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    starts && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Compared without case: some programs look names up that way.
fn is_refused(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    REFUSED.contains(&upper.as_str())
        || REFUSED_PREFIXES
            .iter()
            .any(|prefix| upper.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(set: &[(&str, &str)], conflict: Conflict, allowed: &[&str]) -> Environment {
        let inherited = [
            ("HOME", "/h"),
            ("VAULT_TOKEN", "t"),
            ("BAO_SECRET_ID", "s"),
            ("A", "old"),
        ];
        let inherited = inherited
            .iter()
            .map(|(k, v)| (OsString::from(k), OsString::from(v)))
            .collect();
        let mut environment = Environment::new(
            inherited,
            conflict,
            allowed.iter().map(|a| (*a).to_owned()).collect(),
        );
        for (name, value) in set {
            environment.set((*name).to_owned(), (*value).to_owned());
        }
        environment
    }

    fn problem(set: &[(&str, &str)], conflict: Conflict, allowed: &[&str]) -> Option<String> {
        environment(set, conflict, allowed)
            .check()
            .err()
            .map(|f| f.to_string())
    }

    #[test]
    fn names_that_hijack_programs_are_refused_and_listed() {
        for name in [
            "LD_PRELOAD",
            "DYLD_INSERT_LIBRARIES",
            "PATH",
            "IFS",
            "ENV",
            "BASH_ENV",
            "PROMPT_COMMAND",
            "SHELLOPTS",
            "PERL5OPT",
            "PYTHONPATH",
            "PYTHONSTARTUP",
            "PYTHONHOME",
            "PYTHONWARNINGS",
            "NODE_OPTIONS",
            "RUBYOPT",
            "JAVA_TOOL_OPTIONS",
            "GIT_SSH_COMMAND",
            "BROWSER",
            "ld_audit",
        ] {
            let text = problem(&[(name, "x")], Conflict::Override, &[]).unwrap_or_default();
            assert!(text.contains(name), "{name}: {text}");
            assert_eq!(problem(&[(name, "x")], Conflict::Override, &[name]), None);
        }
    }

    #[test]
    fn malformed_names_and_nul_are_refused_without_the_value() {
        for name in ["", "a-b", "1a", "a.b", "ä", "a=b", "a b"] {
            let text = problem(&[(name, "hunter2")], Conflict::Override, &[]);
            assert!(text.is_some_and(|t| !t.contains("hunter2")), "{name:?}");
        }
        assert!(
            problem(&[("OK", "hunter2\0")], Conflict::Override, &[])
                .is_some_and(|t| t.contains("OK") && !t.contains("hunter2"))
        );
    }

    #[test]
    fn tokens_do_not_reach_the_command() {
        let mut environment = environment(&[("B", "1")], Conflict::Override, &[]);
        environment.strip_tokens(None);
        let names: Vec<_> = environment.into_vars().into_keys().collect();
        assert_eq!(names, ["A", "B", "HOME"]);
    }

    #[test]
    fn conflicts_are_kept_overridden_or_refused() {
        let value = |conflict| {
            let mut environment = environment(&[("A", "new")], conflict, &[]);
            environment
                .check()
                .ok()
                .and_then(|()| environment.into_vars().remove(OsStr::new("A")))
        };
        assert_eq!(value(Conflict::Override), Some("new".into()));
        assert_eq!(value(Conflict::Keep), Some("old".into()));
        assert_eq!(value(Conflict::Error), None);
    }

    #[test]
    fn two_secrets_with_one_name_are_a_conflict_too() {
        let twice = [("B", "1"), ("B", "2")];
        let value = |conflict| {
            let mut environment = environment(&twice, conflict, &[]);
            environment
                .check()
                .ok()
                .and_then(|()| environment.into_vars().remove(OsStr::new("B")))
        };
        assert_eq!(value(Conflict::Override), Some("2".into()));
        assert_eq!(value(Conflict::Keep), Some("1".into()));
        assert_eq!(value(Conflict::Error), None);
    }

    #[test]
    fn a_resolved_reference_replaces_itself() {
        let mut environment = environment(&[("A", "new")], Conflict::Error, &[]);
        environment.forget_conflicts_with(&BTreeSet::from(["A".to_owned()]));
        assert!(environment.check().is_ok());
    }
}
