//! Removal of the cubbyhole of a token that ends, a few values in each transaction.

use crate::barrier::View;
use crate::core::fault::Fault;

/// Conditions of one transaction: a listing is one, a value is one and two for each folder above.
const BUDGET: usize = 100;

/// Removes what fits into one transaction. True if more may be left, for which to call again in a
/// new transaction. Every call makes progress.
pub async fn purge(view: &mut View<'_>, id: &str) -> Result<bool, Fault> {
    let mut spent = 0;
    let mut removed = false;
    let mut folders = vec![id.to_owned()];
    while let Some(folder) = folders.pop() {
        spent += 1;
        for name in view.list(&folder).await? {
            let path = format!("{folder}/{name}");
            if let Some(below) = path.strip_suffix('/') {
                folders.push(below.to_owned());
                continue;
            }
            spent += 1 + 2 * path.split('/').count();
            if removed && spent > BUDGET {
                return Ok(true);
            }
            view.delete(&path).await?;
            removed = true;
        }
        if removed && spent >= BUDGET {
            return Ok(true);
        }
    }
    Ok(false)
}
