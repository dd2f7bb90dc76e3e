//! `sys/fingerprints`: what a scanner needs to find stored values in files, without the values.
//!
//! Promises: each secret is authorised, recorded and counted as a read of it; the key is the caller's
//! own and of this unsealing, so that two callers' fingerprints cannot be compared; values that are
//! short or look guessable have none, and it is told how many those are. Not promised: whoever has
//! key and fingerprints can test guesses of the values that do have one.

mod forms;

use serde_json::{Value, json};
use vault_crypto::{Fingerprinter, Key, Label};

use super::batch::{self, Part};
use super::context::Ctx;
use super::fault::Fault;
use super::mount::Kind;
use super::reply::{Data, Reply};
use super::unsealed::Unsealed;
use super::{Core, dispatch::Resolved};
use forms::{forms, is_guessable};

/// Deeper values are left out.
const DEPTH_MAX: usize = 16;

pub async fn read(core: &Core, vault: &Unsealed, ctx: &Ctx<'_>) -> Result<Data, Fault> {
    let caller = ctx.caller.ok_or(Fault::BadToken)?;
    let wanted = batch::below_data(&vault.mounts.load(), batch::wanted(ctx)?);
    let gathered = batch::gather(core, vault, ctx, wanted).await?;
    let prf = vault.barrier.keyring().prf(Label::Fingerprints);
    let key = prf.tag(&[vault.epoch.as_bytes(), caller.id.as_bytes()]);
    let fingerprinter = Fingerprinter::new(&Key::from_boxed(key));
    let results: Vec<Value> = gathered
        .iter()
        .map(|(part, outcome)| tell(&fingerprinter, part, outcome))
        .collect();
    let answer = json!({"key": hex::encode(key), "results": results});
    Ok(Data::Raw(answer.to_string()))
}

fn tell(fingerprinter: &Fingerprinter, part: &Part, outcome: &Result<Reply, Fault>) -> Value {
    let mut told = batch::head(part, outcome);
    let mut found = Found {
        fingerprinter,
        fingerprints: Vec::new(),
        skipped: 0,
    };
    if let Ok(reply) = outcome
        && let Data::Raw(text) = &reply.data
    {
        let values: Value = serde_json::from_str(text).unwrap_or_default();
        let versioned = matches!(&part.resolved,
            Resolved::Target(target) if target.mount.kind == Kind::Kv2);
        found.look(if versioned { &values["data"] } else { &values }, "", 0);
    }
    told["fingerprints"] = found.fingerprints.into();
    told["skipped"] = found.skipped.into();
    told
}

struct Found<'a> {
    fingerprinter: &'a Fingerprinter,
    fingerprints: Vec<Value>,
    /// Values that are short or look guessable.
    skipped: u64,
}

impl Found<'_> {
    fn look(&mut self, value: &Value, name: &str, depth: usize) {
        match value {
            Value::String(text) => self.take(text.trim(), name),
            Value::Object(map) if depth < DEPTH_MAX => {
                for (key, value) in map {
                    let name = match name {
                        "" => key.clone(),
                        _ => format!("{name}.{key}"),
                    };
                    self.look(value, &name, depth + 1);
                }
            }
            Value::Array(list) if depth < DEPTH_MAX => {
                for value in list {
                    self.look(value, name, depth + 1);
                }
            }
            _ => {}
        }
    }

    fn take(&mut self, text: &str, name: &str) {
        if is_guessable(text) {
            self.skipped += 1;
            return;
        }
        for (form, bytes) in forms(text) {
            let mut first = [0; Fingerprinter::WINDOW];
            first.copy_from_slice(&bytes[..Fingerprinter::WINDOW]);
            self.fingerprints.push(json!({
                "name": name,
                "form": form,
                "length": bytes.len(),
                "bucket": self.fingerprinter.bucket(u64::from_le_bytes(first)),
                "tag": hex::encode(self.fingerprinter.tag(&bytes)),
            }));
        }
    }
}
