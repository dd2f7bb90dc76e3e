//! The crate vaultrs, unmodified, against a fresh and not yet initialised server at `VAULT_ADDR`
//! that is trusted by `VAULT_CACERT`. Ends with 0 if everything that it tried worked.

mod approle;
mod kv;
mod sys;
mod token;

use rustify::errors::ClientError::ServerResponseError;
use vaultrs::client::{VaultClient, VaultClientSettingsBuilder};
use vaultrs::error::ClientError;

/// A client with this token, and everything else from the environment.
fn client(token: &str) -> VaultClient {
    let settings = VaultClientSettingsBuilder::default()
        .token(token)
        .build()
        .expect("settings");
    VaultClient::new(settings).expect("client")
}

/// The status of an error answer; 0 if it was none. An answer without a list of errors, such as
/// that for a deleted version, is another kind of error to vaultrs.
fn status<T>(result: Result<T, ClientError>) -> u16 {
    match result {
        Err(ClientError::APIError { code, .. })
        | Err(ClientError::RestClientError {
            source: ServerResponseError { code, .. },
        }) => code,
        _ => 0,
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let root = sys::from_new_to_unsealed().await;
    println!("vaultrs: seal status, init, unseal: ok");
    let client = client(&root);
    sys::mounts(&client).await;
    println!("vaultrs: sys mounts and auth: ok");
    sys::policies(&client).await;
    println!("vaultrs: sys policies: ok");
    kv::version_1(&client).await;
    println!("vaultrs: kv1: ok");
    kv::version_2(&client).await;
    println!("vaultrs: kv2: ok");
    approle::all(&client).await;
    println!("vaultrs: approle: ok");
    token::all(&client).await;
    println!("vaultrs: token: ok");
    sys::seals(&client).await;
    println!("vaultrs: seal: ok");
}
