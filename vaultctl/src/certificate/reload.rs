//! Having a program take up its new certificate. Its word that it did is not believed: see `probe`.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::process::Command;
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::error::{Outcome, file, local};

/// A program that takes longer is taken for one that hangs.
const LIMIT: Duration = Duration::from_secs(60);

/// Tokens are of no use to what reloads.
const STRIPPED: [&str; 5] = [
    "VAULT_TOKEN",
    "BAO_TOKEN",
    "VAULT_SECRET_ID",
    "BAO_SECRET_ID",
    "NOTIFY_SOCKET",
];

/// How a program is told. Without any of these, it is left alone.
#[derive(Clone, Debug, Default, clap::Args, Serialize, Deserialize)]
pub(crate) struct Reload {
    /// Then run this, without a shell: "nginx -s reload"
    #[arg(long, value_name = "COMMAND")]
    #[serde(default)]
    pub(crate) reload: Option<String>,
    /// Then send a signal to the process whose number is in a file: HUP:/run/nginx.pid
    #[arg(long, value_name = "SIGNAL:FILE")]
    #[serde(default)]
    pub(crate) reload_signal: Option<String>,
    /// Then have systemd reload this unit
    #[arg(long, value_name = "UNIT")]
    #[serde(default)]
    pub(crate) systemd_unit: Option<String>,
    /// Then give it to HAProxy over its socket (level admin), without a reload
    #[arg(long, value_name = "SOCKET")]
    #[serde(default)]
    pub(crate) haproxy_socket: Option<PathBuf>,
}

impl Reload {
    /// An error if something of it is mistyped.
    pub(crate) fn check(&self) -> Outcome {
        if let Some(text) = &self.reload {
            words(text)?;
        }
        if let Some(text) = &self.reload_signal {
            signal(text)?;
        }
        Ok(())
    }

    /// Tells it. `pem` is the file that HAProxy knows the certificate by.
    pub(crate) async fn run(&self, pem: &Path) -> Outcome {
        if let Some(text) = &self.reload {
            start(&words(text)?).await?;
        }
        if let Some(text) = &self.reload_signal {
            let (number, path) = signal(text)?;
            send(number, path)?;
        }
        if let Some(unit) = &self.systemd_unit {
            let words = ["systemctl", "reload-or-restart", unit];
            start(&words.map(str::to_owned)).await?;
        }
        if let Some(socket) = &self.haproxy_socket {
            haproxy(socket, pem).await?;
        }
        Ok(())
    }
}

async fn start(words: &[String]) -> Outcome {
    let Some((program, arguments)) = words.split_first() else {
        return Err(local("the reload is empty", "name a program"));
    };
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null());
    command.kill_on_drop(true);
    for name in STRIPPED {
        command.env_remove(name);
    }
    let failed = |why: String| {
        local(
            format!("{} failed: {why}", words.join(" ")),
            "run it by hand to see why",
        )
    };
    match timeout(LIMIT, command.output()).await {
        Err(_) => Err(failed(format!("not done in {} seconds", LIMIT.as_secs()))),
        Ok(Err(error)) => Err(failed(error.to_string())),
        Ok(Ok(output)) if output.status.success() => Ok(()),
        Ok(Ok(output)) => {
            let said = String::from_utf8_lossy(&output.stderr);
            let last = said.trim().lines().last().unwrap_or_default();
            Err(failed(format!("{}: {last}", output.status)))
        }
    }
}

fn send(number: Signal, path: &Path) -> Outcome {
    let text = std::fs::read_to_string(path).map_err(|error| file("read", path, &error))?;
    let pid = text.trim().parse().ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| {
        local(
            format!("{} holds no process number", path.display()),
            "name the pid file of the program that serves the certificate",
        )
    })?;
    kill_process(pid, number).map_err(|error| {
        local(
            format!("cannot signal process {}: {error}", pid.as_raw_nonzero()),
            "see whether the program runs, and as whom",
        )
    })
}

fn signal(text: &str) -> Outcome<(Signal, &Path)> {
    let wrong = || {
        local(
            format!("{text} is no signal with a file"),
            "write it like HUP:/run/nginx.pid (HUP, USR1, USR2)",
        )
    };
    let (name, path) = text.split_once(':').ok_or_else(wrong)?;
    let number = match name.strip_prefix("SIG").unwrap_or(name) {
        "HUP" => Signal::HUP,
        "USR1" => Signal::USR1,
        "USR2" => Signal::USR2,
        _ => return Err(wrong()),
    };
    Ok((number, Path::new(path)))
}

/// `set ssl cert` and `commit ssl cert` of HAProxy's Runtime API.
async fn haproxy(socket: &Path, pem: &Path) -> Outcome {
    let name = pem.display();
    // It has the key in it.
    let text = std::fs::read_to_string(pem).map_err(|error| file("read", pem, &error))?;
    let text = Zeroizing::new(text);
    let head = format!("set ssl cert {name} <<\n");
    let mut set = Zeroizing::new(String::with_capacity(head.len() + text.len() + 2));
    set.push_str(&head);
    // An empty line would end it.
    for line in text.lines().filter(|line| !line.is_empty()) {
        set.push_str(line);
        set.push('\n');
    }
    set.push('\n');
    let said = ask(socket, &set).await?;
    if !said.contains("ransaction") {
        return Err(refused(&said, pem));
    }
    let said = ask(socket, &format!("commit ssl cert {name}\n")).await?;
    if said.contains("Success!") {
        return Ok(());
    }
    let _ = ask(socket, &format!("abort ssl cert {name}\n")).await;
    Err(refused(&said, pem))
}

fn refused(said: &str, pem: &Path) -> crate::error::Failure {
    let first = said.trim().lines().next().unwrap_or("no answer");
    local(
        format!("HAProxy does not take the certificate: {first}"),
        format!(
            "it has to have been started with `crt {}`, and the socket with `level admin`",
            pem.display()
        ),
    )
}

async fn ask(socket: &Path, command: &str) -> Outcome<String> {
    let talk = async {
        let mut stream = UnixStream::connect(socket).await?;
        stream.write_all(command.as_bytes()).await?;
        stream.shutdown().await?;
        let mut said = Vec::new();
        stream.read_to_end(&mut said).await?;
        Ok(String::from_utf8_lossy(&said).into_owned())
    };
    match timeout(LIMIT, talk).await {
        Ok(said) => said.map_err(|error: std::io::Error| file("talk to", socket, &error)),
        Err(_) => Err(local(
            format!("{} does not answer", socket.display()),
            "see whether HAProxy runs",
        )),
    }
}

/// Words as a shell would split them, with quotes and backslashes and nothing else of a shell.
fn words(text: &str) -> Outcome<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match (letter, quote) {
            (_, Some(end)) if letter == end => quote = None,
            ('\\', None | Some('"')) => word.get_or_insert_default().extend(letters.next()),
            (_, Some(_)) => word.get_or_insert_default().push(letter),
            ('\'' | '"', None) => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (letter, None) if letter.is_whitespace() => words.extend(word.take()),
            (letter, None) => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    match quote.is_none() && !words.is_empty() {
        true => Ok(words),
        false => Err(local(
            format!("the command {text} is empty, or a quote has no end"),
            "write it like: nginx -s reload",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_a_shell_does() {
        let split = |text: &str| words(text).ok();
        let some = |list: &[&str]| Some(list.iter().map(|word| (*word).to_owned()).collect());
        assert_eq!(
            split(" nginx  -s reload "),
            some(&["nginx", "-s", "reload"])
        );
        assert_eq!(
            split(r#"sh -c 'a "b"; c' d\ e """#),
            some(&["sh", "-c", "a \"b\"; c", "d e", ""])
        );
        assert_eq!(split("a 'b"), None);
        assert_eq!(split("  "), None);
    }

    #[test]
    fn a_signal_has_a_name_and_a_file() {
        assert!(signal("HUP:/run/a.pid").is_ok() && signal("SIGUSR2:/run/a.pid").is_ok());
        assert!(signal("KILL:/run/a.pid").is_err() && signal("HUP").is_err());
    }
}
