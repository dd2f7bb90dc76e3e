//! `get REF`: one value, or all values of one secret.

use serde_json::Value;

use super::kv;
use crate::error::Outcome;
use crate::mount::locate;
use crate::output::Content;
use crate::reference::Reference;
use crate::session::Session;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// [vault://]MOUNT/PATH[#KEY]
    reference: Reference,
    /// An older version
    #[arg(long)]
    version: Option<u64>,
}

pub(crate) async fn run(session: &Session, args: Args) -> Outcome {
    let place = locate(session, None, &args.reference.path).await?;
    let secret = kv::fetch(session, &place, args.version).await?;
    match &args.reference.key {
        Some(key) => session
            .out
            .value(kv::value(&secret.data, key, &place)?, Content::Stored),
        None => session.out.rows(
            &secret.data.into_iter().collect::<Vec<(String, Value)>>(),
            Content::Stored,
        ),
    }
}
