//! What is good once: marked when it is used, until it would have expired.

use jiff::Timestamp;

use crate::barrier::View;
use crate::core::fault::Fault;

const USED: &str = "used";
/// Marks removed in one transaction.
const CHUNK: usize = 20;

/// A mark. `expires` in seconds since 1970; `id` is in hex.
pub(super) struct Mark<'a> {
    pub expires: i64,
    pub id: &'a str,
}

impl Mark<'_> {
    fn row(&self) -> String {
        // As many digits for each, so that names sort by time.
        let expires = self.expires.clamp(0, 999_999_999_999);
        format!("{USED}/{expires:012}-{}", self.id)
    }

    pub(super) async fn is_set(&self, view: &mut View<'_>) -> Result<bool, Fault> {
        Ok(view.exists(&self.row()).await?)
    }

    /// False if it was set before. Of two that come at once, one commits first and the other finds
    /// its mark.
    pub(super) async fn set(&self, view: &mut View<'_>) -> Result<bool, Fault> {
        if self.is_set(view).await? {
            return Ok(false);
        }
        view.put(&self.row(), &()).await?;
        Ok(true)
    }
}

/// Forgets marks of what would be too old anyway. True if there is more to do.
pub async fn tidy(now: Timestamp, view: &mut View<'_>) -> Result<bool, Fault> {
    let bound = format!("{:012}", now.as_second());
    let used = view.list(USED).await?;
    let mut old = used.into_iter().take_while(|name| *name < bound).peekable();
    for name in old.by_ref().take(CHUNK) {
        view.delete(&format!("{USED}/{name}")).await?;
    }
    Ok(old.peek().is_some())
}
