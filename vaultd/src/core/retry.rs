//! A change of core's own that is run until it commits without a conflict.

/// Times that a change is tried before it is given up.
pub const ATTEMPTS: u32 = 50;

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
                    tokio::task::yield_now().await
                }
                outcome => break outcome,
            }
        }
    }};
}

pub(crate) use committed;
