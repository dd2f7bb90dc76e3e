//! The layout of an HCL text: two blanks for each open bracket, no blanks at line ends, at most
//! one empty line. Words, strings, comments and heredocs stay as they are.

/// Lays a text out.
///
/// # Errors
/// Says which line holds a bracket or string that does not fit.
pub(super) fn layout(text: &str) -> Result<String, String> {
    let mut out = String::new();
    let mut state = State::default();
    let mut pending_blank = false;
    for (number, line) in (1..).zip(text.lines()) {
        if let Some(marker) = &state.heredoc {
            out.push_str(line);
            out.push('\n');
            if line.trim() == marker {
                state.heredoc = None;
            }
            continue;
        }
        if state.comment {
            out.push_str(line.trim_end());
            out.push('\n');
            state.scan(line, number)?;
            continue;
        }
        let line = line.trim();
        if line.is_empty() {
            pending_blank = !out.is_empty();
            continue;
        }
        if std::mem::take(&mut pending_blank) {
            out.push('\n');
        }
        let closing = line.chars().take_while(|c| matches!(c, '}' | ']')).count();
        let depth = state.open.len().saturating_sub(closing);
        out.push_str(&"  ".repeat(depth));
        out.push_str(line);
        out.push('\n');
        state.scan(line, number)?;
    }
    match (state.open.last(), &state.heredoc, state.comment) {
        (Some((bracket, line)), ..) => Err(format!("line {line}: {bracket} is never closed")),
        (None, Some(marker), _) => Err(format!("the heredoc {marker} is never closed")),
        (None, None, true) => Err("a comment is never closed".to_owned()),
        (None, None, false) => Ok(out),
    }
}

/// What is open at the start of a line.
#[derive(Default)]
struct State {
    open: Vec<(char, usize)>,
    comment: bool,
    heredoc: Option<String>,
}

impl State {
    fn scan(&mut self, line: &str, number: usize) -> Result<(), String> {
        let mut rest = line;
        loop {
            if self.comment {
                let Some(end) = rest.find("*/") else {
                    return Ok(());
                };
                rest = &rest[end + 2..];
                self.comment = false;
            }
            let Some(c) = rest.chars().next() else {
                return Ok(());
            };
            if c == '#' || rest.starts_with("//") {
                return Ok(());
            }
            if rest.starts_with("/*") {
                self.comment = true;
                rest = &rest[2..];
                continue;
            }
            if let Some(marker) = rest.strip_prefix("<<") {
                self.heredoc = Some(marker.trim_start_matches('-').trim().to_owned());
                return Ok(());
            }
            rest = match c {
                '"' => after_string(rest)
                    .ok_or_else(|| format!("line {number}: a string is never closed"))?,
                _ => &rest[c.len_utf8()..],
            };
            match c {
                '{' | '[' => self.open.push((c, number)),
                '}' | ']' => self.close(c, number)?,
                _ => {}
            }
        }
    }

    fn close(&mut self, c: char, number: usize) -> Result<(), String> {
        let wanted = if c == '}' { '{' } else { '[' };
        match self.open.pop() {
            Some((opened, _)) if opened == wanted => Ok(()),
            _ => Err(format!("line {number}: {c} closes nothing")),
        }
    }
}

/// What follows the string that `text` starts with.
fn after_string(text: &str) -> Option<&str> {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some(&text[at + 1..]),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_indented_and_empty_lines_collapse() {
        let text =
            "\n\npath \"a/*\" {\ncapabilities = [\n\"read\",\n]\n}\n\n\n# }\npath \"b{\" { }\n";
        let want =
            "path \"a/*\" {\n  capabilities = [\n    \"read\",\n  ]\n}\n\n# }\npath \"b{\" { }\n";
        assert_eq!(layout(text).as_deref(), Ok(want));
        assert_eq!(layout(want).as_deref(), Ok(want));
    }

    #[test]
    fn heredocs_and_comments_keep_their_blanks() {
        let text = "a = <<EOF\n   x {\nEOF\n/* {\n   y\n*/\nb = 1\n";
        assert_eq!(layout(text).as_deref(), Ok(text));
    }

    #[test]
    fn unbalanced_texts_name_the_line() {
        assert_eq!(layout("a {\n"), Err("line 1: { is never closed".into()));
        assert_eq!(layout("a {\n]\n"), Err("line 2: ] closes nothing".into()));
        assert_eq!(
            layout("\"a\n"),
            Err("line 1: a string is never closed".into())
        );
    }
}
