//! `kv delete`, `undelete`, `destroy`, `rollback`.

use serde_json::json;
use vault_sdk::Call;

use super::{Place, secret, write};
use crate::command::numbers;
use crate::error::Outcome;
use crate::prompt;
use crate::session::Session;

#[derive(clap::Args)]
pub(crate) struct Delete {
    #[command(flatten)]
    place: Place,
    /// These versions, like 1,2; without it the newest
    #[arg(long)]
    versions: Option<String>,
}

#[derive(clap::Args)]
pub(crate) struct Chosen {
    #[command(flatten)]
    place: Place,
    /// These versions, like 1,2
    #[arg(long)]
    versions: String,
}

#[derive(clap::Args)]
pub(crate) struct Rollback {
    #[command(flatten)]
    place: Place,
    /// The version to write again
    #[arg(long)]
    version: u64,
}

pub(super) async fn delete(session: &Session, args: Delete) -> Outcome {
    let place = args.place.find(session).await?;
    let name = place.plain();
    if let Some(versions) = &args.versions {
        place.needs_v2()?;
        let call = Call::post(
            place.v2("delete"),
            json!({ "versions": numbers(versions)? }),
        );
        return session
            .act(call, &format!("Data deleted (if it existed) at: {name}"))
            .await;
    }
    // Version 1 keeps nothing to bring back.
    if place.version != 2 && !session.face.is_compat() {
        prompt::confirm(session.yes, &format!("delete {name} for good"), &name)?;
    }
    session
        .act(
            Call::delete(place.data()),
            &format!("Data deleted (if it existed) at: {name}"),
        )
        .await
}

pub(super) async fn undelete(session: &Session, args: Chosen) -> Outcome {
    let place = args.place.find(session).await?;
    place.needs_v2()?;
    let call = Call::post(
        place.v2("undelete"),
        json!({ "versions": numbers(&args.versions)? }),
    );
    session
        .act(call, &format!("Data written to: {}", place.plain()))
        .await
}

pub(super) async fn destroy(session: &Session, args: Chosen) -> Outcome {
    let versions = numbers(&args.versions)?;
    let place = args.place.find(session).await?;
    place.needs_v2()?;
    let name = place.plain();
    if !session.face.is_compat() {
        prompt::confirm(
            session.yes,
            &format!("erase versions {} of {name} for good", args.versions),
            &name,
        )?;
    }
    session
        .act(
            Call::post(place.v2("destroy"), json!({ "versions": versions })),
            &format!("Data destroyed (if it existed) at: {name}"),
        )
        .await
}

pub(super) async fn rollback(session: &Session, args: Rollback) -> Outcome {
    let place = args.place.find(session).await?;
    place.needs_v2()?;
    let metadata = session.send(Call::get(place.v2("metadata"))).await?;
    let newest = metadata.data()["current_version"].as_u64().unwrap_or(0);
    let old = secret::fetch(session, &place, Some(args.version)).await?;
    let answer = write::store(session, &place, old.data, Some(newest)).await?;
    write::tell(session, &place, answer)
}
