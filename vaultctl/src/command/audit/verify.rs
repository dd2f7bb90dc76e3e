//! `audit verify`: needs the file and nothing else, above all not the server that wrote it.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;
use serde_json::json;
use vault_audit::{Link, Options, Report};
use vault_crypto::PublicKey;

use crate::error::{Failure, Outcome, file, local};
use crate::output::{Format, Output, clean};
use crate::progress::Progress;

/// How such a file begins (RFC 1952).
const GZIP: [u8; 2] = [0x1f, 0x8b];

#[derive(clap::Args)]
pub(crate) struct Verify {
    /// Audit files, also gzipped, oldest first when there are several; - reads stdin
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// The server's public audit key, 64 hex digits, or a file with it
    #[arg(long, value_name = "HEX|FILE")]
    key: Option<String>,
    /// Whose log it should be
    #[arg(long)]
    cluster: Option<String>,
    /// The log once reached this sequence number: finds lines cut off at its end
    #[arg(long, value_name = "SEQ")]
    expect_seq: Option<u64>,
}

pub(super) fn verify(out: &Output, args: &Verify) -> Outcome {
    let key = args.key.as_deref().map(public_key).transpose()?;
    let mut previous = None;
    let mut sound = true;
    for (index, path) in args.files.iter().enumerate() {
        let is_last = index + 1 == args.files.len();
        let options = Options {
            public_key: key
                .map(|k| PublicKey::from_bytes(&k))
                .transpose()
                .map_err(|_| bad_key())?,
            cluster: args.cluster.clone(),
            previous,
            at_least: args.expect_seq.filter(|_| is_last),
        };
        let progress = Progress::spinner(&format!("verifying {}", path.display()));
        let report = vault_audit::verify(open(path)?, &options);
        drop(progress);
        tell(out, path, &report, key.is_some())?;
        sound &= report.problem.is_none();
        if !sound {
            break;
        }
        previous = Some(report.head);
    }
    if sound {
        Ok(())
    } else {
        Err(Failure::Silent(1))
    }
}

fn open(path: &Path) -> Outcome<Box<dyn BufRead>> {
    if path == Path::new("-") {
        return Ok(Box::new(BufReader::new(io::stdin())));
    }
    let opened = File::open(path).map_err(|e| file("read", path, &e))?;
    let mut lines = BufReader::with_capacity(1 << 16, opened);
    let start = lines.fill_buf().map_err(|e| file("read", path, &e))?;
    // logrotate compresses.
    if start.starts_with(&GZIP) {
        let lines = MultiGzDecoder::new(lines);
        return Ok(Box::new(BufReader::with_capacity(1 << 16, lines)));
    }
    Ok(Box::new(lines))
}

/// The key itself, or a file with it.
pub(crate) fn public_key(text: &str) -> Outcome<[u8; 32]> {
    let hex = if Path::new(text).is_file() {
        let mut content = String::new();
        let opened = File::open(text).and_then(|f| f.take(4096).read_to_string(&mut content));
        opened.map_err(|e| file("read", Path::new(text), &e))?;
        content
    } else {
        text.to_owned()
    };
    let mut key = [0; 32];
    hex::decode_to_slice(hex.trim(), &mut key).map_err(|_| bad_key())?;
    Ok(key)
}

fn bad_key() -> Failure {
    local(
        "that is not a public audit key",
        "give the 64 hex digits that the server shows as `key` in its checkpoints",
    )
}

fn tell(out: &Output, path: &Path, report: &Report, key_given: bool) -> Outcome {
    if out.format != Format::Table {
        return out.document(&document(path, report));
    }
    let mut lines = vec![format!(
        "{}: {} entries, {} signed checkpoints",
        path.display(),
        report.entries,
        report.checkpoints
    )];
    match &report.problem {
        Some(problem) => lines.push(format!(
            "NOT SOUND, line {}: {:?}: {}",
            problem.line,
            problem.kind,
            clean(&problem.text)
        )),
        None => lines.push(match report.last_checkpoint_seq {
            Some(seq) => format!("Sound: nothing was edited, removed or moved up to entry {seq}."),
            None => "No checkpoint: the chain holds, but nobody has signed it.".to_owned(),
        }),
    }
    if report.problem.is_none() && report.unsigned_tail > 0 {
        lines.push(format!(
            "{} lines after the last checkpoint are not signed yet; their end cannot be judged.",
            report.unsigned_tail
        ));
    }
    if report.repairs > 0 {
        lines.push(format!(
            "{} torn lines were cut off when the server came back.",
            report.repairs
        ));
    }
    if report.lost > 0 {
        lines.push(format!(
            "{} records went to another device only, by this one's own account.",
            report.lost
        ));
    }
    if let Some(fingerprint) = report.fingerprint() {
        let check = if key_given {
            ""
        } else {
            " (not compared: give --key)"
        };
        lines.push(format!("Signed by {fingerprint}{check}"));
    }
    out.line(&lines.join("\n"))
}

fn document(path: &Path, report: &Report) -> serde_json::Value {
    json!({
        "file": path.display().to_string(),
        "sound": report.problem.is_none(),
        "entries": report.entries,
        "checkpoints": report.checkpoints,
        "last_checkpoint_seq": report.last_checkpoint_seq,
        "unsigned_tail": report.unsigned_tail,
        "repairs": report.repairs,
        "lost": report.lost,
        "first_seq": report.first_seq,
        "last_seq": report.last_seq,
        "head": hex::encode(Link::as_bytes(&report.head)),
        "cluster": report.cluster,
        "key": report.key.map(hex::encode),
        "fingerprint": report.fingerprint(),
        "problem": report.problem.as_ref().map(|p| json!({
            "line": p.line, "kind": format!("{:?}", p.kind), "text": p.text,
        })),
    })
}
