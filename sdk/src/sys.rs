//! The server itself: health and seal.

use serde_json::json;
use vault_proto::seal::{Health, InitRequest, InitResponse, SealStatus, UnsealRequest};
use vault_proto::{Sensitive, seal};

use crate::typed::to_object;
use crate::{Call, Client, Error, Secret};

/// Made by [`Client::sys`].
pub struct Sys<'a>(&'a Client);

impl Client {
    /// The server itself.
    pub fn sys(&self) -> Sys<'_> {
        Sys(self)
    }
}

impl Sys<'_> {
    /// Answers while sealed, uninitialised and in standby too.
    pub async fn health(&self) -> Result<Health, Error> {
        let call = Call::get("sys/health").no_token();
        self.0.bare(call.accept(&[429, 472, 473, 501, 503])).await
    }

    /// Answers while sealed too.
    pub async fn seal_status(&self) -> Result<SealStatus, Error> {
        self.0.bare(Call::get("sys/seal-status").no_token()).await
    }

    /// Whether the server was ever initialised.
    pub async fn is_initialized(&self) -> Result<bool, Error> {
        let status: seal::InitStatus = self.0.bare(Call::get("sys/init").no_token()).await?;
        Ok(status.initialized)
    }

    /// Makes the keys. The answer is the only time they are shown.
    pub async fn init(&self, request: &InitRequest) -> Result<InitResponse, Error> {
        let call = Call::put("sys/init", to_object(request)?);
        self.0.bare(call.no_token()).await
    }

    /// Gives one share of the unseal key.
    pub async fn unseal(&self, share: &Secret) -> Result<SealStatus, Error> {
        let request = UnsealRequest {
            key: Some(Sensitive::new(share.expose().to_owned())),
            ..UnsealRequest::default()
        };
        // The same share twice counts once.
        let call = Call::put("sys/unseal", to_object(request)?).repeatable();
        self.0.bare(call.no_token()).await
    }

    /// Forgets the shares given so far.
    pub async fn reset_unseal(&self) -> Result<SealStatus, Error> {
        let call = Call::put("sys/unseal", json!({ "reset": true })).repeatable();
        self.0.bare(call.no_token()).await
    }

    /// Wipes the keys from the server's memory.
    pub async fn seal(&self) -> Result<(), Error> {
        self.0
            .send(Call::put("sys/seal", json!({})))
            .await
            .map(drop)
    }
}
