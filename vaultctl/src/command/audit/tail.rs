//! `audit tail`: the end of an audit file, readable.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use crate::error::{Failure, Outcome, file};
use crate::output::{Format, Output};

#[derive(clap::Args)]
pub(crate) struct Tail {
    file: PathBuf,
    /// Start with this many lines
    #[arg(short = 'n', long, default_value_t = 20)]
    lines: usize,
    /// Go on as the file grows
    #[arg(short, long)]
    follow: bool,
}

pub(super) fn tail(out: &Output, args: &Tail) -> Outcome {
    let failed = |e: std::io::Error| file("read", &args.file, &e);
    let mut reader = BufReader::new(File::open(&args.file).map_err(failed)?);
    let mut last = VecDeque::with_capacity(args.lines.min(10_000) + 1);
    let mut line = String::new();
    while reader.read_line(&mut line).map_err(failed)? > 0 && line.ends_with('\n') {
        last.extend(render(out, &line));
        if last.len() > args.lines {
            last.pop_front();
        }
        line.clear();
    }
    for text in last {
        out.line(&text)?;
    }
    if args.follow {
        follow(out, reader, line, failed)?;
    }
    Ok(())
}

/// Prints what is added, without end. An unfinished line waits in `line` for its rest.
fn follow(
    out: &Output,
    mut reader: impl BufRead,
    mut line: String,
    failed: impl Fn(std::io::Error) -> Failure,
) -> Outcome {
    loop {
        if reader.read_line(&mut line).map_err(&failed)? == 0 || !line.ends_with('\n') {
            std::thread::sleep(Duration::from_millis(200));
            continue;
        }
        if let Some(text) = render(out, &line) {
            out.line(&text)?;
        }
        line.clear();
    }
}

/// One entry in one line; in JSON as it is. Checkpoints are left out of the table.
fn render(out: &Output, line: &str) -> Option<String> {
    let line = line.trim_end();
    if out.format == Format::Json {
        return Some(line.to_owned());
    }
    let Ok(entry) = serde_json::from_str::<Value>(line) else {
        return Some("(not an audit line)".to_owned());
    };
    if out.format == Format::Yaml {
        return Some(format!("---\n{}", crate::output::yaml(&entry).trim_end()));
    }
    let kind = entry["type"].as_str().unwrap_or("?");
    if kind == "checkpoint" {
        return None;
    }
    let text = |value: &Value| {
        value
            .as_str()
            .map(|t| t.escape_debug().to_string())
            .unwrap_or_default()
    };
    let request = &entry["request"];
    let who = text(&entry["auth"]["display_name"]);
    let status = match &entry["response"]["status"] {
        Value::Null => String::new(),
        status => format!("  {status}"),
    };
    let error = match entry["error"].as_str() {
        Some(error) if !error.is_empty() => format!("  error: {}", error.escape_debug()),
        _ => String::new(),
    };
    let words = [
        text(&entry["time"]),
        format!("{kind:<8}"),
        format!("{:<6}", text(&request["operation"])),
        text(&request["path"]),
    ];
    let who = if who.is_empty() {
        String::new()
    } else {
        format!("  by {who}")
    };
    Some(format!("{}{status}{who}{error}", words.join("  ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_one_line_even_with_controls_in_its_path() {
        let out = Output {
            format: Format::Table,
            field: None,
            reveal: false,
            compat: false,
            tty: true,
        };
        let line = r#"{"type":"request","time":"T","request":{"operation":"read","path":"a\n\u001b[2Jb"},"auth":{"display_name":"ann"}}"#;
        let text = render(&out, line).unwrap_or_default();
        assert_eq!(text, "T  request   read    a\\n\\u{1b}[2Jb  by ann");
        assert_eq!(render(&out, r#"{"type":"checkpoint"}"#), None);
    }
}
