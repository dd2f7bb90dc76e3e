//! A machine of Google's Compute Engine, and the identity token that its metadata server gives: what the
//! machine logs in with instead of a stored secret.
//!
//! Source: "Verify the identity of an instance" (cloud.google.com/compute/docs/instances).

use std::time::Duration;

use tokio::time::timeout;

use crate::transport::{Encoded, Transport, encode_query};
use crate::{Error, Secret};

/// Where the metadata server is, as Google's own libraries are told; reached from the machine only.
const HOST: &str = "GCE_METADATA_HOST";
const USUAL: &str = "metadata.google.internal";
const PATIENCE: Duration = Duration::from_secs(10);

/// Gets the machine's identity token in its full form, made for an audience.
///
/// # Errors
/// [`Error::Config`] if this is no such machine, or it has no service account.
pub async fn identity(audience: &str) -> Result<Secret, Error> {
    let host = std::env::var(HOST).ok().filter(|host| !host.is_empty());
    let host = host.as_deref().unwrap_or(USUAL);
    let url = format!(
        "http://{host}/computeMetadata/v1/instance/service-accounts/default/identity?audience={}&format=full",
        encode_query(audience)
    );
    let call = Encoded::get(&url, "metadata-flavor", &Secret::new("Google"))?;
    let server = Transport::elsewhere("the metadata server")?;
    let nowhere = || {
        Error::Config(
            "no metadata server answers with an identity token: this is no instance of Google Cloud \
             with a service account; give jwt=@FILE"
                .to_owned(),
        )
    };
    let answer = match timeout(PATIENCE, server.exchange(&call, None)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) | Err(_) => return Err(nowhere()),
    };
    // Who answers every name puts no such header.
    let flavor = answer.headers.get("metadata-flavor");
    let token = answer.body.as_str().unwrap_or_default().trim();
    match flavor.is_some_and(|flavor| flavor == "Google") && !token.is_empty() {
        true => Ok(Secret::new(token)),
        false => Err(nowhere()),
    }
}
