//! What nobody asks for: keys whose time has come get a new version.

use jiff::Timestamp;
use vault_crypto::Random;

use super::model::{Key, KeyName, ROTATING};
use crate::barrier::{Cursor, View};
use crate::core::fault::Fault;

/// Rotates one key; true if there may be more, for which to call again in a new transaction.
pub async fn tidy(now: Timestamp, random: &dyn Random, view: &mut View<'_>) -> Result<bool, Fault> {
    let mut cursor = Cursor::default();
    loop {
        let names = view.page(ROTATING, &mut cursor).await?;
        if names.is_empty() {
            return Ok(false);
        }
        for name in names {
            let name = KeyName::parse(&name)?;
            let Some(mut key) = Key::load(view, &name).await? else {
                continue;
            };
            if !key.soft_deleted && key.rotate_if_due(now, random).await? {
                key.store(view, &name).await?;
                return Ok(true);
            }
        }
    }
}
