//! Login with an SSH key: the server's challenge is signed by an agent, or by `ssh-keygen`.
//!
//! What is signed names the address of the server as this client knows it, so that a server that is
//! configured for it refuses a signature that was made for another one. Private keys are never read.

mod agent;

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::{Answer, Call, Client, Error};

/// As the server expects it (PROTOCOL.sshsig).
const NAMESPACE: &str = "login@vaultd";

/// Where the key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SshKey {
    /// In the agent at `SSH_AUTH_SOCK`: its certificates and keys are tried
    /// in turn.
    Agent,
    /// The file of a private key, or of a public key or certificate whose
    /// private half the agent holds. Signed by `ssh-keygen`, which asks for a
    /// passphrase on the terminal. A certificate beside the key
    /// (`FILE-cert.pub`) is tried first.
    File(PathBuf),
}

/// One way to answer a challenge.
struct Proof {
    /// In SSHSIG form, armored or bare base64.
    signature: String,
    /// A certificate of the key, if the signature does not hold it.
    certificate: Option<String>,
}

/// Logs in with the first proof that the server accepts. A challenge that was
/// refused is still good.
pub(crate) async fn log_in(
    client: &Client,
    mount: &str,
    role: &str,
    key: &SshKey,
) -> Result<Answer, Error> {
    let ask = Call::post(format!("auth/{mount}/challenge"), json!({ "role": role })).no_token();
    let answer = client.send_once(&ask).await?;
    let challenge = answer.data()["challenge"].as_str().unwrap_or_default();
    if !challenge.starts_with("vaultd-ssh-login ") || challenge.chars().any(char::is_control) {
        return Err(Error::Config(
            "the server's challenge is not one of an SSH login; nothing was signed".into(),
        ));
    }
    let origin = client.addr();
    let message = format!("{challenge}\n{origin}");
    let mut last = None;
    let mut signer = Signer::open(key, &message).await?;
    while let Some(proof) = signer.next().await? {
        let body = json!({
            "role": role,
            "challenge": challenge,
            "origin": origin,
            "signature": proof.signature,
            "certificate": proof.certificate,
        });
        let login = Call::post(format!("auth/{mount}/login"), body).no_token();
        match client.send_once(&login).await {
            Err(failure) if failure.status() == Some(400) => last = Some(failure),
            decided => return decided,
        }
    }
    Err(last.unwrap_or_else(|| Error::Config("the SSH agent holds no key; see ssh-add -l".into())))
}

/// Makes one proof after another, each only when it is needed: a key may want to be touched.
enum Signer {
    Agent(agent::Agent, Vec<agent::Identity>, String),
    Made(Vec<Proof>),
}

impl Signer {
    async fn open(key: &SshKey, message: &str) -> Result<Signer, Error> {
        match key {
            SshKey::Agent => {
                let mut agent = agent::Agent::connect().await?;
                let mut identities = agent.identities().await?;
                // Taken from the end: certificates first.
                identities.reverse();
                identities.sort_by_key(agent::Identity::is_certificate);
                Ok(Signer::Agent(agent, identities, message.to_owned()))
            }
            SshKey::File(path) => {
                let signature = with_ssh_keygen(path, message).await?;
                let mut proofs = vec![Proof {
                    signature: signature.clone(),
                    certificate: None,
                }];
                if let Some(certificate) = certificate_beside(path) {
                    proofs.push(Proof {
                        signature,
                        certificate: Some(certificate),
                    });
                }
                Ok(Signer::Made(proofs))
            }
        }
    }

    async fn next(&mut self) -> Result<Option<Proof>, Error> {
        match self {
            Signer::Made(proofs) => Ok(proofs.pop()),
            Signer::Agent(agent, identities, message) => {
                // One that the agent would not use is passed over.
                while let Some(identity) = identities.pop() {
                    if let Some(signature) = agent.sign(&identity, NAMESPACE, message).await? {
                        return Ok(Some(Proof {
                            signature,
                            certificate: None,
                        }));
                    }
                }
                Ok(None)
            }
        }
    }
}

fn certificate_beside(key: &Path) -> Option<String> {
    let name = key.file_name()?.to_str()?;
    let text = std::fs::read_to_string(key.with_file_name(format!("{name}-cert.pub"))).ok()?;
    Some(text.lines().next()?.to_owned())
}

async fn with_ssh_keygen(key: &Path, message: &str) -> Result<String, Error> {
    let failed = |why: &str| {
        Error::Config(format!(
            "ssh-keygen cannot sign with {}: {why}",
            key.display()
        ))
    };
    let mut child = Command::new("ssh-keygen")
        .args(["-q", "-Y", "sign", "-n", NAMESPACE, "-f"])
        .arg(key)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|_| failed("it is not installed (Debian: openssh-client)"))?;
    if let Some(mut input) = child.stdin.take() {
        let sent = input.write_all(message.as_bytes()).await;
        sent.map_err(|_| failed("it ended early"))?;
    }
    let output = child
        .wait_with_output()
        .await
        .map_err(|_| failed("it does not answer"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    match output.status.success() && !text.is_empty() {
        true => Ok(text),
        false => Err(failed(
            String::from_utf8_lossy(&output.stderr)
                .lines()
                .last()
                .unwrap_or("no reason given"),
        )),
    }
}
