//! A change of core's own that is run until it commits without a conflict.

/// Times that a change is tried before it is given up.
pub const ATTEMPTS: u32 = 50;

/// Attempts that follow one another at once.
const AT_ONCE: u32 = 4;

/// Before another attempt. Others go first; who keeps losing waits a little longer, since a commit may take a
/// moment to be known everywhere.
pub async fn pause(failed: u32) {
    match failed < AT_ONCE {
        true => tokio::task::yield_now().await,
        false => tokio::time::sleep(std::time::Duration::from_millis(1)).await,
    }
}

/// `committed!(vault, |tx| async expression giving Result<T, Fault>)` gives `Result<T, Fault>`.
///
/// A macro, because an async closure cannot promise that its future is `Send`.
macro_rules! committed {
    ($vault:expr, |$tx:ident| $change:expr) => {{
        let mut attempts = $crate::core::retry::ATTEMPTS;
        loop {
            let mut transaction = $vault.barrier.begin();
            let changed = {
                let $tx = &mut transaction;
                async { $change }.await
            };
            let outcome: Result<_, $crate::core::fault::Fault> = match changed {
                Ok(value) => transaction
                    .commit()
                    .await
                    .map_err($crate::core::fault::Fault::from)
                    .map(|()| value),
                Err(fault) => Err(fault),
            };
            attempts -= 1;
            match outcome {
                Err($crate::core::fault::Fault::Conflict) if attempts > 0 => {
                    $crate::core::retry::pause($crate::core::retry::ATTEMPTS - attempts).await
                }
                outcome => break outcome,
            }
        }
    }};
}

pub(crate) use committed;
