//! Files of variables: `NAME=VALUE`, one on each line.
//!
//! `#` starts a comment at the start of a line, `export ` is skipped. A value is bare (to the end
//! of the line, outer blanks removed), in single quotes (as it is), or in double quotes with
//! `\n \r \t \\ \" \$`. Quoted values may hold line ends. Nothing is expanded.

use std::path::Path;

use crate::error::{Outcome, file, local};

/// Reads a file; later lines win, as in a shell.
pub(super) fn read(path: &Path) -> Outcome<Vec<(String, String)>> {
    let text = std::fs::read_to_string(path).map_err(|e| file("read", path, &e))?;
    parse(&text).map_err(|(line, why)| {
        local(
            format!("{}, line {line}: {why}", path.display()),
            "write NAME=VALUE, quoted if it is not a plain word",
        )
    })
}

/// The variables of a text, or the line and what is wrong with it; values are never quoted back.
pub(crate) fn parse(text: &str) -> Result<Vec<(String, String)>, (usize, &'static str)> {
    let mut vars = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            return Ok(vars);
        }
        let line = text[..text.len() - rest.len()].matches('\n').count() + 1;
        let end = rest.find('\n').unwrap_or(rest.len());
        if rest.starts_with('#') {
            rest = &rest[end..];
            continue;
        }
        let (name, value) = rest[..end].split_once('=').ok_or((line, "there is no ="))?;
        let name = name.trim().trim_start_matches("export ").trim();
        if name.is_empty() {
            return Err((line, "the name is empty"));
        }
        let value_at = rest.len() - (rest.len() - end) - value.len();
        let (value, after) = value_of(&rest[value_at..]).map_err(|why| (line, why))?;
        vars.push((name.to_owned(), value));
        rest = after;
    }
}

/// The value at the start of a text, and what follows its line.
fn value_of(text: &str) -> Result<(String, &str), &'static str> {
    let blank = |c: char| c == ' ' || c == '\t';
    let text = text.trim_start_matches(blank);
    let (value, after) = match text.chars().next() {
        Some('\'') => {
            let (value, after) = text[1..]
                .split_once('\'')
                .ok_or("a quote is never closed")?;
            (value.to_owned(), after)
        }
        Some('"') => double_quoted(&text[1..])?,
        _ => {
            let end = text.find('\n').unwrap_or(text.len());
            return Ok((text[..end].trim_end().to_owned(), &text[end..]));
        }
    };
    let end = after.find('\n').unwrap_or(after.len());
    let trailing = after[..end].trim();
    if trailing.is_empty() || trailing.starts_with('#') {
        Ok((value, &after[end..]))
    } else {
        Err("something follows the closing quote")
    }
}

fn double_quoted(text: &str) -> Result<(String, &str), &'static str> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((value, &text[at + 1..])),
            '\\' => match chars.next().map(|(_, c)| c) {
                Some('n') => value.push('\n'),
                Some('r') => value.push('\r'),
                Some('t') => value.push('\t'),
                Some(c @ ('\\' | '"' | '$')) => value.push(c),
                _ => return Err("an unknown escape"),
            },
            c => value.push(c),
        }
    }
    Err("a quote is never closed")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vars(text: &str) -> Result<Vec<(String, String)>, (usize, &'static str)> {
        parse(text)
    }

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect()
    }

    #[test]
    fn bare_single_and_double_quoted_values() {
        let text = "# note\nA=1\nexport B = two words \nC='it \"is\" $x\\n'\nD=\"a\\n\\\"b\\\" \\$c\" # end\nE=\nF=vault://s/a#k\n";
        let want = pairs(&[
            ("A", "1"),
            ("B", "two words"),
            ("C", "it \"is\" $x\\n"),
            ("D", "a\n\"b\" $c"),
            ("E", ""),
            ("F", "vault://s/a#k"),
        ]);
        assert_eq!(vars(text), Ok(want));
    }

    #[test]
    fn quoted_values_may_span_lines() {
        assert_eq!(
            vars("K=\"-----BEGIN\nx\n\"\nL='a\nb'"),
            Ok(pairs(&[("K", "-----BEGIN\nx\n"), ("L", "a\nb")]))
        );
    }

    #[test]
    fn malformed_lines_are_named_by_number() {
        assert_eq!(vars("A=1\nB\n"), Err((2, "there is no =")));
        assert_eq!(vars("A=1\n\nB='x"), Err((3, "a quote is never closed")));
        assert_eq!(
            vars("A=\"x\" y"),
            Err((1, "something follows the closing quote"))
        );
        assert_eq!(vars("A=\"\\q\""), Err((1, "an unknown escape")));
        assert_eq!(vars("=1"), Err((1, "the name is empty")));
    }

    #[test]
    fn what_we_quote_is_read_back() {
        for value in [
            "",
            "plain",
            "a\nb\r\tc",
            "q\"q",
            "back\\slash",
            "$HOME `x`",
            "é ✓ '",
            "# no comment",
        ] {
            let quoted: String = value
                .chars()
                .map(|c| match c {
                    '\n' => "\\n".to_owned(),
                    '\r' => "\\r".to_owned(),
                    '\t' => "\\t".to_owned(),
                    '\\' | '"' | '$' => format!("\\{c}"),
                    c => c.to_string(),
                })
                .collect();
            assert_eq!(
                vars(&format!("A=\"{quoted}\"\n")),
                Ok(pairs(&[("A", value)])),
                "{value:?}"
            );
        }
    }
}
