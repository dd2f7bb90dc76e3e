//! OpenLDAP's server over a directory of one test.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;

use crate::process::{Process, until};

/// Who may search, and his password.
pub const READER: (&str, &str) = ("cn=reader,dc=example,dc=org", "reader's password");

const SCHEMA: &str = r"
attributetype ( 1.2.840.113556.1.4.656 NAME 'userPrincipalName'
  EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
objectclass ( 1.3.6.1.4.1.4203.666.1 NAME 'principal' SUP top AUXILIARY MAY userPrincipalName )
";

/// Ends with the value that stands for it.
pub struct Slapd {
    /// `127.0.0.1:PORT`, for `ldap://`.
    pub plain: String,
    /// `localhost:PORT`, for `ldaps://`.
    pub tls: String,
    /// The CA that vouches for it.
    pub ca_pem: String,
    /// Its own certificate and key, in PEM.
    pub own_pem: (String, String),
    _dir: TempDir,
    _process: Process,
}

impl Slapd {
    /// Holds `dc=example,dc=org` with the reader, and these entries (RFC 2849). Whoever is not logged
    /// in may read if `open`.
    pub fn start(entries: &str, open: bool) -> Slapd {
        Slapd::start_with(entries, open, "")
    }

    /// With these lines of `slapd.conf`, in which `DIR` is the directory with `cert`, `key` and `ca`.
    pub fn start_with(entries: &str, open: bool, settings: &str) -> Slapd {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let read = |name: &str| fs::read_to_string(path(name)).unwrap();
        let ca_pem = certificate(dir.path());
        fs::write(path("schema"), SCHEMA).unwrap();
        let (name, password) = READER;
        let base = format!(
            "dn: dc=example,dc=org\nobjectClass: domain\ndc: example\n\ndn: {name}\nobjectClass: person\ncn: reader\nsn: reader\nuserPassword: {password}\n\n"
        );
        fs::write(path("entries"), base + entries).unwrap();
        fs::create_dir(path("data")).unwrap();
        let settings = settings.replace("DIR", &dir.path().display().to_string());
        fs::write(path("config"), config(dir.path(), open, &settings)).unwrap();
        let mut fill = Command::new("/usr/sbin/slapadd");
        fill.arg("-q").arg("-f").arg(path("config"));
        let filled = fill.arg("-l").arg(path("entries")).output();
        let filled = filled.expect("slapd is not installed (Debian: apt-get install slapd)");
        assert!(filled.status.success(), "{filled:?}");
        // Of ports that were free a moment ago one may be taken: then others are tried.
        for _ in 0..10 {
            let (plain, tls) = (free_port(), free_port());
            let mut command = Command::new("/usr/sbin/slapd");
            command.args(["-d", "0", "-h"]);
            command.arg(format!(
                "ldap://127.0.0.1:{plain}/ ldaps://127.0.0.1:{tls}/"
            ));
            command.arg("-f").arg(path("config"));
            let mut process = Process::spawn(command, dir.path());
            let answers = until(Duration::from_secs(20), || {
                let both = [plain, tls].map(|port| TcpStream::connect(("127.0.0.1", port)).is_ok());
                (both == [true, true])
                    .then_some(true)
                    .or_else(|| process.ended().map(|_| false))
            });
            if answers == Some(true) {
                return Slapd {
                    plain: format!("127.0.0.1:{plain}"),
                    tls: format!("localhost:{tls}"),
                    ca_pem,
                    own_pem: (read("cert"), read("key")),
                    _dir: dir,
                    _process: process,
                };
            }
        }
        panic!(
            "slapd does not start: {}",
            fs::read_to_string(path("err")).unwrap()
        );
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Writes `cert` and `key`; the CA in PEM.
fn certificate(dir: &Path) -> String {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let cert = CertificateParams::new(names).unwrap();
    let cert = cert.signed_by(&key, &ca).unwrap();
    fs::write(dir.join("ca"), ca.pem()).unwrap();
    fs::write(dir.join("cert"), cert.pem()).unwrap();
    fs::write(dir.join("key"), key.serialize_pem()).unwrap();
    ca.pem()
}

fn config(dir: &Path, open: bool, settings: &str) -> String {
    let dir = dir.display();
    let (reader, _) = READER;
    let anybody = if open { "read" } else { "none" };
    format!(
        "include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
include /etc/ldap/schema/nis.schema
include {dir}/schema
pidfile {dir}/pid
modulepath /usr/lib/ldap
moduleload back_mdb
TLSCertificateFile {dir}/cert
TLSCertificateKeyFile {dir}/key
allow bind_anon_cred bind_anon_dn
{settings}
database mdb
suffix dc=example,dc=org
directory {dir}/data
maxsize 16777216
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact={reader} read by users read by anonymous {anybody}
"
    )
}
