//! Numbers for node_exporter's textfile collector.

use std::fmt::Write as _;
use std::path::Path;

use jiff::Timestamp;

use crate::atomic;
use crate::certificate::record::Record;
use crate::error::Outcome;

pub(super) fn write(path: &Path, records: &[(String, Option<Record>)], now: Timestamp) -> Outcome {
    atomic::replace(path, text(records, now).as_bytes(), 0o644)
}

fn text(records: &[(String, Option<Record>)], now: Timestamp) -> String {
    let end = |record: &Record| Some(record.installed.as_ref()?.not_after.as_second() as f64);
    let seconds = now.as_second() as f64;
    type Of<'a> = &'a dyn Fn(&Record) -> Option<f64>;
    let metrics: [(&str, &str, Of<'_>); 4] = [
        (
            "vaultctl_certificate_not_after_seconds",
            "When the installed certificate ends, in seconds since 1970",
            &end,
        ),
        (
            "vaultctl_certificate_days_left",
            "Days until the installed certificate ends, when this was written",
            &|record| Some((end(record)? - seconds) / 86_400.0),
        ),
        (
            "vaultctl_certificate_last_error",
            "1 if the last try failed",
            &|record| Some(f64::from(u8::from(record.failure.is_some()))),
        ),
        (
            "vaultctl_certificate_installed_seconds",
            "When the certificate was installed, in seconds since 1970",
            &|record| Some(record.installed_at?.as_second() as f64),
        ),
    ];
    let mut text = String::new();
    for (name, help, of) in metrics {
        // Writing to a string does not fail.
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
        for (label, record) in records {
            if let Some(value) = record.as_ref().and_then(of) {
                let label = label.replace('\\', "\\\\").replace('"', "\\\"");
                let _ = writeln!(text, "{name}{{name=\"{label}\"}} {value}");
            }
        }
    }
    text
}
