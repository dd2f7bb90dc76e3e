//! Removal of values that no metadata names any more, a few in each transaction.

use serde::{Deserialize, Serialize};

use super::model::version_row;
use crate::barrier::View;
use crate::core::fault::Fault;

/// Values removed by one transaction at most.
pub(super) const CHUNK: usize = 40;
/// Values removed by a write besides its own work.
const FEW: usize = 10;
const FOLDER: &str = "purge";

/// What is left to remove of one secret.
#[derive(Serialize, Deserialize)]
struct Rest {
    id: String,
    rows: Vec<u64>,
}

/// Removes some values now and leaves the rest to [`tidy`].
pub(super) async fn few(view: &mut View<'_>, id: &str, rows: Vec<u64>) -> Result<(), Fault> {
    remove(view, id, rows, FEW).await
}

/// The same for a secret that goes; the folders of its path may have to go with it.
pub(super) async fn all(
    view: &mut View<'_>,
    id: &str,
    rows: Vec<u64>,
    path: &str,
) -> Result<(), Fault> {
    remove(
        view,
        id,
        rows,
        CHUNK.saturating_sub(path.split('/').count()),
    )
    .await
}

/// Goes on with what earlier removals left. True if there is more to do, for which to call again
/// in a new transaction.
pub async fn tidy(view: &mut View<'_>) -> Result<bool, Fault> {
    let left = view.list(FOLDER).await?;
    let Some(name) = left.first() else {
        return Ok(false);
    };
    let row = format!("{FOLDER}/{name}");
    if let Some(rest) = view.get::<Rest>(&row).await? {
        view.delete(&row).await?;
        remove(view, &rest.id, rest.rows, CHUNK).await?;
    }
    Ok(!view.list(FOLDER).await?.is_empty())
}

async fn remove(
    view: &mut View<'_>,
    id: &str,
    mut rows: Vec<u64>,
    most: usize,
) -> Result<(), Fault> {
    let left = rows.split_off(rows.len().min(most));
    for row in rows {
        view.delete_unlisted(&version_row(id, row)).await?;
    }
    if let Some(first) = left.first() {
        let name = format!("{FOLDER}/{id}.{first}");
        let rest = Rest {
            id: id.to_owned(),
            rows: left,
        };
        view.put(&name, &rest).await?;
    }
    Ok(())
}
