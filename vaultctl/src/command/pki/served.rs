//! `pki verify-served`: what a service serves, beside what it should.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::certificate::install::chain_of;
use crate::certificate::leaf::Leaf;
use crate::certificate::probe::{Probe, Seen};
use crate::certificate::record::Records;
use crate::error::{Failure, Outcome, local};
use crate::output::{Format, columns};
use crate::session::Session;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// As it is called on this machine
    #[arg(required_unless_present = "cert")]
    name: Option<String>,
    /// The certificate that should be served, with its chain
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with = "name",
        requires = "targets"
    )]
    cert: Option<PathBuf>,
    #[command(flatten)]
    probe: Probe,
    #[command(flatten)]
    records: Records,
}

pub(super) async fn run(session: &Session, args: Args) -> Outcome {
    let mut probe = args.probe;
    let (path, name) = match (args.name, args.cert) {
        (_, Some(path)) => {
            let host = probe.targets.first().map(|target| target.host().to_owned());
            (path, host.unwrap_or_default())
        }
        (name, None) => {
            let name = name.unwrap_or_default();
            let record = args.records.read(&name)?;
            let spec = match record {
                Some(record) => record.spec,
                // Says which there are.
                None => args.records.open(&name, None)?.record.spec,
            };
            if probe.targets.is_empty() {
                probe.targets.clone_from(&spec.probe.targets);
            }
            probe.server_name = probe.server_name.or(spec.probe.server_name);
            (spec.place.layout.leaf_path(&spec.place.to), spec.wish.name)
        }
    };
    if probe.targets.is_empty() {
        return Err(local(
            "it was not said where to look",
            "give --probe HOST:PORT",
        ));
    }
    let wanted = chain_of(&path)?;
    if probe.probe_seconds.is_some() {
        // Then it may still come; the last look is shown either way.
        let _ = probe.serves(&name, &wanted).await;
    }
    let seen = probe.look(&name).await?;
    let rows: Vec<Value> = seen.iter().map(|seen| row(seen, &wanted)).collect();
    let good = rows.iter().all(|row| row["problem"].is_null());
    match session.out.format {
        Format::Table => {
            let head = ["Address", "Serves", "Ends", "Problem"];
            let mut lines = vec![head.map(str::to_owned).to_vec()];
            for row in &rows {
                let cell = |key: &str| row[key].as_str().unwrap_or("-").to_owned();
                lines.push(
                    ["address", "serial", "not_after", "problem"]
                        .map(cell)
                        .to_vec(),
                );
            }
            session.out.line(columns(&lines).trim_end())?;
        }
        _ => session
            .out
            .document(&json!({ "served": good, "addresses": rows }))?,
    }
    match good {
        true => Ok(()),
        false => Err(Failure::NotServed {
            what: format!("{} is not what is served", path.display()),
            next: Some("reload the program that serves it, and see its log".to_owned()),
        }),
    }
}

fn row(seen: &Seen, wanted: &[Vec<u8>]) -> Value {
    let leaf = seen.chain.as_ref().ok().and_then(|chain| chain.first());
    let leaf = leaf.and_then(|der| Leaf::from_der(der).ok());
    json!({
        "address": seen.address,
        "serial": leaf.as_ref().map(|leaf| &leaf.serial),
        "not_after": leaf.as_ref().map(|leaf| leaf.not_after),
        "problem": seen.differs(wanted),
    })
}
