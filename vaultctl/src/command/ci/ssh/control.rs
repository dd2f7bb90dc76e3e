//! The job's own process: it finds the key for a login, and opens an agent for it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Mutex;
use tokio::task::{JoinHandle, JoinSet};

use super::Args;
use super::wrapper::Answer;
use crate::command::run::files::Folder;
use crate::command::ssh_agent::lookup::Wanted;
use crate::command::ssh_agent::{Agent, Source};
use crate::error::{Outcome, file};
use crate::session::Session;

/// One agent for each key and host that was asked for.
pub(super) struct Control {
    session: Session,
    key: Option<String>,
    source: Source,
    folder: Arc<Folder>,
    open: Mutex<BTreeMap<(String, Option<String>), Open>>,
}

struct Open {
    agent: Agent,
    known_hosts: PathBuf,
}

impl Control {
    pub(super) fn new(session: &Session, args: &Args, folder: Arc<Folder>) -> Arc<Control> {
        Arc::new(Control {
            session: session.clone(),
            key: args.key.clone(),
            source: args.source.clone(),
            folder,
            open: Mutex::default(),
        })
    }

    /// Its folder is nobody else's, and so is its socket.
    pub(super) fn start(self: Arc<Control>, path: &Path) -> Outcome<JoinHandle<()>> {
        let listener = UnixListener::bind(path).map_err(|error| file("listen at", path, &error))?;
        Ok(tokio::spawn(async move {
            let mut conversations = JoinSet::new();
            loop {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    Some(_) = conversations.join_next() => continue,
                };
                if let Ok((stream, _)) = accepted {
                    let control = self.clone();
                    conversations.spawn(async move { control.converse(stream).await });
                }
            }
        }))
    }

    async fn converse(&self, mut stream: UnixStream) -> Option<()> {
        let mut line = String::new();
        let (reader, mut writer) = stream.split();
        BufReader::new(reader).read_line(&mut line).await.ok()?;
        let wanted: Wanted = serde_json::from_str(&line).ok()?;
        let answer = self
            .open(wanted)
            .await
            .unwrap_or_else(|failure| Answer::Refused {
                next: failure.next(),
                what: failure.to_string(),
            });
        let mut answer = serde_json::to_vec(&answer).ok()?;
        answer.push(b'\n');
        writer.write_all(&answer).await.ok()
    }

    async fn open(&self, wanted: Wanted) -> Outcome<Answer> {
        let wanted = Wanted {
            key: self.key.clone(),
            ..wanted
        };
        let found = self.source.find(&self.session, &wanted).await?;
        let mut lines = found.known_hosts.join("\n");
        lines.push('\n');
        let mut open = self.open.lock().await;
        let name = (found.key.clone(), wanted.host.clone());
        let path = |what: &str| self.folder.path().join(format!("{what}-{}", open.len()));
        let (socket, known_hosts) = (path("agent"), path("known_hosts"));
        if !open.contains_key(&name) {
            let keys = self.source.keys(&self.session, &wanted, found).await?;
            let agent = Agent::start(&socket, keys)?;
            open.insert(name.clone(), Open { agent, known_hosts });
        }
        let open = &open[&name];
        self.folder.replace(&open.known_hosts, &lines)?;
        Ok(Answer::Ready {
            agent: open.agent.path().to_owned(),
            known_hosts: open.known_hosts.clone(),
        })
    }
}
