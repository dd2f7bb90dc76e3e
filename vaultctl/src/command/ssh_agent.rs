//! `ssh-agent`: an agent for one managed key.
//!
//! Promises: signs logins to the key's pinned hosts and nothing else; the private half stays in the
//! server, or with `--in-memory` in memory that is never dumped; a rotated key is used from the next
//! connection on; the socket goes with this process, however it ends. Not promised: anything against
//! other processes of the same user, who may ask the agent as ssh does.
//!
//! Exit codes with a command: as `run`.

mod background;
pub(crate) mod lookup;
pub(crate) mod managed;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;

use rustix::process::{Pid, Signal, kill_process};
use tokio::task::JoinHandle;
use vault_ssh::agent::Socket;

use crate::command::login;
use crate::command::login::job::{self, Evidence};
use crate::command::run::as_start;
use crate::command::run::child::{self, Signals};
use crate::command::run::environment::{Conflict, Environment};
use crate::command::run::files::Folder;
use crate::error::{Outcome, file, local};
use crate::session::Session;
use lookup::{Found, Wanted};
use managed::{Managed, Way};

/// Where keys are from, and how the server is asked for them.
#[derive(Clone, clap::Args)]
pub(crate) struct Source {
    /// Where the sshkeys engine is mounted
    #[arg(long, default_value = "sshkeys", value_name = "PATH")]
    pub(crate) mount: String,
    /// Have the private key in memory: logins go on while the server is away
    /// [default: the server signs, if the policy lets it]
    #[arg(long, conflicts_with = "remote")]
    in_memory: bool,
    /// Have the server sign: the private key never leaves it
    #[arg(long)]
    remote: bool,
    /// Log in as this role with the CI job's identity token, for this run alone
    #[arg(long, value_name = "ROLE")]
    ci_role: Option<String>,
    /// Where the jwt method is mounted
    #[arg(long, default_value = "jwt", value_name = "PATH")]
    ci_path: String,
    #[command(flatten)]
    evidence: Evidence,
}

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The managed key
    #[arg(long, value_name = "NAME", required_unless_present = "kill")]
    key: Option<String>,
    /// Log in to this host alone, as known-hosts names it [default: the hosts of the key's targets]
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    #[command(flatten)]
    source: Source,
    /// Stay in the foreground
    #[arg(short = 'D', long)]
    foreground: bool,
    /// End the agent of SSH_AGENT_PID
    #[arg(short, long, exclusive = true)]
    kill: bool,
    /// The command and its arguments, with SSH_AUTH_SOCK set [default: print lines for eval]
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

pub(crate) async fn run(session: impl Fn() -> Outcome<Session>, args: Args) -> Outcome {
    if args.kill {
        return kill();
    }
    if args.command.is_empty() && !args.foreground {
        return background::start();
    }
    let session = session().map_err(as_start)?;
    let mut signals = Signals::new()?;
    let ended = tokio::select! {
        ended = serve(&session, &args) => ended,
        number = signals.next(false), if args.command.is_empty() => Err(child::interrupted(number)),
    };
    args.source.close(&session).await;
    ended
}

async fn serve(session: &Session, args: &Args) -> Outcome {
    args.source.open(session).await.map_err(as_start)?;
    let wanted = Wanted {
        key: args.key.clone(),
        host: args.host.clone(),
        ..Wanted::default()
    };
    let found = args.source.find(session, &wanted).await;
    let found = found.map_err(as_start)?;
    let keys = args.source.keys(session, &wanted, found).await;
    let keys = keys.map_err(as_start)?;
    let folder = Folder::for_sockets().map_err(as_start)?;
    let agent = Agent::start(&folder.path().join("agent"), keys)?;
    if args.command.is_empty() {
        background::tell(agent.path())?;
        managed::until_the_token_ends(&session.client).await;
        return Ok(());
    }
    let mut environment = args.source.environment();
    let path = agent.path().to_string_lossy().into_owned();
    environment.set("SSH_AUTH_SOCK".to_owned(), path);
    supervise(&args.command, &environment.into_vars()).await
}

impl Source {
    /// Logs in, and renews the token from now on.
    pub(crate) async fn open(&self, session: &Session) -> Outcome {
        if let Some(role) = &self.ci_role {
            let mut session = session.clone();
            job::become_job(&mut session, &self.ci_path, role, &self.evidence).await?;
        }
        if let Err(failure) = session.client.stay_logged_in().await {
            eprintln!("warning: the token will not be renewed: {failure}");
        }
        Ok(())
    }

    /// Gives back what [`Source::open`] took.
    pub(crate) async fn close(&self, session: &Session) {
        if self.ci_role.is_some() {
            login::give_back(session).await;
        }
    }

    /// Of several keys that would do, one that may be used.
    pub(crate) async fn find(&self, session: &Session, wanted: &Wanted) -> Outcome<Found> {
        let (client, mount) = (&session.client, &self.mount);
        let found = lookup::find(client, mount, wanted).await?;
        if found.others.is_empty() || managed::way(client, mount, &found.key).await.is_some() {
            return Ok(found);
        }
        for other in &found.others {
            if managed::way(client, mount, other).await.is_some() {
                let wanted = Wanted {
                    key: Some(other.clone()),
                    host: wanted.host.clone(),
                    ..Wanted::default()
                };
                return lookup::find(client, mount, &wanted).await;
            }
        }
        Ok(found)
    }

    /// A key that was found, ready to be used.
    pub(crate) async fn keys(
        &self,
        session: &Session,
        wanted: &Wanted,
        found: Found,
    ) -> Outcome<Arc<Managed>> {
        let way = match (self.remote, self.in_memory) {
            (true, _) => Way::Remote,
            (_, true) => Way::InMemory,
            _ => managed::way(&session.client, &self.mount, &found.key)
                .await
                .unwrap_or(Way::Remote),
        };
        let host = wanted.host.clone();
        let keys = Managed::new(session.client.clone(), &self.mount, host, way, found).await?;
        Ok(Arc::new(keys))
    }

    /// That of the command: ours without the tokens.
    pub(crate) fn environment(&self) -> Environment {
        let inherited = std::env::vars_os().collect();
        let mut environment = Environment::new(inherited, Conflict::Override, Vec::new());
        environment.strip_tokens(self.evidence.id_token_env.as_deref());
        environment
    }
}

/// An agent that answers until this value is dropped.
pub(crate) struct Agent {
    path: std::path::PathBuf,
    serving: JoinHandle<()>,
}

impl Agent {
    pub(crate) fn start(path: &Path, keys: Arc<Managed>) -> Outcome<Agent> {
        let socket = Socket::bind(path).map_err(|error| file("listen at", path, &error))?;
        managed::keep_fresh(&keys);
        Ok(Agent {
            path: path.to_owned(),
            serving: tokio::spawn(async move { socket.serve(keys).await }),
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Runs a command until it ends; its code.
pub(crate) async fn supervise(
    words: &[OsString],
    variables: &BTreeMap<OsString, OsString>,
) -> Outcome {
    let mut signals = Signals::new()?;
    let mut child = child::spawn(child::command(words)?.envs(variables))?;
    loop {
        tokio::select! {
            status = child.wait() => return Err(child::ended(status)),
            number = signals.next(true) => child::send(&child, number),
        }
    }
}

fn kill() -> Outcome {
    let pid = std::env::var("SSH_AGENT_PID").ok();
    let pid = pid.and_then(|text| text.parse().ok().and_then(Pid::from_raw));
    let pid = pid.ok_or_else(|| {
        local(
            "SSH_AGENT_PID holds no process id",
            "run it where eval \"$(vaultctl ssh-agent …)\" was run",
        )
    })?;
    kill_process(pid, Signal::TERM).map_err(|error| {
        local(
            format!("cannot end the agent: {error}"),
            "it may have ended already",
        )
    })?;
    println!(
        "unset SSH_AUTH_SOCK;\nunset SSH_AGENT_PID;\necho Agent pid {} killed;",
        pid.as_raw_nonzero()
    );
    Ok(())
}
