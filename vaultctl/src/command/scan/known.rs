//! Fingerprints of stored values, as the server tells them: kept in memory, never on a disk.

use std::collections::{BTreeSet, HashMap};

use serde::Deserialize;
use serde_json::json;
use vault_crypto::{Fingerprinter, Key};
use vault_sdk::Call;

use crate::command::search;
use crate::error::{Outcome, remote};
use crate::progress::Progress;
use crate::session::Session;

/// Secrets in one request.
const AT_ONCE: usize = 128;

/// One form of one value.
pub(super) struct Fingerprint {
    /// `secret/app#password`.
    pub(super) reference: String,
    pub(super) form: String,
    length: usize,
    tag: [u8; 16],
}

pub(super) struct Known {
    fingerprinter: Fingerprinter,
    all: Vec<Fingerprint>,
    buckets: HashMap<u32, Vec<usize>>,
    /// One bit for each bucket that is not empty.
    filter: Vec<u64>,
    pub(super) secrets: usize,
    /// Values that are too short or too guessable to be looked for.
    pub(super) skipped: u64,
}

#[derive(Deserialize)]
struct Answer {
    key: String,
    results: Vec<Told>,
}

#[derive(Deserialize)]
struct Told {
    path: String,
    status: u16,
    #[serde(default)]
    errors: Vec<String>,
    #[serde(default)]
    fingerprints: Vec<Entry>,
    #[serde(default)]
    skipped: u64,
}

#[derive(Deserialize)]
struct Entry {
    name: String,
    form: String,
    length: usize,
    bucket: u32,
    tag: String,
}

/// Of all secrets that the token may list and read, and of those that are named.
pub(super) async fn fetch(
    session: &Session,
    prefix: Option<&str>,
    named: &[String],
) -> Outcome<Known> {
    let asked = prefix.map(|prefix| ("prefix", prefix));
    let found = search::search(session, asked.as_slice()).await?.names;
    let listed: BTreeSet<String> = found.into_iter().collect();
    let named: BTreeSet<&str> = named.iter().map(|path| path.trim_matches('/')).collect();
    let mut wanted: Vec<String> = listed.into_iter().collect();
    wanted.extend(named.iter().map(|path| (*path).to_owned()));
    let progress = Progress::bar("fingerprints", wanted.len() as u64);
    let mut known: Option<(String, Known)> = None;
    for (at, chunk) in wanted.chunks(AT_ONCE).enumerate() {
        let call = Call::post("sys/fingerprints", json!({ "paths": chunk })).repeatable();
        let answer = session.send(call).await?;
        let answer: Answer = serde_json::from_value(answer.data().clone()).map_err(|_| odd())?;
        let key = answer.key.clone();
        let (first, known) = match &mut known {
            Some(known) => known,
            None => known.insert((key.clone(), Known::new(&key)?)),
        };
        if *first != key {
            return Err(remote(
                "the server was sealed and unsealed meanwhile",
                "run it again",
            ));
        }
        for (offset, told) in answer.results.into_iter().enumerate() {
            let path = wanted.get(at * AT_ONCE + offset).ok_or_else(odd)?;
            if told.status >= 400 && told.status != 404 && named.contains(path.as_str()) {
                return Err(remote(
                    format!("{}: {}", told.path, told.errors.join(", ")),
                    "check the path and your policies",
                ));
            }
            known.add(path, told)?;
            progress.step();
        }
    }
    match known {
        Some((_, known)) => Ok(known),
        None => Known::new(&"0".repeat(64)),
    }
}

fn odd() -> crate::error::Failure {
    remote(
        "the server's fingerprints have another shape",
        "use a vaultctl of the server's version",
    )
}

impl Known {
    fn new(key: &str) -> Outcome<Known> {
        let bytes = hex::decode(key).map_err(|_| odd())?;
        let key = Key::from_slice(&bytes).map_err(|_| odd())?;
        Ok(Known {
            fingerprinter: Fingerprinter::new(&key),
            all: Vec::new(),
            buckets: HashMap::new(),
            filter: vec![0; Fingerprinter::BUCKETS / 64],
            secrets: 0,
            skipped: 0,
        })
    }

    fn add(&mut self, path: &str, told: Told) -> Outcome {
        self.secrets += usize::from(told.status < 400);
        self.skipped += told.skipped;
        for entry in told.fingerprints {
            let mut tag = [0; 16];
            hex::decode_to_slice(&entry.tag, &mut tag).map_err(|_| odd())?;
            let word = self
                .filter
                .get_mut(entry.bucket as usize / 64)
                .ok_or_else(odd)?;
            *word |= 1 << (entry.bucket % 64);
            let at = self.all.len();
            self.buckets.entry(entry.bucket).or_default().push(at);
            self.all.push(Fingerprint {
                reference: format!("{path}#{}", entry.name),
                form: entry.form,
                length: entry.length,
                tag,
            });
        }
        Ok(())
    }

    /// The bucket of a window, if a value begins so.
    #[inline]
    pub(super) fn candidate(&self, window: u64) -> Option<u32> {
        let bucket = self.fingerprinter.bucket(window);
        let word = self.filter.get(bucket as usize / 64)?;
        (word >> (bucket % 64) & 1 == 1).then_some(bucket)
    }

    /// Values of a bucket that the text begins with, by number.
    pub(super) fn confirm(&self, bucket: u32, text: &[u8]) -> Vec<usize> {
        let candidates = self.buckets.get(&bucket).map_or(&[][..], Vec::as_slice);
        let is_there = |at: &usize| {
            let known = &self.all[*at];
            text.get(..known.length)
                .is_some_and(|text| self.fingerprinter.tag(text) == known.tag)
        };
        candidates.iter().copied().filter(is_there).collect()
    }

    pub(super) fn get(&self, number: usize) -> &Fingerprint {
        &self.all[number]
    }
}
