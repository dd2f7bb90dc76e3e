//! Many secrets in one request, as of one moment. Other servers do not have it: then the paths are
//! read one after another.

use std::sync::atomic::Ordering;

use serde::Deserialize;
use serde_json::{Value, json};
use vault_proto::receipt::Signed;

use crate::wipe::Wiped;
use crate::{Call, Client, Error};

/// Paths in one request; more are asked for in several, and are then of several moments.
const AT_ONCE: usize = 128;

/// What [`Client::read_many`] got.
pub struct Many {
    /// `data` of each path, or why not, in their order.
    pub results: Vec<Result<Value, Error>>,
    /// What was given out, signed by the server; one for every 128 paths. None if it was not asked for
    /// or the server does not know of receipts.
    pub receipts: Vec<Signed>,
}

/// What one path answered.
#[derive(Deserialize)]
struct Part {
    path: String,
    status: u16,
    #[serde(default)]
    errors: Vec<String>,
    #[serde(default)]
    request_id: String,
    #[serde(default)]
    data: Value,
}

/// One path of a batch; with a version, that one instead of the newest.
pub(crate) type Wanted = (String, Option<u64>);

impl Client {
    /// Reads API paths of KV, such as `secret/data/app`, in one request as of one moment: the `data`
    /// of each, or why not, in their order. With a number, that version of KV version 2. `None` if
    /// the server has no batch reads. With receipts, the server signs which versions it gave.
    ///
    /// # Errors
    /// What concerns all of them: no answer, no token, a sealed server.
    pub async fn read_many(
        &self,
        wanted: &[(String, Option<u64>)],
        with_receipts: bool,
    ) -> Result<Option<Many>, Error> {
        let mut receipts = with_receipts.then(Vec::new);
        let results = self.ask(wanted, &mut receipts).await?;
        Ok(results.map(|results| Many {
            results: results
                .into_iter()
                .map(|result| result.map(Wiped::take))
                .collect(),
            receipts: receipts.unwrap_or_default(),
        }))
    }

    /// Reads API paths of KV, such as `secret/data/app`; the data of each, or why not, in their
    /// order. `None` if the server cannot do it.
    pub(crate) async fn batch(
        &self,
        wanted: &[Wanted],
    ) -> Result<Option<Vec<Result<Wiped, Error>>>, Error> {
        self.ask(wanted, &mut None).await
    }

    /// Receipts are asked for if there is a place for them.
    async fn ask(
        &self,
        wanted: &[Wanted],
        receipts: &mut Option<Vec<Signed>>,
    ) -> Result<Option<Vec<Result<Wiped, Error>>>, Error> {
        let mut all = Vec::with_capacity(wanted.len());
        for chunk in wanted.chunks(AT_ONCE) {
            if self.inner.no_batch.load(Ordering::Relaxed) {
                return Ok(None);
            }
            let paths: Vec<Value> = chunk
                .iter()
                .map(|(path, version)| match version {
                    Some(version) => json!({ "path": path, "version": version }),
                    None => path.as_str().into(),
                })
                .collect();
            let body = json!({ "paths": paths, "receipt": receipts.is_some() });
            let call = Call::post("sys/batch", body).repeatable();
            let mut answer = match self.data::<Value>(call).await {
                Ok(answer) => Wiped::from(answer),
                Err(failure) if unknown(&failure) => {
                    self.inner.no_batch.store(true, Ordering::Relaxed);
                    return Ok(None);
                }
                Err(failure) => return Err(failure),
            };
            if let Some(receipts) = receipts {
                let receipt = answer.get_mut("receipt").map(Value::take);
                receipts.extend(receipt.and_then(|receipt| serde_json::from_value(receipt).ok()));
            }
            let Some(Value::Array(results)) = answer.get_mut("results").map(Value::take) else {
                return Ok(None);
            };
            if results.len() != chunk.len() {
                return Ok(None);
            }
            all.extend(results.into_iter().map(outcome));
        }
        Ok(Some(all))
    }
}

/// Whether a failure means that there is no such path. Vault says 403 to callers that no policy lets
/// see it, and 404, with a text, to others.
fn unknown(failure: &Error) -> bool {
    match failure {
        Error::Denied { .. } | Error::NotFound { .. } => true,
        Error::Api { status, .. } => matches!(status, 400 | 404 | 405),
        _ => false,
    }
}

fn outcome(result: Value) -> Result<Wiped, Error> {
    let part: Part = serde_json::from_value(result).map_err(|_| Error::Decode {
        path: "sys/batch".to_owned(),
        cause: "a result has another shape".to_owned(),
    })?;
    let data = Wiped::from(part.data);
    match part.status {
        ..400 => Ok(data),
        status => Err(failure(part.path, status, part.errors, part.request_id)),
    }
}

/// Why one path of many was not read.
pub(crate) fn failure(path: String, status: u16, errors: Vec<String>, request_id: String) -> Error {
    let request_id = Some(request_id).filter(|id| !id.is_empty());
    match status {
        403 => Error::Denied {
            path,
            errors,
            request_id,
        },
        404 => Error::NotFound { path },
        status => Error::Api {
            status,
            errors,
            path,
            request_id,
        },
    }
}
