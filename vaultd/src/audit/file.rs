//! An audit file: opened so that nobody else's file is written to, and so that the chain in
//! it goes on.
//!
//! Promises: created 0600; a symbolic link is not followed; a file that another process has
//! open for audit, or whose end is not ours, is refused and left as it is. The only bytes
//! ever removed are those of a torn last line.

use std::fs::{DirBuilder, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt};
use std::path::Path;
use std::time::Duration;

use rustix::fs::{FlockOperation, Mode, OFlags};
use vault_audit::{Line, Link, MAX_LINE, Mark};

/// Attempts at a file that somebody else still writes to.
const PATIENCE: u32 = 75;
const PAUSE: Duration = Duration::from_millis(20);

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("its end is not an audit record of vaultd; move the file away and start again")]
    Foreign,
    #[error("another process writes to it; stop that one or name another file")]
    Busy,
    #[error("it is not a plain file")]
    NotAFile,
    #[error("it was changed by someone else while vaultd ran; move it away and reopen")]
    Changed,
}

/// An open file and where its chain ends.
pub(super) struct Opened {
    pub(super) file: File,
    /// A pipe or terminal cannot be synced, and has no tail.
    pub(super) regular: bool,
    pub(super) tail: Tail,
}

/// What a file ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tail {
    Empty {
        /// Bytes of a torn first line that were removed.
        cut: u64,
    },
    Line {
        head: Link,
        next: u64,
        /// The last line is no checkpoint.
        unsigned: bool,
        /// Bytes of a torn last line that were removed.
        cut: u64,
    },
}

/// The same for a place that was not chosen by who runs the server: nothing but a plain file.
pub(super) fn open_regular(path: &Path) -> Result<Opened, OpenError> {
    match std::fs::symlink_metadata(path) {
        Ok(meta) if !meta.is_file() => return Err(OpenError::NotAFile),
        _ => {}
    }
    // Whoever had it last may be about to let go of it.
    for _ in 0..PATIENCE {
        match open(path) {
            Err(OpenError::Busy) => std::thread::sleep(PAUSE),
            Ok(opened) if !opened.regular => return Err(OpenError::NotAFile),
            outcome => return outcome,
        }
    }
    Err(OpenError::Busy)
}

/// Opens or creates the file. Blocks while a pipe has no reader.
pub(super) fn open(path: &Path) -> Result<Opened, OpenError> {
    create_parent(path)?;
    let pipe = std::fs::symlink_metadata(path)
        .is_ok_and(|meta| meta.file_type().is_fifo() || meta.file_type().is_char_device());
    let access = if pipe {
        OFlags::WRONLY
    } else {
        OFlags::RDWR | OFlags::CREATE
    };
    let flags = access | OFlags::APPEND | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NOCTTY;
    let fd = rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR).map_err(io::Error::from)?;
    let mut file = File::from(fd);
    if !file.metadata()?.is_file() {
        return Ok(Opened {
            file,
            regular: false,
            tail: Tail::Empty { cut: 0 },
        });
    }
    rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)
        .map_err(|_| OpenError::Busy)?;
    let tail = repair(&mut file)?;
    Ok(Opened {
        file,
        regular: true,
        tail,
    })
}

/// Creates the directory if it is not there; a new file's name must survive a power loss too.
fn create_parent(path: &Path) -> io::Result<()> {
    let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty()) else {
        return Ok(());
    };
    if !parent.exists() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(parent)?;
    }
    Ok(())
}

/// Makes the file's name durable.
pub(super) fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent().filter(|p| !p.as_os_str().is_empty()) {
        Some(parent) => File::open(parent)?.sync_all(),
        None => File::open(".")?.sync_all(),
    }
}

/// Finds the last whole line, checks that it is ours, and cuts off what comes after it.
fn repair(file: &mut File) -> Result<Tail, OpenError> {
    let size = file.metadata()?.len();
    let end = read_end(file, size)?;
    let whole = end
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |at| at + 1);
    let cut = (end.len() - whole) as u64;
    if whole == 0 {
        let begins_as_ours = b"{\"type\":\"start\","
            .iter()
            .zip(&end)
            .all(|(a, b)| a == b);
        if end.len() as u64 != size || !begins_as_ours {
            return Err(OpenError::Foreign);
        }
        file.set_len(0)?;
        return Ok(Tail::Empty { cut });
    }
    let (line, previous) = last_line(&end[..whole]).ok_or(OpenError::Foreign)?;
    if previous.is_some_and(|previous| !line.follows(previous)) {
        return Err(OpenError::Foreign);
    }
    if cut > 0 {
        file.set_len(size - cut)?;
    }
    let unsigned = !matches!(
        Mark::parse(line.fields),
        Some(Some(Mark::Checkpoint { .. }))
    );
    Ok(Tail::Line {
        head: line.link,
        next: line.seq.saturating_add(1),
        unsigned,
        cut,
    })
}

/// The last line and, if it is in sight, the link that it must follow.
fn last_line(whole: &[u8]) -> Option<(Line<'_>, Option<Link>)> {
    let mut lines = whole[..whole.len() - 1].rsplit(|byte| *byte == b'\n');
    let line = Line::parse(lines.next()?).ok()?;
    let previous = match (Mark::parse(line.fields), lines.next()) {
        (Some(Some(Mark::Start { previous, .. })), _) => Some(Link::parse(previous.as_bytes())?),
        // The line before may reach out of the part that was read: then it does not parse.
        (_, Some(before)) => Line::parse(before).ok().map(|line| line.link),
        (_, None) => None,
    };
    Some((line, previous))
}

/// The last part of a file, large enough to hold two whole lines if there are any.
fn read_end(file: &mut File, size: u64) -> io::Result<Vec<u8>> {
    let mut length = 64 << 10;
    loop {
        let end = read_last(file, size, length)?;
        let newlines = end.iter().filter(|byte| **byte == b'\n').count();
        if newlines >= 3 || length >= size || length > 2 * MAX_LINE as u64 {
            return Ok(end);
        }
        length *= 4;
    }
}

/// The last `length` bytes, or all of a smaller file.
pub(super) fn read_last(file: &mut File, size: u64, length: u64) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(size.saturating_sub(length)))?;
    let mut end = Vec::new();
    file.take(length).read_to_end(&mut end)?;
    Ok(end)
}
