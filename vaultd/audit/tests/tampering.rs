//! Everything that was done to a file before its last checkpoint must be found.
#![expect(clippy::unwrap_used)]

use std::sync::OnceLock;

use proptest::prelude::*;
use vault_audit::{Chain, Kind, Line, Link, Mark, Options, Report, VERSION, verify};
use vault_crypto::{Key, SigningKey};

const TIME: &str = "2026-11-21T07:00:00Z";

static ORIGINAL: OnceLock<Vec<u8>> = OnceLock::new();
static OTHER: OnceLock<Vec<u8>> = OnceLock::new();

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&Key::from_slice(&[seed; 32]).unwrap())
}

/// Eight checkpoints, five entries before each; the file ends with a checkpoint.
fn file(seed: u8, cluster: &str) -> Vec<u8> {
    let (mut chain, mut out) = (Chain::new(Link::GENESIS, 1), Vec::new());
    begin(&mut chain, &mut out);
    for round in 0..8 {
        for entry in 0..5 {
            let id = seed as u32 * 1000 + round * 10 + entry;
            let object = format!(r#"{{"type":"request","id":"{id}","path":"secret/data/{id}"}}"#);
            chain.append(object.as_bytes(), &mut out);
        }
        chain.checkpoint(TIME.into(), cluster, &key(seed), &mut out);
    }
    out
}

fn begin(chain: &mut Chain, out: &mut Vec<u8>) {
    let previous = chain.head().to_string();
    chain.mark(
        &Mark::Start {
            time: TIME.into(),
            version: VERSION,
            previous,
        },
        out,
    );
}

fn lines(file: &[u8]) -> Vec<Vec<u8>> {
    file.split_inclusive(|b| *b == b'\n')
        .map(<[u8]>::to_vec)
        .collect()
}

/// What an operator passes who kept the public key and the last number.
fn check(file: &[u8]) -> Report {
    let options = Options {
        public_key: Some(key(1).public()),
        cluster: Some("c".into()),
        previous: Some(Link::GENESIS),
        at_least: Some(49),
    };
    verify(file, &options)
}

fn kind(file: &[u8]) -> Option<Kind> {
    check(file).problem.map(|p| p.kind)
}

/// Writes the chain anew after a change, as an intruder without the signing key would.
fn rechain(lines: &[Vec<u8>]) -> Vec<u8> {
    let (mut chain, mut out) = (Chain::new(Link::GENESIS, 1), Vec::new());
    for line in lines {
        let line = Line::parse(&line[..line.len() - 1]).unwrap();
        chain.append(&[line.fields, b"}"].concat(), &mut out);
    }
    out
}

#[test]
fn an_untouched_file_is_sound() {
    let report = check(&file(1, "c"));
    assert_eq!(report.problem, None);
    assert_eq!((report.entries, report.checkpoints), (40, 8));
    assert_eq!((report.first_seq, report.last_seq), (Some(1), Some(49)));
    assert_eq!(
        (report.last_checkpoint_seq, report.unsigned_tail),
        (Some(49), 0)
    );
    assert!(report.fingerprint().unwrap().starts_with("SHA256:"));
}

#[test]
fn an_unsigned_tail_is_reported_and_not_judged() {
    let mut bytes = file(1, "c");
    let last = lines(&bytes).pop().unwrap();
    let mut chain = Chain::resume(&Line::parse(&last[..last.len() - 1]).unwrap());
    chain.append(br#"{"type":"request","id":"new"}"#, &mut bytes);
    let report = check(&bytes);
    assert_eq!((report.problem, report.unsigned_tail), (None, 1));
    assert_eq!(report.last_checkpoint_seq, Some(49));
}

#[test]
fn a_rotated_file_continues_the_one_before() {
    let first = file(1, "c");
    let report = verify(&first[..], &Options::default());
    let (mut chain, mut second) = (Chain::new(report.head, 50), Vec::new());
    begin(&mut chain, &mut second);
    chain.checkpoint(TIME.into(), "c", &key(1), &mut second);
    let next = |previous| {
        verify(
            &second[..],
            &Options {
                previous,
                ..Options::default()
            },
        )
    };
    assert_eq!(next(Some(report.head)).problem, None);
    assert_eq!(next(None).previous, report.head);
    assert_eq!(
        next(Some(Link::GENESIS)).problem.unwrap().kind,
        Kind::BadStart
    );
}

#[test]
fn each_kind_of_tampering_has_its_name() {
    let bytes = file(1, "c");
    let all = lines(&bytes);
    let with = |change: &dyn Fn(&mut Vec<Vec<u8>>)| {
        let mut lines = all.clone();
        change(&mut lines);
        kind(&lines.concat())
    };
    assert_eq!(with(&|l| l[3][30] ^= 1), Some(Kind::Edited));
    assert_eq!(with(&|l| drop(l.remove(3))), Some(Kind::Missing));
    assert_eq!(with(&|l| l.swap(3, 4)), Some(Kind::Reordered));
    assert_eq!(with(&|l| l.insert(4, l[3].clone())), Some(Kind::Reordered));
    assert_eq!(with(&|l| drop(l.remove(0))), Some(Kind::BadStart));
    assert_eq!(with(&|l| drop(l.pop())), Some(Kind::Truncated));
    assert_eq!(
        with(&|l| l.insert(2, b"hello\n".to_vec())),
        Some(Kind::NotOurs)
    );
    assert_eq!(kind(&bytes[..bytes.len() - 1]), Some(Kind::Torn));
    assert_eq!(kind(b""), Some(Kind::Truncated));
    assert_eq!(kind(&file(2, "c")), Some(Kind::WrongKey));
    assert_eq!(kind(&file(1, "d")), Some(Kind::WrongCluster));
}

#[test]
fn a_chain_written_anew_does_not_fit_its_signatures() {
    let mut lines = lines(&file(1, "c"));
    lines.remove(3);
    assert_eq!(kind(&rechain(&lines)), Some(Kind::BadSignature));
}

#[test]
fn the_time_of_a_checkpoint_is_signed() {
    let mut lines = lines(&file(1, "c"));
    let last = lines.pop().unwrap();
    lines.push(
        String::from_utf8(last)
            .unwrap()
            .replace("T07", "T08")
            .into_bytes(),
    );
    assert_eq!(kind(&rechain(&lines)), Some(Kind::BadSignature));
}

#[test]
fn a_checkpoint_in_another_spelling_is_refused() {
    let mut lines = lines(&file(1, "c"));
    let last = lines.pop().unwrap();
    lines.push(
        String::from_utf8(last)
            .unwrap()
            .replace("\"time\":", "\"x\":1,\"time\":")
            .into_bytes(),
    );
    assert_eq!(kind(&rechain(&lines)), Some(Kind::Edited));
}

/// The harness itself: a verifier that looks at signatures only at the end of the file, or at
/// nothing, would let these through.
#[test]
fn the_harness_notices_a_verifier_that_looks_away() {
    let mut edited = lines(&file(1, "c"));
    edited[3] = String::from_utf8(edited[3].clone())
        .unwrap()
        .replace("data", "DATA")
        .into_bytes();
    let rechained = rechain(&edited);
    // Chain and numbers are all in order here; only the signature tells.
    let blind = rechained
        .split(|b| *b == b'\n')
        .filter(|l| !l.is_empty())
        .try_fold((Link::GENESIS, 1), |(head, seq), text| {
            let line = Line::parse(text).ok()?;
            (line.follows(head) && line.seq == seq).then_some((line.link, seq + 1))
        });
    assert!(blind.is_some());
    assert!(kind(&rechained).is_some());
}

#[derive(Clone, Debug)]
enum Tamper {
    Edit(usize, u8),
    Insert(usize, u8),
    RemoveByte(usize),
    Delete(usize, usize),
    Swap(usize, usize),
    Duplicate(usize, usize),
    Truncate(usize),
    Splice(usize),
    Rechained(usize),
}

fn tamper() -> impl Strategy<Value = Tamper> {
    let n = any::<prop::sample::Index>().prop_map(|i| i.index(1 << 20));
    prop_oneof![
        (n.clone(), 1..=255u8).prop_map(|(at, x)| Tamper::Edit(at, x)),
        (n.clone(), any::<u8>()).prop_map(|(at, x)| Tamper::Insert(at, x)),
        n.clone().prop_map(Tamper::RemoveByte),
        (n.clone(), 1..4usize).prop_map(|(at, count)| Tamper::Delete(at, count)),
        (n.clone(), n.clone()).prop_map(|(a, b)| Tamper::Swap(a, b)),
        (n.clone(), n.clone()).prop_map(|(a, b)| Tamper::Duplicate(a, b)),
        n.clone().prop_map(Tamper::Truncate),
        n.clone().prop_map(Tamper::Splice),
        n.clone().prop_map(Tamper::Rechained),
    ]
}

fn apply(original: &[u8], tamper: Tamper) -> Vec<u8> {
    let mut bytes = original.to_vec();
    let mut all = lines(original);
    let (size, count) = (bytes.len(), all.len());
    match tamper {
        Tamper::Edit(at, x) => bytes[at % size] ^= x,
        Tamper::Insert(at, x) => bytes.insert(at % size, x),
        Tamper::RemoveByte(at) => drop(bytes.remove(at % size)),
        Tamper::Truncate(at) => bytes.truncate(at % size),
        Tamper::Delete(at, n) => {
            let at = at % count;
            all.drain(at..(at + n).min(count));
            bytes = all.concat();
        }
        Tamper::Swap(a, b) => {
            all.swap(a % count, b % count);
            bytes = all.concat();
        }
        Tamper::Duplicate(a, b) => {
            all.insert(b % (count + 1), all[a % count].clone());
            bytes = all.concat();
        }
        Tamper::Splice(at) => {
            all[at % count] = lines(OTHER.get_or_init(|| file(2, "c")))[at % count].clone();
            bytes = all.concat();
        }
        // As an intruder would: one entry changed, and everything after it chained anew.
        Tamper::Rechained(at) => {
            let line = String::from_utf8(all[at % count].clone()).unwrap();
            all[at % count] = line.replace("data", "DATA").into_bytes();
            bytes = rechain(&all);
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn every_tampering_is_found(tamper in tamper()) {
        let original = ORIGINAL.get_or_init(|| file(1, "c"));
        let tampered = apply(original, tamper.clone());
        // Two files may begin with the same start line, and a swap may be of one line.
        prop_assume!(tampered != *original);
        prop_assert!(check(&tampered).problem.is_some(), "{tamper:?}");
    }

    #[test]
    fn no_input_makes_the_verifier_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = verify(&bytes[..], &Options::default());
    }
}
