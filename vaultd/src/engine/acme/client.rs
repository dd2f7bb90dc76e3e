//! How an authority is reached: over the server's own client, so that its rules hold for whom we trust,
//! deadlines and sizes. And registering there.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http_body_util::BodyExt;
use instant_acme::{
    Account, BodyWrapper, BytesResponse, Error, ExternalAccountKey, HttpClient, NewAccount,
};

use super::account::Registration;
use super::trouble::Trouble;
use crate::engine::secret::Secret;
use crate::outbound::{Failure, Outbound, Trust, Url};

/// What the last answer said beside its body.
#[derive(Default)]
pub(super) struct Last {
    status: Option<u16>,
    /// Seconds.
    retry_after: Option<u64>,
}

/// The library's client, as it wants it.
pub(super) struct Http {
    outbound: Arc<Outbound>,
    trust: Trust,
    last: Arc<Mutex<Last>>,
}

impl HttpClient for Http {
    fn request(
        &self,
        request: http::Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let (outbound, trust) = (Arc::clone(&self.outbound), self.trust.clone());
        let last = Arc::clone(&self.last);
        Box::pin(async move {
            let failed = |failure: Failure| Error::Other(Box::new(failure));
            // The authority names addresses: none of them leaves TLS.
            let url = Url::parse(&request.uri().to_string()).map_err(failed)?;
            if !url.is_tls() {
                return Err(failed(Failure::Url));
            }
            let (parts, body) = request.into_parts();
            let body = body
                .collect()
                .await
                .map_or_else(|no| match no {}, |all| all.to_bytes());
            let request = http::Request::from_parts(parts, body);
            let answer = outbound
                .forward(&trust, &url, request)
                .await
                .map_err(failed)?;
            let header = answer.headers().get(http::header::RETRY_AFTER);
            let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
            *last = Last {
                status: Some(answer.status().as_u16()),
                retry_after: header.and_then(|text| text.to_str().ok()?.trim().parse().ok()),
            };
            Ok(BytesResponse::from(answer.map(http_body_util::Full::new)))
        })
    }
}

/// An authority, before there is an account at it.
pub(super) struct Authority {
    pub directory: Url,
    pub trust: Trust,
}

impl Authority {
    pub(super) fn http(&self, outbound: &Arc<Outbound>) -> (Box<Http>, Arc<Mutex<Last>>) {
        let last = Arc::new(Mutex::new(Last::default()));
        let http = Http {
            outbound: Arc::clone(outbound),
            trust: self.trust.clone(),
            last: Arc::clone(&last),
        };
        (Box::new(http), last)
    }
}

pub(super) fn trouble(error: &Error, last: &Mutex<Last>) -> Trouble {
    let last = last.lock().unwrap_or_else(PoisonError::into_inner);
    Trouble::of(error, last.status, last.retry_after)
}

/// A registered account.
pub struct Registered {
    pub(super) id: String,
    /// PKCS #8, P-256.
    pub(super) key: Secret,
}

pub(super) async fn register(
    authority: &Authority,
    asked: &Registration,
    outbound: &Arc<Outbound>,
) -> Result<Registered, Trouble> {
    let (http, last) = authority.http(outbound);
    let contact: Vec<&str> = asked.contact.iter().map(String::as_str).collect();
    let new = NewAccount {
        contact: &contact,
        terms_of_service_agreed: true,
        only_return_existing: false,
    };
    let external = asked.external.as_ref();
    let external = external.map(|(id, key)| ExternalAccountKey::new(id.clone(), key.expose()));
    let directory = authority.directory.as_str().to_owned();
    let (account, credentials) = Account::builder_with_http(http)
        .create(&new, directory, external.as_ref())
        .await
        .map_err(|error| trouble(&error, &last))?;
    Ok(Registered {
        id: account.id().to_owned(),
        key: Secret::copy(credentials.private_key().secret_pkcs8_der()),
    })
}
