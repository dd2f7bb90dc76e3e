//! What the tests of vaultrs 0.7.0 use of the crate dockertest-server, over our binary: `Test::run`
//! starts the program at `VAULTD_COMPAT_VAULT` in dev mode. There are no other servers; asking for one
//! panics.

pub mod servers;

use std::future::Future;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use servers::hashi::VaultServer;

const PATIENCE: Duration = Duration::from_secs(30);

/// A server that a test may ask for.
pub trait Config {
    fn accept(self);
}

#[derive(Default)]
pub struct Test;

impl Test {
    pub fn register(&mut self, config: impl Config) {
        config.accept();
    }

    pub fn run<F: Future<Output = ()>>(self, test: impl FnOnce(Instance) -> F) {
        let instance = Instance::start();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(test(instance));
    }
}

/// A running server, which ends with this value.
pub struct Instance {
    port: u16,
    process: Child,
}

impl Instance {
    fn start() -> Instance {
        let program = std::env::var_os("VAULTD_COMPAT_VAULT").expect("VAULTD_COMPAT_VAULT");
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = free.local_addr().expect("an address").port();
        drop(free);
        let process = Command::new(program)
            .args(["server", "-dev", "-dev-no-store-token", "-dev-root-token-id=root"])
            .arg(format!("-dev-listen-address=127.0.0.1:{port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the server starts");
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(started.elapsed() < PATIENCE, "the server does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        Instance { port, process }
    }

    pub fn server<S: From<VaultServer>>(&self) -> S {
        S::from(VaultServer {
            token: "root".to_owned(),
            port: self.port,
        })
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
