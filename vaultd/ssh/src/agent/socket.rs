//! A Unix socket that answers as an agent, for the user of this process alone.

use std::io::{Error, ErrorKind, Result};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;

use super::{Answer, Connection, Host, Identity, Login, MESSAGE_MAX, Request};
use crate::wire::push_string;

/// The keys of an agent.
pub trait Keys: Send + Sync + 'static {
    /// Those to offer to this host, in the order in which a client is to try them.
    fn identities(&self, host: Option<&Host>) -> impl Future<Output = Vec<Identity>> + Send;

    /// A signature in SSH's form; `None` refuses.
    fn sign(&self, login: &Login<'_>) -> impl Future<Output = Option<Vec<u8>>> + Send;
}

/// Listens from the moment that it is there; its file goes with it.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
}

impl Socket {
    /// Makes the socket, with mode 0600. To be called within a runtime of tokio.
    ///
    /// # Errors
    /// If others than this user may enter its folder, or something is there already.
    pub fn bind(path: &Path) -> Result<Socket> {
        let folder = path.parent().unwrap_or(Path::new(""));
        let found = std::fs::metadata(folder)?;
        let own = found.uid() == rustix::process::geteuid().as_raw();
        if !own || found.mode() & 0o077 != 0 {
            return Err(Error::new(
                ErrorKind::PermissionDenied,
                "the folder of an agent's socket has to be its user's own, with mode 0700",
            ));
        }
        let socket = Socket {
            listener: UnixListener::bind(path)?,
            path: path.to_owned(),
        };
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        Ok(socket)
    }

    /// For `SSH_AUTH_SOCK` and `IdentityAgent`.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Answers until it is dropped.
    pub async fn serve<K: Keys>(&self, keys: Arc<K>) {
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                Some(_) = connections.join_next() => continue,
            };
            match accepted {
                Ok((stream, _)) if is_own(&stream) => {
                    let keys = keys.clone();
                    connections.spawn(async move { converse(stream, &*keys).await });
                }
                Ok(_) => {}
                // Such as too many open files: it may pass.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // Somebody may have removed it already.
        let _ = std::fs::remove_file(&self.path);
    }
}

fn is_own(stream: &UnixStream) -> bool {
    let own = rustix::process::geteuid().as_raw();
    stream.peer_cred().is_ok_and(|peer| peer.uid() == own)
}

/// Until the client goes away, or sends what is no message.
async fn converse<S, K>(mut stream: S, keys: &K) -> Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
    K: Keys,
{
    let mut connection = Connection::default();
    let mut message = Vec::new();
    loop {
        let length = stream.read_u32().await?;
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > MESSAGE_MAX {
            return Err(ErrorKind::InvalidData.into());
        }
        message.resize(length, 0);
        stream.read_exact(&mut message).await?;
        let answer = answer(&mut connection, &message, keys).await;
        let mut framed = Vec::new();
        push_string(&mut framed, &answer.to_bytes());
        stream.write_all(&framed).await?;
    }
}

async fn answer<K: Keys>(connection: &mut Connection, message: &[u8], keys: &K) -> Answer {
    match Request::parse(message) {
        Ok(Request::Identities) if connection.is_spoiled() => Answer::Identities(Vec::new()),
        Ok(Request::Identities) => Answer::Identities(keys.identities(connection.host()).await),
        Ok(Request::Sign(wish)) => {
            let signature = match connection.login(&wish) {
                Ok(login) => keys.sign(&login).await,
                Err(_) => None,
            };
            signature.map_or(Answer::Failure, Answer::Signature)
        }
        Ok(Request::Bind(binding)) => match connection.bind(&binding) {
            Ok(()) => Answer::Success,
            Err(_) => Answer::ExtensionFailure,
        },
        Ok(Request::Query) => Answer::known_extensions(),
        // Keys come from the server, never from a client; there is no lock: it ends when it is not needed.
        Ok(Request::Extension(..) | Request::Other(..)) | Err(_) => Answer::Failure,
    }
}
