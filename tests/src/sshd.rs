//! OpenSSH's server on a loopback port, over a directory of one test.
//!
//! It runs as an ordinary user and lets in only that one: `nobody` where the tests run as root. The
//! names in [`USERS`] are his, through libnss-wrapper, so that his account needs no shell of its own.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs::{self, Permissions};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::{Signal, getgid, getuid};
use tempfile::TempDir;

use crate::process::{Process, until};

/// Who can log in. Both have the same home and the same files.
pub const USERS: [&str; 2] = ["deploy", "other"];

/// `nobody` and `nogroup`.
const NOBODY: u32 = 65_534;

/// The server's files, before it starts and while it runs.
pub struct Site {
    dir: TempDir,
    uid: u32,
    gid: u32,
    /// `ssh-ed25519 AAAA…` of the host key.
    pub host_key: String,
}

/// Ends with the value that stands for it.
pub struct Sshd {
    pub port: u16,
    pub site: Site,
    process: Process,
}

impl Site {
    fn new() -> Site {
        let root = getuid().is_root();
        let mut site = Site {
            dir: tempfile::tempdir().unwrap(),
            uid: if root { NOBODY } else { getuid().as_raw() },
            gid: if root { NOBODY } else { getgid().as_raw() },
            host_key: String::new(),
        };
        site.own(site.dir.path());
        site.host_key = keygen(&site.path("host_key"));
        site.own(&site.path("host_key"));
        fs::create_dir(site.home()).unwrap();
        fs::create_dir(site.home().join(".ssh")).unwrap();
        site.own(&site.home());
        site.own(&site.home().join(".ssh"));
        site.write("home/.ssh/authorized_keys", "");
        let account = format!("x:{}:{}::{}", site.uid, site.gid, site.home().display());
        let accounts = USERS.map(|user| format!("{user}:{account}:/bin/sh\n"));
        site.write("passwd", accounts.concat());
        site.write("group", format!("people:x:{}:\n", site.gid));
        site
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A file that the server may read; its path. The server reads `TrustedUserCAKeys`, `RevokedKeys`
    /// and the like at each login, so that they may be written anew at any time.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        let new = self.path(&format!("{name}.new"));
        fs::write(&new, content).unwrap();
        fs::set_permissions(&new, Permissions::from_mode(0o600)).unwrap();
        self.own(&new);
        fs::rename(&new, &path).unwrap();
        path.display().to_string()
    }

    /// The home of all users.
    pub fn home(&self) -> PathBuf {
        self.path("home")
    }

    /// Gives a file or folder to whom the server runs as.
    pub fn own(&self, path: &Path) {
        std::os::unix::fs::chown(path, Some(self.uid), Some(self.gid)).unwrap();
    }
}

impl Sshd {
    /// With public keys in `authorized_keys`, of which there are none yet, as the only way in.
    pub fn start() -> Sshd {
        Sshd::start_with(|_| String::new())
    }

    /// With more lines of sshd_config, which win over the usual ones. They may name files that were
    /// written to the site.
    pub fn start_with(lines: impl FnOnce(&Site) -> String) -> Sshd {
        let site = Site::new();
        let lines = lines(&site);
        // A port that was free a moment ago may be taken: then another is tried.
        for _ in 0..10 {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let port = listener.local_addr().unwrap().port();
            drop(listener);
            site.write("config", config(&site, port, &lines));
            let mut process = Process::spawn(command(&site), site.dir.path());
            let answers = until(Duration::from_secs(20), || {
                let answers = TcpStream::connect(("127.0.0.1", port)).is_ok();
                let ended = process.ended().map(|_| false);
                ended.or(answers.then_some(true))
            });
            if answers == Some(true) {
                return Sshd {
                    port,
                    site,
                    process,
                };
            }
        }
        let said = fs::read_to_string(site.path("err")).unwrap();
        panic!("sshd does not start: {said}");
    }

    /// Where public keys that may log in stand.
    pub fn authorized_keys(&self) -> PathBuf {
        self.site.home().join(".ssh/authorized_keys")
    }

    /// Replaces all lines of `authorized_keys`.
    pub fn authorize(&self, lines: &str) {
        self.site.write("home/.ssh/authorized_keys", lines);
    }

    /// For a file of known hosts.
    pub fn known_hosts_line(&self) -> String {
        format!("[127.0.0.1]:{} {}\n", self.port, self.site.host_key)
    }

    /// `ssh` to this server as the first user, without the configuration and agent of whoever runs the
    /// tests, and sure of the host key. Add `-i KEY` and the command to run there.
    pub fn ssh(&self, options: &[&str]) -> Command {
        let known = self.site.path("known_hosts");
        fs::write(&known, self.known_hosts_line()).unwrap();
        let mut command = Command::new("ssh");
        command.args(["-F", "/dev/null", "-o", "BatchMode=yes"]);
        command.args(["-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none"]);
        command.args(options);
        command.arg("-o");
        command.arg(format!("UserKnownHostsFile={}", known.display()));
        command.args(["-o", "GlobalKnownHostsFile=/dev/null"]);
        command.args(["-o", "StrictHostKeyChecking=yes"]);
        command.args(["-p", &self.port.to_string(), "-l", USERS[0], "127.0.0.1"]);
        command.env_remove("SSH_AUTH_SOCK");
        command
    }

    /// Reads its configuration and host certificates again.
    pub fn reload(&self) {
        let before = self.log().matches("Server listening").count();
        self.process.signal(Signal::HUP);
        let again = || (self.log().matches("Server listening").count() > before).then_some(());
        until(Duration::from_secs(20), again).unwrap_or_else(|| panic!("{}", self.log()));
    }

    /// What it logged, for the message of a failure.
    pub fn log(&self) -> String {
        self.process.log()
    }
}

/// Makes an ed25519 key pair in `path` and `path.pub`; `ssh-ed25519 AAAA…`.
pub fn keygen(path: &Path) -> String {
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"]);
    let made = command.arg(path).output();
    let made = made.expect("no ssh-keygen (Debian: apt-get install openssh-client)");
    assert!(made.status.success(), "{made:?}");
    let public = fs::read_to_string(path.with_extension("pub")).unwrap();
    public.trim_end().to_owned()
}

fn command(site: &Site) -> Command {
    let mut command = Command::new("/usr/sbin/sshd");
    assert!(
        Path::new("/usr/sbin/sshd").exists(),
        "no sshd (Debian: apt-get install openssh-server libnss-wrapper)"
    );
    command.args(["-D", "-e", "-f"]).arg(site.path("config"));
    command.env_clear().env("LD_PRELOAD", "libnss_wrapper.so");
    command.env("NSS_WRAPPER_PASSWD", site.path("passwd"));
    command.env("NSS_WRAPPER_GROUP", site.path("group"));
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    if getuid().is_root() {
        command.uid(site.uid).gid(site.gid);
    }
    command
}

/// sshd takes the first value of a keyword.
fn config(site: &Site, port: u16, lines: &str) -> String {
    let dir = site.dir.path().display();
    let home = site.home();
    let home = home.display();
    format!(
        "{lines}
ListenAddress 127.0.0.1:{port}
HostKey {dir}/host_key
AuthorizedKeysFile {home}/.ssh/authorized_keys
AuthenticationMethods publickey
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin no
UsePAM no
UseDNS no
PidFile none
MaxStartups 1000
LogLevel VERBOSE
Subsystem sftp internal-sftp
"
    )
}
