//! The accessors of all tokens: every entry is read, a page at a time.

use super::fault::Fault;
use super::lease::Walk;
use super::mount::reserved;
use crate::barrier::{Cursor, Tx, Window};

/// Sorted.
pub async fn list(tx: &mut Tx, window: &Window) -> Result<Vec<String>, Fault> {
    let mut found = window.gather();
    let mut cursor = Cursor::default();
    let mut view = tx.view(reserved::TOKENS);
    view.check_directory("endless").await?;
    loop {
        let names = view.page("endless", &mut cursor).await?;
        if names.is_empty() {
            break;
        }
        names.into_iter().for_each(|name| found.add(name));
    }
    let mut walk = Walk::below("");
    while let Some((folder, names)) = walk.next(tx).await? {
        tx.view(reserved::TOKENS).check_directory(&folder).await?;
        let ids = names.iter().filter_map(|name| name.strip_prefix('h'));
        ids.for_each(|id| found.add(id.to_owned()));
    }
    Ok(found.sorted())
}
