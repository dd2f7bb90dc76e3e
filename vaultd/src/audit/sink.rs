//! Where bytes go: a file, a pipe, a socket.

use std::fs::File;
use std::io::{self, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use super::DeviceConfig;
use super::file::{self, OpenError, Opened, Tail};

/// An open device.
pub(super) enum Sink {
    File {
        file: Arc<File>,
        /// Can be synced and cut.
        regular: bool,
    },
    Stdout(io::Stdout),
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Sink {
    /// Blocks while the other side does not answer.
    pub(super) fn open(config: &DeviceConfig) -> Result<(Sink, Tail), OpenError> {
        let fresh = Tail::Empty { cut: 0 };
        Ok(match config {
            DeviceConfig::File { path, .. } | DeviceConfig::Confined { path } => {
                let only_files = matches!(config, DeviceConfig::Confined { .. });
                let Opened {
                    file,
                    regular,
                    tail,
                } = if only_files {
                    file::open_regular(path)
                } else {
                    file::open(path)
                }?;
                if regular {
                    file::sync_parent(path)?;
                }
                (
                    Sink::File {
                        file: Arc::new(file),
                        regular,
                    },
                    tail,
                )
            }
            DeviceConfig::Stdout => (Sink::Stdout(io::stdout()), fresh),
            DeviceConfig::Unix { path } => (Sink::Unix(UnixStream::connect(path)?), fresh),
            DeviceConfig::Tcp { address } => (Sink::Tcp(TcpStream::connect(address)?), fresh),
        })
    }

    /// At most one write(2).
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = match self {
            Sink::File { file, .. } => (&**file).write(bytes)?,
            // Line-buffered: what counts as written must have left the process.
            Sink::Stdout(stdout) => {
                let mut stdout = stdout.lock();
                stdout.write_all(bytes)?;
                stdout.flush()?;
                bytes.len()
            }
            Sink::Unix(stream) => stream.write(bytes)?,
            Sink::Tcp(stream) => stream.write(bytes)?,
        };
        if written == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::WriteZero.into());
        }
        Ok(written)
    }

    /// What can be synced.
    pub(super) fn syncable(&self) -> Option<Arc<File>> {
        match self {
            Sink::File {
                file,
                regular: true,
            } => Some(Arc::clone(file)),
            _ => None,
        }
    }

    /// A connection is lost at its first error; a file is written to again.
    pub(super) fn is_stream(&self) -> bool {
        matches!(self, Sink::Unix(_) | Sink::Tcp(_))
            || matches!(self, Sink::File { regular: false, .. })
    }
}
