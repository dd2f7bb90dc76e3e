//! The private key with what vouches for it: what a web server is given.

use serde_json::json;
use vault_crypto::PrivateKey;

use super::cert::{self, Cert, Pair};
use super::certs;
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;

pub(super) async fn read(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let (name, cert) = Cert::named(ctx, view).await?;
    let number = certs::chosen(ctx, &cert)?;
    let pair: Option<Pair> = view.get(&cert::pair_row(&name, number)).await?;
    let (Some(pair), Some(version)) = (pair, cert.versions.get(&number)) else {
        return Err(Fault::Internal("a version without its pair"));
    };
    let failed = |_| Fault::Internal("a stored key is unusable");
    let key = PrivateKey::from_pkcs8(pair.key.expose()).map_err(failed)?;
    let (own, chain) = split(&pair.chain);
    Ok(Reply::json(json!({
        "private_key": *key.to_pem().map_err(failed)?,
        "private_key_type": if version.key_type.name().starts_with("rsa") { "rsa" } else { "ec" },
        "certificate": own,
        "ca_chain": chain,
        "serial_number": version.serial,
        "expiration": version.not_after.as_second(),
        "names": version.names,
        "version": number,
    })))
}

/// The certificate, and what follows it.
fn split(pem: &str) -> (String, Vec<String>) {
    let mut parts = pem
        .split_inclusive("-----END CERTIFICATE-----")
        .map(str::trim);
    let own = parts.next().unwrap_or_default().to_owned();
    let rest = parts.filter(|part| !part.is_empty()).map(str::to_owned);
    (own, rest.collect())
}
