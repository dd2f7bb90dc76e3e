//! Which paths a search is about.

use crate::core::body::Body;
use crate::core::fault::Fault;

const GLOB_MAX: usize = 256;

pub struct Filter {
    /// Of whole paths, which begin with their mount.
    prefix: String,
    /// Anywhere in the path, whatever the case.
    contains: String,
    /// `?` is one character, `*` any number but no `/`, `**` any number.
    glob: Option<Vec<Token>>,
    mount: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Char(char),
    One,
    Some,
    All,
}

impl Filter {
    pub fn parse(body: &Body) -> Result<Filter, Fault> {
        let text = |name: &str| body.string(name).map(Option::unwrap_or_default);
        let glob = text("glob")?;
        if glob.len() > GLOB_MAX {
            return Err(Fault::invalid(format!(
                "glob must have at most {GLOB_MAX} bytes"
            )));
        }
        let mount = text("mount")?;
        let mount = mount.trim_matches('/');
        Ok(Filter {
            prefix: text("prefix")?,
            contains: text("contains")?.to_lowercase(),
            glob: (!glob.is_empty()).then(|| tokens(&glob)),
            mount: if mount.is_empty() {
                String::new()
            } else {
                format!("{mount}/")
            },
        })
    }

    pub fn mount(&self, path: &str) -> bool {
        (self.mount.is_empty() || self.mount == path) && self.reaches(path)
    }

    /// Whether something below a folder may match.
    pub fn reaches(&self, folder: &str) -> bool {
        folder.starts_with(&self.prefix) || self.prefix.starts_with(folder)
    }

    pub fn matches(&self, path: &str) -> bool {
        path.starts_with(&self.prefix)
            && (self.contains.is_empty() || path.to_lowercase().contains(&self.contains))
            && self.glob.as_ref().is_none_or(|glob| globs(glob, path))
    }
}

fn tokens(glob: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    for c in glob.chars() {
        match (c, tokens.last_mut()) {
            ('*', Some(last @ (Token::Some | Token::All))) => *last = Token::All,
            ('*', _) => tokens.push(Token::Some),
            ('?', _) => tokens.push(Token::One),
            (c, _) => tokens.push(Token::Char(c)),
        }
    }
    tokens
}

/// All states at once: linear in the path for each token, whatever the glob.
fn globs(glob: &[Token], path: &str) -> bool {
    let mut states = vec![false; glob.len() + 1];
    states[0] = true;
    skip(glob, &mut states);
    for c in path.chars() {
        let mut next = vec![false; glob.len() + 1];
        for (at, token) in glob.iter().enumerate().filter(|(at, _)| states[*at]) {
            match token {
                Token::Char(wanted) => next[at + 1] |= *wanted == c,
                Token::One => next[at + 1] |= c != '/',
                Token::Some => next[at] |= c != '/',
                Token::All => next[at] = true,
            }
        }
        skip(glob, &mut next);
        states = next;
    }
    states[glob.len()]
}

/// Stars may stand for nothing.
fn skip(glob: &[Token], states: &mut [bool]) {
    for (at, token) in glob.iter().enumerate() {
        if states[at] && matches!(token, Token::Some | Token::All) {
            states[at + 1] = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_stop_at_slashes_unless_doubled() {
        for (glob, path, expected) in [
            ("kv/*/db", "kv/app/db", true),
            ("kv/*/db", "kv/app/x/db", false),
            ("kv/**/db", "kv/app/x/db", true),
            ("**db", "kv/app/db", true),
            ("kv/d?", "kv/db", true),
            ("kv/d?", "kv/d", false),
            ("kv/?b", "kv//b", false),
            ("*", "kv/a", false),
            ("**", "kv/a", true),
            ("kv/a*", "kv/a", true),
        ] {
            assert_eq!(globs(&tokens(glob), path), expected, "{glob} {path}");
        }
        let hard = "a*".repeat(60) + "b";
        assert!(!globs(&tokens(&hard), &"a".repeat(5000)));
    }
}
