//! systemd's view of an app that waits (sd_notify(3)); nothing without `$NOTIFY_SOCKET`.

use std::time::Duration;

use sd_notify::NotifyState;

/// Says that starting takes longer: systemd waits this much more, from now on.
pub(crate) fn still_waiting(more: Duration) {
    let micros = u32::try_from(more.as_micros()).unwrap_or(u32::MAX);
    let told = sd_notify::notify(&[
        NotifyState::ExtendTimeoutUsec(micros),
        NotifyState::Status("waiting for the secrets server"),
    ]);
    if let Err(error) = told {
        tracing::debug!(%error, "systemd was not told");
    }
}
