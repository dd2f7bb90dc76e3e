//! A real login, by OpenSSH's client, with one key in an agent of ours: no private key touches a disk,
//! and the agent sees whether the server asked for a signature.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Once};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use vault_ssh::agent::{Host, Identity, Keys, Login, Socket};
use vault_ssh::{Key as PublicKey, PrivateKey};

use super::name;
use super::target::Trouble;

/// For connecting, logging in and the command together.
const DEADLINE: Duration = Duration::from_secs(20);
/// What is read of what the server says.
const OUTPUT_MAX: u64 = 64 << 10;

/// Where to log in.
#[derive(Clone)]
pub(super) struct Destination {
    pub address: String,
    pub port: u16,
    pub user: String,
}

impl Destination {
    /// As known_hosts names it.
    pub(super) fn host(&self) -> String {
        name::at_port(&self.address, self.port)
    }
}

/// With what.
pub(super) enum With {
    Key(Arc<PrivateKey>),
    /// The key is offered; a signature is never given.
    Offer(PublicKey),
}

pub(super) struct Handshake {
    pub to: Destination,
    /// Lines of known_hosts.
    pub pins: Vec<String>,
    pub with: With,
    pub command: String,
    /// For the command.
    pub input: Vec<u8>,
}

/// How it went.
#[derive(Debug)]
pub(super) enum Outcome {
    /// Logged in; what the command said.
    In(Vec<u8>),
    /// The host asked for a signature, so it knows the key.
    Known,
    /// The host does not want the key.
    Refused,
}

struct OneKey {
    public: PublicKey,
    private: Option<Arc<PrivateKey>>,
    listed: AtomicBool,
    asked: AtomicBool,
}

impl Keys for OneKey {
    async fn identities(&self, _: Option<&Host>) -> Vec<Identity> {
        self.listed.store(true, Ordering::SeqCst);
        vec![Identity {
            key: self.public.blob(),
            comment: String::new(),
        }]
    }

    async fn sign(&self, login: &Login<'_>) -> Option<Vec<u8>> {
        self.asked.store(true, Ordering::SeqCst);
        let private = self.private.as_ref()?;
        if login.userauth.key != self.public.blob() {
            return None;
        }
        private
            .sign_as(login.userauth.signing_algorithm(), login.data)
            .ok()
    }
}

/// A folder of this process alone, which goes with the value.
struct Folder(PathBuf);

impl Folder {
    fn new() -> std::io::Result<Folder> {
        use std::os::unix::fs::DirBuilderExt;
        static NEXT: AtomicU64 = AtomicU64::new(0);
        static SWEPT: Once = Once::new();
        SWEPT.call_once(sweep);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("vaultd-ssh-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        // From a process that was killed and had the same number.
        let _ = std::fs::remove_dir_all(&path);
        std::fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Folder(path))
    }
}

/// Removes what killed processes left. There is nothing secret in it.
fn sweep() {
    let Ok(found) = std::fs::read_dir(std::env::temp_dir()) else {
        return;
    };
    for entry in found.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let parts = name.strip_prefix("vaultd-ssh-");
        let pid = parts.and_then(|rest| rest.split('-').next()).unwrap_or("");
        let is_number = !pid.is_empty() && pid.bytes().all(|byte| byte.is_ascii_digit());
        if is_number && !std::path::Path::new("/proc").join(pid).exists() {
            // That of another user cannot be removed.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Handshake {
    pub(super) async fn run(&self) -> Result<Outcome, Trouble> {
        let host = self.to.host();
        if self.pins.is_empty() {
            return Err(Trouble::new(
                format!("no key is pinned for the host {host}"),
                format!(
                    "pin it: vaultctl ssh known-hosts scan '{host}', or write its keys to known-hosts/{host}"
                ),
            ));
        }
        let (public, private) = match &self.with {
            With::Key(private) => (private.public().clone(), Some(Arc::clone(private))),
            With::Offer(public) => (public.clone(), None),
        };
        let keys = Arc::new(OneKey {
            public,
            private,
            listed: AtomicBool::new(false),
            asked: AtomicBool::new(false),
        });
        let ours = |_| {
            Trouble::new(
                "vaultd cannot make a socket for its agent",
                "let it write to its folder for temporary files (TMPDIR)",
            )
        };
        let folder = Folder::new().map_err(ours)?;
        let socket = Socket::bind(&folder.0.join("agent")).map_err(ours)?;
        let known = folder.0.join("known_hosts");
        std::fs::write(&known, self.pins.join("\n") + "\n").map_err(ours)?;
        let said = tokio::select! {
            said = tokio::time::timeout(DEADLINE, self.talk(&folder, &host)) => said,
            () = socket.serve(Arc::clone(&keys)) => return Err(unreached("the agent ended")),
        };
        let (output, errors) = match said {
            Ok(said) => said?,
            Err(_) => return Err(unreached("it takes longer than 20 seconds")),
        };
        let has = |text: &str| errors.contains(text);
        match () {
            () if has("Authenticated to ") => Ok(Outcome::In(output)),
            () if has("HOST IDENTIFICATION HAS CHANGED") || has("Host key verification failed") => {
                let trouble = Trouble::new(
                    format!("{host} shows another host key than the one that is pinned"),
                    format!(
                        "ask its operator whether it was changed, then write known-hosts/{host}"
                    ),
                );
                Err(Trouble {
                    changed_host: Some((host, fingerprint(&errors))),
                    ..trouble
                })
            }
            () if keys.asked.load(Ordering::SeqCst) => Ok(Outcome::Known),
            // Without the key in hand, the client would be refused too.
            () if !keys.listed.load(Ordering::SeqCst) => Err(unreached(why(&errors))),
            () if has("Permission denied (") || has("Too many authentication failures") => {
                Ok(Outcome::Refused)
            }
            () => Err(unreached(why(&errors))),
        }
    }

    async fn talk(&self, folder: &Folder, host: &str) -> Result<(Vec<u8>, String), Trouble> {
        let mut child = self.command(folder, host).spawn().map_err(|_| {
            Trouble::new(
                "the program ssh cannot be started",
                "install OpenSSH's client where vaultd runs, on its PATH",
            )
        })?;
        let (input, output, errors) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let write = async {
            if let Some(mut input) = input {
                // The other side may have hung up, which shows elsewhere.
                let _ = input.write_all(&self.input).await;
            }
        };
        let read = async {
            let mut found = Vec::new();
            if let Some(output) = output {
                let _ = output.take(OUTPUT_MAX).read_to_end(&mut found).await;
            }
            found
        };
        let complain = async {
            let mut found = Vec::new();
            if let Some(errors) = errors {
                let _ = errors.take(OUTPUT_MAX).read_to_end(&mut found).await;
            }
            found
        };
        let ((), output, errors) = tokio::join!(write, read, complain);
        // How it ended says less than what was said.
        let _ = child.wait().await;
        Ok((output, String::from_utf8_lossy(&errors).into_owned()))
    }

    fn command(&self, folder: &Folder, host: &str) -> Command {
        let mut command = Command::new("ssh");
        command.args(["-F", "none", "-T", "-a", "-x"]);
        let option = |name: &str, value: &str| [String::from("-o"), format!("{name}={value}")];
        let path = |name: &str| folder.0.join(name).display().to_string();
        for (name, value) in [
            ("BatchMode", "yes"),
            ("StrictHostKeyChecking", "yes"),
            ("UserKnownHostsFile", path("known_hosts").as_str()),
            ("GlobalKnownHostsFile", "/dev/null"),
            ("HostKeyAlias", host),
            ("UpdateHostKeys", "no"),
            ("CheckHostIP", "no"),
            ("CanonicalizeHostname", "no"),
            ("IdentityAgent", path("agent").as_str()),
            ("IdentityFile", "none"),
            ("PreferredAuthentications", "publickey"),
            ("ClearAllForwardings", "yes"),
            ("ControlPath", "none"),
            ("ConnectTimeout", "10"),
            ("ConnectionAttempts", "1"),
            ("LogLevel", "VERBOSE"),
        ] {
            command.args(option(name, value));
        }
        command.args(["-p", &self.to.port.to_string(), "-l", &self.to.user, "--"]);
        command.arg(&self.to.address).arg(&self.command);
        command.env_clear();
        if let Some(found) = std::env::var_os("PATH") {
            command.env("PATH", found);
        }
        command.env("LC_ALL", "C");
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.kill_on_drop(true);
        command
    }
}

/// Of the key that ssh complains of.
fn fingerprint(errors: &str) -> Option<String> {
    let mut words = errors.split_ascii_whitespace();
    let found = words.find(|word| word.starts_with("SHA256:"));
    found.map(|word| word.trim_end_matches('.').to_owned())
}

/// In words of ours: what the other side sends is not repeated.
fn why(errors: &str) -> &'static str {
    for (said, word) in [
        ("Could not resolve hostname", "its name is not known"),
        ("Connection refused", "it refuses connections"),
        ("timed out", "it does not answer"),
        ("No route to host", "there is no route to it"),
        ("Network is unreachable", "its network is not reached"),
        (
            "no matching host key",
            "it has no host key of the pinned types",
        ),
        (
            "No user exists for uid",
            "vaultd's own user has no entry in /etc/passwd",
        ),
    ] {
        if errors.contains(said) {
            return word;
        }
    }
    "the connection ends before a login"
}

fn unreached(why: &str) -> Trouble {
    Trouble::new(
        format!("the host is not reached: {why}"),
        "check its address, and that vaultd may connect to it; it is tried again",
    )
}
