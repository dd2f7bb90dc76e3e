//! One item in the body or many in `batch_input`: the same work, and the answer in the shape of the
//! question. In a batch the failure of one item is that item's alone.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use crate::core::body::Body;
use crate::core::fault::Fault;
use crate::core::reply::Reply;
use crate::engine::secret::{Text, from_base64};

/// What an item may hold; each operation reads what it needs.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Item {
    pub plaintext: Option<Text>,
    pub ciphertext: Option<String>,
    pub input: Option<Text>,
    pub signature: Option<String>,
    pub hmac: Option<String>,
    pub cmac: Option<String>,
    context: Option<Text>,
    associated_data: Option<Text>,
    nonce: Option<String>,
    key_version: Option<i64>,
    /// Comes back with the item's result.
    reference: Option<String>,
}

impl Item {
    fn of(body: &Body) -> Result<Item, Fault> {
        let secret = |name| Ok::<_, Fault>(body.string(name)?.map(Text::new));
        Ok(Item {
            plaintext: secret("plaintext")?,
            ciphertext: body.string("ciphertext")?,
            input: secret("input")?,
            signature: body.string("signature")?,
            hmac: body.string("hmac")?,
            cmac: body.string("cmac")?,
            context: secret("context")?,
            associated_data: secret("associated_data")?,
            nonce: body.string("nonce")?,
            key_version: body.int("key_version")?,
            reference: None,
        })
    }

    pub(super) fn context(&self) -> Result<Zeroizing<Vec<u8>>, Fault> {
        decoded(self.context.as_ref(), "context")
    }

    pub(super) fn associated_data(&self) -> Result<Zeroizing<Vec<u8>>, Fault> {
        decoded(self.associated_data.as_ref(), "associated_data")
    }

    /// 0 is the latest.
    pub(super) fn key_version(&self) -> i64 {
        self.key_version.unwrap_or(0)
    }

    /// A nonce of the caller's would undo the cipher if it came twice (CVE-2023-4680).
    pub(super) fn refuse_nonce(&self) -> Result<(), Fault> {
        match self.nonce.as_deref() {
            None | Some("") => Ok(()),
            Some(_) => Err(Fault::invalid("provided nonce not allowed for this key")),
        }
    }

    fn has_context(&self) -> bool {
        self.context.as_ref().is_some_and(|text| !text.is_empty())
    }
}

fn decoded(text: Option<&Text>, what: &str) -> Result<Zeroizing<Vec<u8>>, Fault> {
    match text {
        Some(text) => from_base64(text.as_str(), what),
        None => Ok(Zeroizing::new(Vec::new())),
    }
}

/// The result of one item: fields of the answer.
pub(super) type Outcome = Result<Map<String, Value>, Fault>;

/// Items that are worked off before others have their turn; an RSA signature takes milliseconds.
const AT_ONCE: usize = 4;

/// The items of a request.
pub(super) struct Batch {
    pub items: Vec<Item>,
    is_single: bool,
    /// HTTP status of a batch of which a part failed.
    partial: Option<u16>,
}

impl Batch {
    pub(super) fn parse(body: &Body) -> Result<Batch, Fault> {
        let kind = "a list of objects with texts";
        let Some(items) = body.typed::<Vec<Item>>("batch_input", kind)? else {
            return Ok(Batch {
                items: vec![Item::of(body)?],
                is_single: true,
                partial: None,
            });
        };
        if items.is_empty() {
            return Err(Fault::invalid("missing batch input to process"));
        }
        let partial = match body.int("partial_failure_response_code")? {
            None => None,
            Some(code) => match u16::try_from(code) {
                Ok(code @ 200..=599) => Some(code),
                _ => {
                    return Err(Fault::invalid(
                        "partial_failure_response_code must be an HTTP status from 200 to 599",
                    ));
                }
            },
        };
        Ok(Batch {
            items,
            is_single: false,
            partial,
        })
    }

    /// Whether the items come with a context: all of them or none.
    pub(super) fn has_context(&self) -> Result<bool, Fault> {
        let first = self.items.first().is_some_and(Item::has_context);
        if self.items.iter().any(|item| item.has_context() != first) {
            return Err(Fault::invalid(
                "context should be set either in all the request blocks or in none",
            ));
        }
        Ok(first)
    }

    /// Does the work; a failed item makes the whole batch answer 400.
    pub(super) async fn each(
        &self,
        work: impl Fn(&Item) -> Outcome + Send,
    ) -> Result<Reply, Fault> {
        let (reply, failed) = self.run(work, &Map::new()).await?;
        let succeeded = self.items.len() > failed;
        Ok(match failed {
            0 => reply,
            _ => reply.status(self.partial.filter(|_| succeeded).unwrap_or(400)),
        })
    }

    /// Does the work; the batch answers 200 even if items failed, as signing does for clients.
    pub(super) async fn each_ok(
        &self,
        work: impl Fn(&Item) -> Outcome + Send,
    ) -> Result<Reply, Fault> {
        Ok(self.run(work, &Map::new()).await?.0)
    }

    /// Whether each item is valid; one that cannot be checked is not.
    pub(super) async fn check(
        &self,
        work: impl Fn(&Item) -> Result<bool, Fault> + Send,
    ) -> Result<Reply, Fault> {
        let told = |valid: bool| Map::from_iter([("valid".to_owned(), Value::from(valid))]);
        let blank = told(false);
        let run = self.run(move |item| work(item).map(told), &blank);
        Ok(run.await?.0)
    }

    /// `blank` is what a failed item says besides its error.
    async fn run(
        &self,
        work: impl Fn(&Item) -> Outcome + Send,
        blank: &Map<String, Value>,
    ) -> Result<(Reply, usize), Fault> {
        if let (true, [item]) = (self.is_single, &self.items[..]) {
            return Ok((Reply::map(work(item)?), 0));
        }
        let mut failed = 0;
        let mut results = Vec::with_capacity(self.items.len());
        for (at, item) in self.items.iter().enumerate() {
            // Whoever shares this thread does not wait for a thousand signatures.
            if at % AT_ONCE == AT_ONCE - 1 {
                tokio::task::yield_now().await;
            }
            let mut result = match work(item) {
                Ok(result) => result,
                Err(Fault::Invalid(text)) => {
                    failed += 1;
                    let mut result = blank.clone();
                    result.insert("error".to_owned(), Value::from(text));
                    result
                }
                Err(fault) => return Err(fault),
            };
            let reference = item.reference.clone().unwrap_or_default();
            result.insert("reference".to_owned(), Value::from(reference));
            results.push(Value::Object(result));
        }
        Ok((Reply::json(json!({ "batch_results": results })), failed))
    }
}

/// `vault:v3:…`: the number of a version and what it made.
pub(super) fn versioned(number: u64, text: &str) -> String {
    format!("vault:v{number}:{text}")
}

/// The reverse. `what` names the thing in errors.
pub(super) fn parse_versioned<'t>(text: &'t str, what: &str) -> Result<(u64, &'t str), Fault> {
    let refuse = |why: &str| Fault::invalid(format!("invalid {what}: {why}"));
    let rest = text
        .strip_prefix("vault:v")
        .ok_or_else(|| refuse("no prefix"))?;
    let (number, rest) = rest
        .split_once(':')
        .ok_or_else(|| refuse("wrong number of fields"))?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    match number.parse() {
        Ok(number) if is_number && number > 0 => Ok((number, rest)),
        _ => Err(refuse("version number could not be decoded")),
    }
}
