//! What clients asked for and what they were told, against what is there afterwards.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::server::Client;

const ROWS: usize = 4;

/// Steps of one row: the content after step n is a function of n.
#[derive(Clone, Copy, Default, Debug)]
struct Row {
    submitted: u64,
    acknowledged: u64,
}

/// One writer's rows and tokens.
pub(crate) struct Ledger {
    writer: usize,
    /// In a mount without versions, where they are deleted too.
    plain: [Row; ROWS],
    versioned: [Row; ROWS],
    valid: Vec<String>,
    revoked: Vec<String>,
}

impl Ledger {
    pub(crate) fn new(writer: usize) -> Ledger {
        Ledger {
            writer,
            plain: Default::default(),
            versioned: Default::default(),
            valid: Vec::new(),
            revoked: Vec::new(),
        }
    }

    /// Writes until the server is gone.
    pub(crate) fn write(&mut self, client: &mut Client) -> Result<()> {
        for turn in 0.. {
            let answered = match turn % 8 {
                7 => self.exchange_token(client),
                row @ 0..4 => self.step_plain(client, row),
                row => self.step_versioned(client, row - 4),
            };
            match answered {
                Err(error) if error.downcast_ref::<Refused>().is_some() => return Err(error),
                // No answer: the server was killed, and the outcome is unknown.
                Err(_) => return Ok(()),
                Ok(()) => {}
            }
        }
        Ok(())
    }

    fn step_plain(&mut self, client: &mut Client, row: usize) -> Result<()> {
        let path = format!("plain/w{}/{row}", self.writer);
        self.plain[row].submitted += 1;
        let step = self.plain[row].submitted;
        match plain_after(step) {
            Some(n) => done(client.send("POST", &path, &json!({ "n": n }))?)?,
            None => done(client.send("DELETE", &path, &Value::Null)?)?,
        };
        self.plain[row].acknowledged = step;
        Ok(())
    }

    fn step_versioned(&mut self, client: &mut Client, row: usize) -> Result<()> {
        let path = format!("versioned/data/w{}/{row}", self.writer);
        self.versioned[row].submitted += 1;
        let step = self.versioned[row].submitted;
        done(client.send("POST", &path, &json!({ "data": { "n": step } }))?)?;
        self.versioned[row].acknowledged = step;
        Ok(())
    }

    /// Makes a token; every other one is revoked again.
    fn exchange_token(&mut self, client: &mut Client) -> Result<()> {
        let body = json!({ "ttl": "1h", "policies": ["default"] });
        let answer = done(client.send("POST", "auth/token/create", &body)?)?;
        let token = answer["auth"]["client_token"]
            .as_str()
            .context("no token")?
            .to_owned();
        if (self.valid.len() + self.revoked.len()).is_multiple_of(2) {
            self.valid.push(token);
            return Ok(());
        }
        done(client.send("POST", "auth/token/revoke", &json!({ "token": token }))?)?;
        self.revoked.push(token);
        Ok(())
    }

    pub(crate) fn acknowledged(&self) -> u64 {
        self.plain
            .iter()
            .chain(&self.versioned)
            .map(|row| row.acknowledged)
            .sum()
    }

    /// Everything acknowledged is there, nothing is half there. What was open is settled after.
    pub(crate) fn check(&mut self, client: &mut Client, audit: &Requests) -> Result<()> {
        let directory = format!("plain/w{}", self.writer);
        let listed = client.send("LIST", &directory, &Value::Null)?.1["data"]["keys"].clone();
        let listed: Vec<String> = serde_json::from_value(listed).unwrap_or_default();
        for (name, row) in self.plain.iter_mut().enumerate() {
            let path = format!("{directory}/{name}");
            let found = client.send("GET", &path, &Value::Null)?;
            let n = match found {
                (404, _) => None,
                (200, answer) => Some(answer["data"]["n"].as_u64().context("not a number")?),
                (status, _) => bail!("{path}: {status}"),
            };
            let steps = row.acknowledged..=row.submitted;
            let step = steps.clone().find(|step| plain_after(*step) == n);
            let step = step.with_context(|| {
                format!("{path}: found {n:?}, not the state after any of {steps:?}")
            })?;
            ensure!(
                listed.contains(&name.to_string()) == n.is_some(),
                "{path}: row and listing disagree"
            );
            audit.cover(&path, step)?;
            *row = Row {
                submitted: step,
                acknowledged: step,
            };
        }
        for (name, row) in self.versioned.iter_mut().enumerate() {
            let path = format!("versioned/data/w{}/{name}", self.writer);
            let data = match client.send("GET", &path, &Value::Null)? {
                (404, _) => Value::Null,
                (200, answer) => answer["data"].clone(),
                (status, _) => bail!("{path}: {status}"),
            };
            let step = data["data"]["n"].as_u64().unwrap_or(0);
            let steps = row.acknowledged..=row.submitted;
            ensure!(
                steps.contains(&step),
                "{path}: found {step}, not one of {steps:?}"
            );
            ensure!(
                data["metadata"]["version"].as_u64().unwrap_or(0) == step,
                "{path}: value and version disagree"
            );
            audit.cover(&path, step)?;
            *row = Row {
                submitted: step,
                acknowledged: step,
            };
        }
        self.check_tokens(client)
    }

    fn check_tokens(&self, client: &mut Client) -> Result<()> {
        let look_up = |client: &mut Client, token: &String| {
            client
                .send("POST", "auth/token/lookup", &json!({ "token": token }))
                .map(|(status, _)| status)
        };
        for token in &self.valid {
            ensure!(
                look_up(client, token)? == 200,
                "a token that was given out is gone"
            );
        }
        for token in &self.revoked {
            ensure!(
                look_up(client, token)? != 200,
                "a revoked token is valid again"
            );
        }
        Ok(())
    }
}

/// Every fifth step deletes.
fn plain_after(step: u64) -> Option<u64> {
    (!step.is_multiple_of(5)).then_some(step)
}

/// The server is there and says no.
#[derive(Debug)]
struct Refused(String);

impl std::error::Error for Refused {}

impl std::fmt::Display for Refused {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str(&self.0)
    }
}

fn done((status, answer): (u16, Value)) -> Result<Value> {
    match status {
        200 | 204 => Ok(answer),
        _ => Err(Refused(format!("{status} {answer}")).into()),
    }
}

/// How many requests the audit log has for each path.
#[derive(Default)]
pub(crate) struct Requests(BTreeMap<String, u64>);

impl Requests {
    pub(crate) fn read(dir: &Path) -> Result<Requests> {
        let log = std::fs::read_to_string(dir.join("audit.log"))?;
        let mut count = BTreeMap::new();
        for line in log.lines() {
            // The last line before a kill may be cut off.
            let entry: Value = serde_json::from_str(line).unwrap_or_default();
            let request = &entry["request"];
            let is_write = matches!(
                request["operation"].as_str(),
                Some("create" | "update" | "delete")
            );
            if let (true, Some("request"), Some(path)) =
                (is_write, entry["type"].as_str(), request["path"].as_str())
            {
                *count.entry(path.to_owned()).or_default() += 1;
            }
        }
        Ok(Requests(count))
    }

    /// No effect without its record.
    fn cover(&self, path: &str, effects: u64) -> Result<()> {
        let records = self.0.get(path).copied().unwrap_or(0);
        ensure!(
            records >= effects,
            "{path}: {effects} effects, but {records} audit records"
        );
        Ok(())
    }
}
