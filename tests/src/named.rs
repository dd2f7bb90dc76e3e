//! BIND over one zone that takes signed updates.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::pebble::free_port;
use crate::process::{Process, until};

/// The zone. Every name in it is on loopback.
pub const ZONE: &str = "example.test";
/// The key that may change it: name and secret.
pub const KEY: (&str, &str) = ("updates", "c2l4dGVlbiBieXRlcyBvciBtb3JlIG9mIGtleQ==");

/// Ends with the value that stands for it.
pub struct Named {
    /// `127.0.0.1:PORT`
    pub address: String,
    _dir: TempDir,
    process: Process,
}

impl Named {
    pub fn start(algorithm: &str) -> Named {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let zone = format!(
            "$TTL 60\n@ SOA ns.{ZONE}. admin.{ZONE}. 1 60 60 60 1\n@ NS ns.{ZONE}.\n@ A 127.0.0.1\n* A 127.0.0.1\n"
        );
        fs::write(path("zone"), zone).unwrap();
        let (name, secret) = KEY;
        for _ in 0..10 {
            let port = free_port();
            let config = format!(
                "options {{ directory \"{dir}\"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};\n\
                 pid-file none; session-keyfile none; recursion no; dnssec-validation no; allow-query {{ any; }}; }};\n\
                 controls {{ }};\n\
                 key \"{name}\" {{ algorithm {algorithm}; secret \"{secret}\"; }};\n\
                 zone \"{ZONE}\" {{ type primary; file \"{dir}/zone\"; update-policy {{ grant {name} zonesub TXT; }}; }};\n",
                dir = dir.path().display()
            );
            fs::write(path("config"), config).unwrap();
            let mut command = Command::new("/usr/sbin/named");
            command.arg("-g").arg("-c").arg(path("config"));
            let mut process = Process::spawn(command, dir.path());
            let up = until(Duration::from_secs(20), || {
                let open = TcpStream::connect(("127.0.0.1", port)).is_ok();
                open.then_some(true)
                    .or_else(|| process.ended().map(|_| false))
            });
            if up == Some(true) {
                let address = format!("127.0.0.1:{port}");
                return Named {
                    address,
                    _dir: dir,
                    process,
                };
            }
        }
        panic!(
            "named does not start: {}",
            fs::read_to_string(path("err")).unwrap()
        );
    }

    pub fn log(&self) -> String {
        self.process.log()
    }
}
