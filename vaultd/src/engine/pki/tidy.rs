//! Certificates that ended long ago leave the disk, when asked for or at intervals.

use std::num::NonZeroUsize;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::ends::{self, End, Place};
use super::{certs, lists};
use crate::barrier::View;
use crate::core::body::Body;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;

const CONFIG: &str = "config/auto-tidy";
const RUN: &str = "tidy";
/// Certificates of one transaction.
const AT_ONCE: NonZeroUsize = NonZeroUsize::MIN.saturating_add(9);

#[derive(Clone, Serialize, Deserialize)]
#[serde(default)]
struct What {
    tidy_cert_store: bool,
    tidy_revoked_certs: bool,
    /// Seconds after the end.
    safety_buffer: u64,
}

impl Default for What {
    fn default() -> What {
        What {
            tidy_cert_store: false,
            tidy_revoked_certs: false,
            safety_buffer: 72 * 3600,
        }
    }
}

impl What {
    fn update(&mut self, body: &Body) -> Result<(), Fault> {
        if let Some(flag) = body.bool("tidy_cert_store")? {
            self.tidy_cert_store = flag;
        }
        for field in ["tidy_revoked_certs", "tidy_revocation_list"] {
            if let Some(flag) = body.bool(field)? {
                self.tidy_revoked_certs = flag;
            }
        }
        if let Some(seconds) = body.seconds("safety_buffer")? {
            self.safety_buffer = seconds;
        }
        match self.safety_buffer {
            0 => Err(Fault::invalid("safety_buffer must be greater than zero")),
            _ => Ok(()),
        }
    }
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(default)]
struct Auto {
    enabled: bool,
    /// Seconds.
    interval_duration: u64,
    what: What,
    /// `tidy-status` counts what is stored.
    maintain_stored_certificate_counts: bool,
}

impl Default for Auto {
    fn default() -> Auto {
        Auto {
            enabled: false,
            interval_duration: 12 * 3600,
            what: What::default(),
            maintain_stored_certificate_counts: false,
        }
    }
}

/// The last run, or the one that is under way.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default)]
struct Run {
    state: String,
    what: What,
    started: Option<Timestamp>,
    finished: Option<Timestamp>,
    cert_store_deleted: u64,
    revoked_deleted: u64,
    /// How far it has come.
    place: Place,
}

impl Run {
    fn begin(what: What, now: Timestamp) -> Run {
        Run {
            state: "Running".to_owned(),
            what,
            started: Some(now),
            ..Run::default()
        }
    }
}

pub(super) async fn start(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let mut what = What::default();
    what.update(ctx.body())?;
    let run: Run = view.get(RUN).await?.unwrap_or_default();
    if run.state == "Running" {
        return Ok(Reply::none().warn("a tidy operation is under way already; see tidy-status"));
    }
    view.put(RUN, &Run::begin(what, ctx.now())).await?;
    Ok(Reply::none()
        .warn("tidy operation successfully started; see tidy-status for how it goes")
        .status(202))
}

pub(super) async fn cancel(view: &mut View<'_>) -> Result<Reply, Fault> {
    let mut run: Run = view.get(RUN).await?.unwrap_or_default();
    if run.state != "Running" {
        return Err(Fault::invalid("no tidy operation is under way"));
    }
    run.state = "Cancelled".to_owned();
    view.put(RUN, &run).await?;
    status(view).await
}

pub(super) async fn status(view: &mut View<'_>) -> Result<Reply, Fault> {
    let run: Run = view.get(RUN).await?.unwrap_or_default();
    let auto: Auto = view.get(CONFIG).await?.unwrap_or_default();
    let counts = match auto.maintain_stored_certificate_counts {
        true => Some(certs::count(view).await?),
        false => None,
    };
    let state = if run.state.is_empty() {
        "Inactive"
    } else {
        &run.state
    };
    Ok(Reply::json(json!({
        "state": state,
        "tidy_cert_store": run.what.tidy_cert_store,
        "tidy_revoked_certs": run.what.tidy_revoked_certs,
        "safety_buffer": run.what.safety_buffer,
        "time_started": run.started.map(|at| at.to_string()),
        "time_finished": run.finished.map(|at| at.to_string()),
        "cert_store_deleted_count": run.cert_store_deleted,
        "revoked_cert_deleted_count": run.revoked_deleted,
        "current_cert_store_count": counts.map(|(stored, _)| stored),
        "current_revoked_cert_count": counts.map(|(_, revoked)| revoked),
        "error": null,
    })))
}

fn shown(auto: &Auto) -> Reply {
    Reply::json(json!({
        "enabled": auto.enabled,
        "interval_duration": auto.interval_duration,
        "tidy_cert_store": auto.what.tidy_cert_store,
        "tidy_revoked_certs": auto.what.tidy_revoked_certs,
        "safety_buffer": auto.what.safety_buffer,
        "maintain_stored_certificate_counts": auto.maintain_stored_certificate_counts,
    }))
}

pub(super) async fn read_auto(view: &mut View<'_>) -> Result<Reply, Fault> {
    let auto: Auto = view.get(CONFIG).await?.unwrap_or_default();
    Ok(shown(&auto))
}

pub(super) async fn write_auto(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let mut auto: Auto = view.get(CONFIG).await?.unwrap_or_default();
    let body = ctx.body();
    for (field, into) in [
        ("enabled", &mut auto.enabled),
        (
            "maintain_stored_certificate_counts",
            &mut auto.maintain_stored_certificate_counts,
        ),
    ] {
        if let Some(flag) = body.bool(field)? {
            *into = flag;
        }
    }
    if let Some(seconds) = body.seconds("interval_duration")? {
        auto.interval_duration = seconds.max(60);
    }
    auto.what.update(body)?;
    if auto.enabled && !auto.what.tidy_cert_store && !auto.what.tidy_revoked_certs {
        return Err(Fault::invalid(
            "auto-tidy enabled but no tidy operations were requested: set tidy_cert_store or tidy_revoked_certs",
        ));
    }
    view.put(CONFIG, &auto).await?;
    Ok(shown(&auto))
}

/// A little of the run that is under way, or of the one whose time has come; true if there is more.
pub async fn tidy(now: Timestamp, view: &mut View<'_>) -> Result<bool, Fault> {
    let mut run: Run = view.get(RUN).await?.unwrap_or_default();
    if run.state != "Running" {
        let auto: Auto = view.get(CONFIG).await?.unwrap_or_default();
        let wait = i64::try_from(auto.interval_duration).unwrap_or(i64::MAX);
        let due = run
            .started
            .is_none_or(|last| now.duration_since(last) >= SignedDuration::from_secs(wait));
        if !auto.enabled || !due {
            return Ok(false);
        }
        run = Run::begin(auto.what, now);
    }
    let more = run.step(now, view).await?;
    if !more {
        run.state = "Finished".to_owned();
        run.finished = Some(now);
    }
    view.put(RUN, &run).await?;
    Ok(more)
}

impl Run {
    /// Looks at a few of those that ended long enough ago; true if there are more.
    async fn step(&mut self, now: Timestamp, view: &mut View<'_>) -> Result<bool, Fault> {
        let buffer = i64::try_from(self.what.safety_buffer).unwrap_or(i64::MAX);
        let span = SignedDuration::from_secs(buffer);
        let before = now.checked_sub(span).unwrap_or(Timestamp::MIN);
        let ended = ends::after(&self.place, before, AT_ONCE, view).await?;
        for end in &ended {
            self.tidy(end, view).await?;
            self.place = end.place.clone();
        }
        Ok(ended.len() == AT_ONCE.get())
    }

    async fn tidy(&mut self, end: &End, view: &mut View<'_>) -> Result<(), Fault> {
        let revoked = lists::revoked_row(&end.issuer(view).await?, &end.serial);
        let issued = certs::row(&end.serial);
        let mut stays = false;
        for (row, goes, count) in [
            (
                revoked,
                self.what.tidy_revoked_certs,
                &mut self.revoked_deleted,
            ),
            (
                issued,
                self.what.tidy_cert_store,
                &mut self.cert_store_deleted,
            ),
        ] {
            match view.exists(&row).await? {
                true if goes => {
                    view.delete(&row).await?;
                    *count += 1;
                }
                is_there => stays |= is_there,
            }
        }
        if !stays {
            view.delete(&end.row()).await?;
        }
        Ok(())
    }
}
