//! `ssh known-hosts`: the pinned keys of hosts, for ssh and by hand.
//!
//! Promise: a host that shows another key than those pinned is an error here and an event at the
//! server, and nothing replaces a pin but `add --replace`.

mod line;
mod scan;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use vault_sdk::Call;
use vault_ssh::Key;

use super::raw::keys;
use crate::error::{Failure, Outcome, file, local, plain, remote};
use crate::output::{Content, Format, columns};
use crate::prompt;
use crate::session::{Session, text};
use line::Line;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where the sshkeys engine is mounted
    #[arg(long, default_value = "sshkeys", value_name = "PATH", global = true)]
    mount: String,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Which hosts, their fingerprints, from where and since when
    List,
    /// What is known of one host
    Show { host: String },
    /// Pin keys: of a host and a key line, or lines of a known_hosts file
    Add(Add),
    /// Pin what a forge publishes about itself: GitHub's list over HTTPS
    Import {
        host: String,
        /// The forge, as the sshkeys engine names it [default: github.com itself]
        #[arg(long)]
        forge: Option<String>,
    },
    /// Ask a host for its keys, show their fingerprints, and pin them if you say so
    Scan {
        /// A name or an address; [HOST]:PORT if the port is not 22
        host: String,
        /// Pin the key with this fingerprint, without asking: SHA256:…
        #[arg(long, value_name = "FINGERPRINT")]
        fingerprint: Option<String>,
    },
    /// Ask hosts for their keys, and compare them with those pinned [exit 2: one has changed]
    Check {
        /// [default: all]
        hosts: Vec<String>,
    },
    /// Forget a host
    Remove { host: String },
}

#[derive(clap::Args)]
struct Add {
    /// host or [host]:port; *.domain for all hosts below it
    #[arg(required_unless_present = "file", conflicts_with = "file")]
    host: Option<String>,
    /// 'ssh-ed25519 AAAA…'
    #[arg(requires = "host")]
    key: Vec<String>,
    /// The key is that of an authority that signs certificates of the host
    #[arg(long, requires = "host")]
    authority: bool,
    /// Lines of known_hosts, @cert-authority too; - reads stdin
    #[arg(long)]
    file: Option<PathBuf>,
    /// Where they are from
    #[arg(long)]
    source: Option<String>,
    /// Instead of those that are pinned
    #[arg(long)]
    replace: bool,
}

/// One engine, as a session sees it.
struct Pins<'a> {
    session: &'a Session,
    mount: String,
}

pub(crate) async fn run(session: &Session, args: Args) -> Outcome {
    let pins = Pins {
        session,
        mount: args.mount.trim_matches('/').to_owned(),
    };
    match args.command {
        None => pins.print().await,
        Some(Command::List) => pins.list().await,
        Some(Command::Show { host }) => session.show(pins.get(&host), Content::Open).await,
        Some(Command::Add(add)) => pins.add(&add).await,
        Some(Command::Import { host, forge }) => pins.import(&host, forge).await,
        Some(Command::Scan { host, fingerprint }) => pins.scan(&host, fingerprint).await,
        Some(Command::Check { hosts }) => pins.check(hosts).await,
        Some(Command::Remove { host }) => {
            prompt::confirm(session.yes, &format!("forget the keys of {host}"), &host)?;
            let call = Call::delete(pins.path(&host, ""));
            session.act(call, &format!("Forgot {host}")).await
        }
    }
}

impl Pins<'_> {
    fn path(&self, host: &str, rest: &str) -> String {
        format!("{}/known-hosts/{host}{rest}", self.mount)
    }

    fn get(&self, host: &str) -> Call {
        Call::get(self.path(host, ""))
    }

    async fn hosts(&self) -> Outcome<Vec<String>> {
        let call = Call::list(format!("{}/known-hosts", self.mount)).accept(&[404]);
        Ok(keys(self.session.send(call).await?.data()))
    }

    async fn all(&self) -> Outcome<Vec<Value>> {
        let mut all = Vec::new();
        for host in self.hosts().await? {
            all.push(self.session.send(self.get(&host)).await?.data().clone());
        }
        Ok(all)
    }

    /// As a known_hosts file.
    async fn print(&self) -> Outcome {
        let all = self.all().await?;
        let lines = all.iter().flat_map(|host| texts(&host["lines"]));
        let lines: Vec<_> = lines.collect();
        match self.session.out.format {
            Format::Table => lines
                .iter()
                .try_for_each(|line| self.session.out.line(line)),
            _ => self.session.out.document(&json!(lines)),
        }
    }

    async fn list(&self) -> Outcome {
        let all = self.all().await?;
        if self.session.out.format != Format::Table {
            return self.session.out.document(&all.into());
        }
        let heading = ["Host", "Fingerprint", "Source", "Since"];
        let mut lines = vec![heading.map(str::to_owned).to_vec()];
        for host in &all {
            let since = text(host, "since")?;
            let since = since.split('T').next().unwrap_or(since);
            let authorities = texts(&host["authorities"]).map(|_| "certificates".to_owned());
            let shown = texts(&host["fingerprints"]).chain(authorities);
            for fingerprint in shown {
                let (name, source) = (text(host, "host")?, text(host, "source")?);
                let line = [name, &fingerprint, source, since];
                lines.push(line.map(str::to_owned).to_vec());
            }
            if host["changed"].is_object() {
                let shown: Vec<_> = texts(&host["changed"]["fingerprints"]).collect();
                let note = format!("CHANGED: it showed {}", shown.join(", "));
                lines.push(vec![text(host, "host")?.to_owned(), note]);
            }
        }
        self.session.out.line(columns(&lines).trim_end())
    }

    async fn add(&self, add: &Add) -> Outcome {
        let lines = match (&add.host, &add.file) {
            (Some(host), _) => {
                let key = Key::from_line(&add.key.join(" ")).map_err(|_| {
                    local(
                        "that is no public key",
                        "give it as one word or three: 'ssh-ed25519 AAAA…'",
                    )
                })?;
                vec![Line {
                    host: host.clone(),
                    key: key.line(),
                    authority: add.authority,
                }]
            }
            (None, Some(path)) => line::parse(&read(path)?)?,
            (None, None) => return Err(local("no host is named", "give HOST KEY, or --file FILE")),
        };
        let source = add.source.clone().unwrap_or_else(|| match &add.file {
            Some(path) => format!("file {}", path.display()),
            None => "by hand".to_owned(),
        });
        for (host, body) in line::bodies(&lines) {
            self.pin(&host, body, &source, add.replace).await?;
            self.session.out.done(&format!("Pinned {host}"))?;
        }
        Ok(())
    }

    async fn pin(&self, host: &str, mut body: Value, source: &str, replace: bool) -> Outcome {
        body["source"] = source.into();
        body["replace"] = replace.into();
        let call = Call::post(self.path(host, ""), body);
        match self.session.send(call).await {
            Err(Failure::Call(error)) if error.status() == Some(400) && !replace => Err(remote(
                format!("{host}: {error}"),
                "see what is pinned: vaultctl ssh known-hosts show HOST; if its operator changed it, add --replace",
            )),
            other => other.map(drop),
        }
    }

    async fn import(&self, host: &str, forge: Option<String>) -> Outcome {
        let call = Call::post(self.path(host, "/import"), json!({ "forge": forge }));
        let answer = self.session.send(call).await?;
        let found: Vec<_> = texts(&answer.data()["fingerprints"]).collect();
        self.session
            .out
            .done(&format!("Pinned {host}: {}", found.join(", ")))
    }

    async fn scan(&self, host: &str, fingerprint: Option<String>) -> Outcome {
        let shown = scan::keys(host).await?;
        if let Some(known) = self.compare(host, &shown).await? {
            return known;
        }
        let prints = shown.iter().map(Key::fingerprint);
        let wanted: Vec<&Key> = match &fingerprint {
            Some(wanted) => {
                let found = shown.iter().find(|key| key.fingerprint() == *wanted);
                let found = found.ok_or_else(|| {
                    let prints: Vec<_> = prints.collect();
                    remote(
                        format!(
                            "{host} shows no key with that fingerprint, but {}",
                            prints.join(", ")
                        ),
                        "ask its operator; nothing was pinned",
                    )
                })?;
                vec![found]
            }
            None => {
                for key in &shown {
                    eprintln!("{host} {} {}", key.fingerprint(), key.algorithm());
                }
                eprintln!("Compare them with what its operator says, over another way.");
                prompt::confirm(false, &format!("pin these keys for {host}"), host)
                    .map_err(|_| not_scanned(host))?;
                shown.iter().collect()
            }
        };
        let lines: Vec<String> = wanted.iter().map(|key| key.line()).collect();
        let source = match fingerprint {
            Some(_) => "scanned, with a fingerprint that was given",
            None => "scanned, and confirmed by a person",
        };
        self.pin(host, json!({ "keys": lines }), source, false)
            .await?;
        self.session.out.done(&format!("Pinned {host}"))
    }

    /// `None` if nothing is pinned for the host.
    async fn compare(&self, host: &str, shown: &[Key]) -> Outcome<Option<Outcome>> {
        let lines: Vec<String> = shown.iter().map(Key::line).collect();
        let call = Call::post(self.path(host, "/compare"), json!({ "keys": lines }));
        let answer = self.session.send(call.accept(&[404])).await?;
        if answer.status == 404 {
            return Ok(None);
        }
        let data = answer.data();
        if data["changed"] == true {
            let prints: Vec<_> = shown.iter().map(Key::fingerprint).collect();
            return Ok(Some(Err(remote(
                format!(
                    "THE KEY OF {host} HAS CHANGED: it shows {}",
                    prints.join(", ")
                ),
                "somebody may be listening: ask its operator; if it is right, add it with --replace",
            ))));
        }
        let more = match data["more"] == true {
            true => "; it has others too, which are not pinned",
            false => "",
        };
        let done = format!("{host} shows a pinned key{more}");
        Ok(Some(self.session.out.done(&done)))
    }

    async fn check(&self, hosts: Vec<String>) -> Outcome {
        let hosts = match hosts.is_empty() {
            // A pattern is no host.
            true => self
                .hosts()
                .await?
                .into_iter()
                .filter(|h| !h.starts_with('*'))
                .collect(),
            false => hosts,
        };
        let mut worst = Ok(());
        for host in hosts {
            let outcome = match scan::keys(&host).await {
                Ok(shown) => match self.compare(&host, &shown).await {
                    Ok(Some(outcome)) => outcome,
                    Ok(None) => Err(local(
                        format!("nothing is pinned for {host}"),
                        "pin its keys: vaultctl ssh known-hosts scan HOST",
                    )),
                    Err(failure) => Err(failure),
                },
                Err(failure) => Err(failure),
            };
            if let Err(failure) = outcome {
                failure.report(self.session.out.format == Format::Json);
                worst = Err(Failure::Silent(2));
            }
        }
        worst
    }
}

fn not_scanned(host: &str) -> Failure {
    local(
        "not confirmed, nothing was pinned",
        format!(
            "where nobody can be asked: vaultctl ssh known-hosts scan '{host}' --fingerprint SHA256:…"
        ),
    )
}

fn texts(value: &Value) -> impl Iterator<Item = String> + '_ {
    let items = value.as_array().into_iter().flatten();
    items.filter_map(Value::as_str).map(str::to_owned)
}

fn read(path: &Path) -> Outcome<String> {
    match path == Path::new("-") {
        true => std::io::read_to_string(std::io::stdin())
            .map_err(|error| plain(format!("cannot read stdin: {error}"))),
        false => std::fs::read_to_string(path).map_err(|error| file("read", path, &error)),
    }
}
