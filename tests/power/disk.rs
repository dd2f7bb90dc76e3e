//! A disk that loses its power: replays a recorded history and gives the images it could leave.
//!
//! A write is certain once a sync that began after it has ended. Until then it is there, not there,
//! or torn at sectors, independently of every other. Names are certain once their directory was synced;
//! before, any prefix of the changes to it may be there, as with a metadata journal. This is
//! stricter than common file systems are, and knows no device that lies about a sync.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, ensure};

const SECTOR: usize = 512;

pub(crate) struct Record {
    pub(crate) op: u8,
    name: String,
    offset: u64,
    pub(crate) payload: Vec<u8>,
}

/// The shim's record; `before` is how many records precede it.
pub(crate) fn parse(mut log: &[u8], before: usize) -> anyhow::Result<Vec<Record>> {
    let mut records = Vec::new();
    while !log.is_empty() {
        let [op, name_length] = *take(&mut log, 2)? else {
            unreachable!("two bytes")
        };
        let name = String::from_utf8(take(&mut log, usize::from(name_length))?.to_vec())?;
        let mut offset = number(&mut log)?;
        let length = number(&mut log)?;
        let payload = take(&mut log, usize::try_from(length)?)?.to_vec();
        if matches!(op, b'S' | b'D' | b'F') {
            offset += before as u64;
        }
        records.push(Record {
            op,
            name,
            offset,
            payload,
        });
    }
    Ok(records)
}

fn take<'a>(log: &mut &'a [u8], length: usize) -> anyhow::Result<&'a [u8]> {
    let (head, rest) = log
        .split_at_checked(length)
        .context("the record is cut off")?;
    *log = rest;
    Ok(head)
}

fn number(log: &mut &[u8]) -> anyhow::Result<u64> {
    Ok(u64::from_ne_bytes(take(log, 8)?.try_into()?))
}

/// What happens to writes that no sync has covered.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Loss {
    All,
    /// Any subset, each of them whole or torn; the seed decides.
    Some(u64),
    /// None: the process was killed and the power stayed.
    Nothing,
}

#[derive(Default)]
pub(crate) struct Disk {
    files: Vec<File>,
    /// By file number.
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    name_changes: Vec<(usize, NameChange)>,
    at: usize,
}

#[derive(Default)]
struct File {
    durable: Vec<u8>,
    pending: Vec<(usize, Change)>,
}

enum Change {
    Write(usize, Vec<u8>),
    Resize(usize),
}

#[derive(Clone)]
enum NameChange {
    Create(String, usize),
    Unlink(String),
}

impl Disk {
    pub(crate) fn apply(&mut self, record: &Record) -> anyhow::Result<()> {
        let at = self.at;
        self.at += 1;
        let offset = usize::try_from(record.offset)?;
        match record.op {
            b'C' => {
                self.files.push(File::default());
                self.names.insert(record.name.clone(), self.files.len() - 1);
                self.name_changes.push((
                    at,
                    NameChange::Create(record.name.clone(), self.files.len() - 1),
                ));
            }
            b'U' => {
                self.names.remove(&record.name);
                self.name_changes
                    .push((at, NameChange::Unlink(record.name.clone())));
            }
            b'W' => self
                .file(record)?
                .pending
                .push((at, Change::Write(offset, record.payload.clone()))),
            b'T' => self
                .file(record)?
                .pending
                .push((at, Change::Resize(offset))),
            b'S' => self.file(record)?.sync(offset),
            // The kernel may drop what it could not write, and does not try again.
            b'F' => self.file(record)?.pending.retain(|(at, _)| *at >= offset),
            b'D' => {
                let later = self.name_changes.partition_point(|(at, _)| *at < offset);
                for (_, change) in self.name_changes.drain(..later) {
                    change.apply(&mut self.durable_names);
                }
            }
            b'A' => {}
            other => anyhow::bail!("unknown record {other}"),
        }
        Ok(())
    }

    fn file(&mut self, record: &Record) -> anyhow::Result<&mut File> {
        let number = self
            .names
            .get(&record.name)
            .with_context(|| format!("no file {:?}", record.name))?;
        Ok(&mut self.files[*number])
    }

    /// Writes the files as they would be found.
    pub(crate) fn write_image(&self, dir: &Path, loss: Loss) -> anyhow::Result<()> {
        let mut dice = Dice(match loss {
            Loss::Some(seed) => seed,
            _ => 0,
        });
        let mut names = self.durable_names.clone();
        let kept = match loss {
            Loss::All => 0,
            Loss::Nothing => self.name_changes.len(),
            Loss::Some(_) => dice.below(self.name_changes.len() + 1),
        };
        for (_, change) in &self.name_changes[..kept] {
            change.clone().apply(&mut names);
        }
        for (name, number) in names {
            ensure!(!name.contains('/'), "the data directory is flat");
            std::fs::write(dir.join(name), self.files[number].after(loss, &mut dice))?;
        }
        Ok(())
    }
}

impl NameChange {
    fn apply(self, names: &mut BTreeMap<String, usize>) {
        match self {
            NameChange::Create(name, number) => drop(names.insert(name, number)),
            NameChange::Unlink(name) => drop(names.remove(&name)),
        }
    }
}

impl File {
    fn sync(&mut self, before: usize) {
        let later = self.pending.partition_point(|(at, _)| *at < before);
        for (_, change) in self.pending.drain(..later) {
            change.apply(&mut self.durable);
        }
    }

    fn after(&self, loss: Loss, dice: &mut Dice) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        for (_, change) in &self.pending {
            match loss {
                Loss::All => {}
                Loss::Nothing => change.apply(&mut bytes),
                Loss::Some(_) => match dice.below(4) {
                    0 => change.apply_torn(&mut bytes, dice),
                    1 => {}
                    _ => change.apply(&mut bytes),
                },
            }
        }
        bytes
    }
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Change::Resize(size) => bytes.resize(*size, 0),
            Change::Write(offset, data) => put(bytes, *offset, data),
        }
    }

    fn apply_torn(&self, bytes: &mut Vec<u8>, dice: &mut Dice) {
        let Change::Write(offset, data) = self else {
            return;
        };
        let mut start = 0;
        while start < data.len() {
            let end = data
                .len()
                .min((offset + start) / SECTOR * SECTOR + SECTOR - offset);
            if dice.below(2) == 0 {
                put(bytes, offset + start, &data[start..end]);
            }
            start = end;
        }
    }
}

fn put(bytes: &mut Vec<u8>, offset: usize, data: &[u8]) {
    let end = offset + data.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[offset..end].copy_from_slice(data);
}

/// splitmix64: the same seed gives the same image.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound.max(1) as u64) as usize
    }
}
