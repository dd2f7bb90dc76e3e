//! Numbers for monitoring, under Vault's names where it has one.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Map, Value, json};

use super::certificates;
use crate::barrier::Tx;
use crate::core::Core;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;
use crate::core::unsealed::Unsealed;

pub(super) enum Kind {
    Gauge,
    Counter,
    /// Count and sum, the sum in milliseconds as Vault has it.
    Summary,
}

pub(super) struct Metric {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) help: &'static str,
    pub(super) samples: Vec<Sample>,
}

pub(super) struct Sample {
    /// Appended to the name.
    pub(super) suffix: &'static str,
    /// Values are ours or an operator's names, never a client's.
    pub(super) labels: Vec<(&'static str, String)>,
    pub(super) value: f64,
}

fn sample(value: u64) -> Sample {
    Sample {
        suffix: "",
        labels: Vec::new(),
        value: value as f64,
    }
}

fn metric(name: &'static str, kind: Kind, help: &'static str, value: u64) -> Metric {
    Metric {
        name,
        kind,
        help,
        samples: vec![sample(value)],
    }
}

fn load(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

fn gather(core: &Core) -> Vec<Metric> {
    let meter = &core.meter;
    let open = u64::from(core.gate.is_open());
    let devices = core.audit.status();
    let answers = ["2xx", "3xx", "4xx", "5xx"].into_iter().zip(&meter.answers);
    let mut all = vec![
        metric("vault_core_unsealed", Kind::Gauge, "1 if unsealed", open),
        metric(
            "vault_core_active",
            Kind::Gauge,
            "1 if this node serves requests",
            open,
        ),
        metric(
            "vault_core_in_flight_requests",
            Kind::Gauge,
            "Requests under way",
            meter.in_flight_count() as u64,
        ),
        Metric {
            name: "vault_core_handle_request",
            kind: Kind::Summary,
            help: "Requests answered since the start, and the milliseconds spent on them",
            samples: vec![
                Sample {
                    suffix: "_sum",
                    labels: Vec::new(),
                    value: load(&meter.micros) as f64 / 1000.0,
                },
                Sample {
                    suffix: "_count",
                    ..sample(load(&meter.requests))
                },
            ],
        },
        metric(
            "vault_core_issued_auth_count",
            Kind::Counter,
            "Answers with a token: logins, new and renewed tokens",
            load(&meter.logins),
        ),
        metric(
            "vault_audit_log_request_failure",
            Kind::Counter,
            "Requests refused because no audit device recorded them or their answer",
            load(&meter.audit_failures),
        ),
        metric(
            "vault_audit_devices_healthy",
            Kind::Gauge,
            "Audit devices that accept records",
            devices.iter().filter(|device| device.healthy).count() as u64,
        ),
        Metric {
            name: "vault_core_answers_total",
            kind: Kind::Counter,
            help: "Answers by class of status",
            samples: answers
                .map(|(class, counter)| Sample {
                    labels: vec![("class", class.to_owned())],
                    ..sample(load(counter))
                })
                .collect(),
        },
    ];
    if let Some(bytes) = resident_bytes() {
        all.push(metric(
            "process_resident_memory_bytes",
            Kind::Gauge,
            "Memory in use",
            bytes,
        ));
    }
    all
}

fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kib * 1024)
}

pub async fn read(
    core: &Core,
    vault: &Unsealed,
    ctx: &Ctx<'_>,
    tx: &mut Tx,
) -> Result<Reply, Fault> {
    let mut metrics = gather(core);
    metrics.extend(certificates::gather(core, vault, ctx.now(), tx).await?);
    match ctx.body().string("format")?.as_deref() {
        Some("prometheus") => Ok(Reply {
            text: Some((
                "text/plain; version=0.0.4; charset=utf-8",
                prometheus(&metrics).into_bytes(),
            )),
            ..Reply::none()
        }),
        None | Some("") => Ok(as_json(ctx, &metrics)),
        Some(_) => Err(Fault::invalid(
            "metrics are given out as JSON or with format=prometheus",
        )),
    }
}

/// Text format 0.0.4.
fn prometheus(metrics: &[Metric]) -> String {
    let mut text = String::new();
    for metric in metrics {
        let kind = match metric.kind {
            Kind::Gauge => "gauge",
            Kind::Counter => "counter",
            Kind::Summary => "summary",
        };
        // Writing to a string does not fail.
        let _ = writeln!(text, "# HELP {} {}", metric.name, metric.help);
        let _ = writeln!(text, "# TYPE {} {kind}", metric.name);
        for sample in &metric.samples {
            let (name, value) = (format!("{}{}", metric.name, sample.suffix), sample.value);
            let labels = sample.labels.iter();
            let labels: Vec<String> = labels
                .map(|(label, is)| format!("{label}=\"{}\"", escaped(is)))
                .collect();
            let _ = match labels.is_empty() {
                false => writeln!(text, "{name}{{{}}} {value}", labels.join(",")),
                true => writeln!(text, "{name} {value}"),
            };
        }
    }
    text
}

/// The value of a label.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"");
    text.replace('\n', "\\n")
}

/// The shape of Vault's own JSON.
fn as_json(ctx: &Ctx<'_>, metrics: &[Metric]) -> Reply {
    let (mut gauges, mut counters): (Vec<Value>, Vec<Value>) = Default::default();
    for metric in metrics {
        for sample in &metric.samples {
            let labels = sample.labels.iter();
            let labels: Map<String, Value> = labels
                .map(|(label, is)| ((*label).to_owned(), is.as_str().into()))
                .collect();
            let (name, value) = (format!("{}{}", metric.name, sample.suffix), sample.value);
            match metric.kind {
                Kind::Gauge => gauges.push(json!({"Name": name, "Value": value, "Labels": labels})),
                Kind::Counter | Kind::Summary => {
                    counters.push(json!({"Name": name, "Count": value, "Labels": labels}));
                }
            }
        }
    }
    let shown = json!({
        "Timestamp": ctx.now().to_string(),
        "Gauges": gauges,
        "Counters": counters,
        "Points": [],
        "Samples": [],
    });
    Reply::json(shown).bare()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_format() {
        let metrics = [
            metric("a", Kind::Gauge, "what a is", 3),
            Metric {
                name: "b",
                kind: Kind::Counter,
                help: "what b is",
                samples: vec![Sample {
                    labels: vec![("class", "2xx".to_owned()), ("a", "\"\\\n".to_owned())],
                    ..sample(7)
                }],
            },
        ];
        let expected = "# HELP a what a is\n# TYPE a gauge\na 3\n\
            # HELP b what b is\n# TYPE b counter\nb{class=\"2xx\",a=\"\\\"\\\\\\n\"} 7\n";
        assert_eq!(prometheus(&metrics), expected);
    }
}
