//! Which servers are trusted. The certificate is for `vault.test`, signed by
//! `tls/ca.pem`; the keys in this folder protect nothing.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use vault_sdk::{Builder, Call, Client, Error};

const CA: &str = include_str!("tls/ca.pem");
const OTHER_CA: &str = include_str!("tls/other-ca.pem");

/// Answers every request on a connection with an empty object.
fn serve() -> String {
    let chain = CertificateDer::pem_slice_iter(include_bytes!("tls/server.pem"));
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("tls/server.key")).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain.map(Result::unwrap).collect(), key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for tcp in listener.incoming().map_while(Result::ok) {
            let tls = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = StreamOwned::new(tls, tcp);
            let mut request = [0; 4096];
            // A client that does not trust this server hangs up here.
            if stream.read(&mut request).is_ok_and(|read| read > 0) {
                let answer = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\
                              content-length: 2\r\nconnection: close\r\n\r\n{}";
                let _ = stream.write_all(answer.as_bytes());
                stream.conn.send_close_notify();
                let _ = stream.flush();
            }
        }
    });
    format!("https://127.0.0.1:{port}")
}

async fn ask(builder: Builder) -> Result<(), Error> {
    let client = builder.addr(serve()).max_retries(0).build()?;
    client.send(Call::get("a")).await.map(drop)
}

fn named() -> Builder {
    Client::builder().tls_server_name("vault.test")
}

#[tokio::test]
async fn trusts_the_given_ca() {
    ask(named().ca_cert_pem(CA)).await.unwrap();
}

#[tokio::test]
async fn trusts_a_ca_from_file_and_folder() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, CA).unwrap();
    ask(named().ca_cert_file(file)).await.unwrap();
    ask(named().ca_folder(folder.path())).await.unwrap();
}

#[tokio::test]
async fn refuses_another_ca_another_name_and_the_systems_trust() {
    for builder in [
        named().ca_cert_pem(OTHER_CA),
        Client::builder().ca_cert_pem(CA),
        named(),
    ] {
        let failure = ask(builder).await.err().unwrap();
        // A machine without any system CA cannot even set the trust up.
        assert!(
            matches!(failure, Error::Tls { .. } | Error::Config(_)),
            "{failure:?}"
        );
        assert!(!failure.is_retryable());
    }
}

#[tokio::test]
async fn skipping_verification_must_be_asked_for() {
    ask(Client::builder().skip_verify(true)).await.unwrap();
}

#[test]
fn wrong_settings_are_named() {
    let cases = [
        (Client::builder().ca_cert_pem("nonsense"), "the CA text"),
        (
            Client::builder().ca_cert_file("/nonexistent/ca"),
            "/nonexistent/ca",
        ),
        (Client::builder().addr("vault:8200"), "https://"),
        (
            Client::builder().addr("https://user:pw@vault"),
            "must not hold a user",
        ),
        (
            Client::builder().tls_server_name("not a name"),
            "TLS server name",
        ),
        (
            named().ca_cert_pem(CA).client_cert(CA, "MARKER"),
            "client key",
        ),
    ];
    for (builder, part) in cases {
        let failure = builder.build().err().unwrap().to_string();
        assert!(failure.contains(part), "{failure}");
        assert!(
            !failure.contains("MARKER") && !failure.contains("pw"),
            "{failure}"
        );
    }
}
