//! `deploykey`: managed SSH keys, where they are good, and their rotation.

mod place;
mod show;
mod wait;

use std::path::PathBuf;

use serde_json::{Map, Value, json};
use vault_sdk::Call;
use zeroize::Zeroizing;

use super::raw::keys;
use crate::error::{Outcome, file, local, plain};
use crate::output::Content;
use crate::prompt;
use crate::session::{Session, text};
use place::Place;
use wait::Wait;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where the sshkeys engine is mounted
    #[arg(long, default_value = "sshkeys", value_name = "PATH", global = true)]
    mount: String,
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Make a key, and put it to a repository or an account
    Create(Box<Create>),
    /// The names of all keys
    List,
    /// What is set of a key, its public halves and targets
    Show { name: String },
    /// The public half, as deploy keys and authorized_keys have it
    Public { name: String },
    /// Bring a new version to every target, prove it there, and then take the old one away
    Rotate {
        name: String,
        /// Do not wait for readers: the old one is known to somebody
        #[arg(long)]
        emergency: bool,
        #[command(flatten)]
        wait: Wait,
    },
    /// How it stands at every target, and who has read which version
    Status {
        name: String,
        #[command(flatten)]
        wait: Wait,
    },
    /// Log in at every target once more
    Verify {
        name: String,
        #[command(flatten)]
        wait: Wait,
    },
    /// Go back to the version from before, while a rotation is under way
    Rollback {
        name: String,
        #[command(flatten)]
        wait: Wait,
    },
    /// Take a key away from every target, for good
    Retire {
        name: String,
        #[command(flatten)]
        wait: Wait,
    },
    /// Where a key is good
    Targets(Box<Where>),
    /// Every key: where it is used, by whom last, when it rotates
    Board,
    /// Forget a key that has no targets
    Delete { name: String },
}

#[derive(clap::Args)]
struct Create {
    name: String,
    /// ed25519, ecdsa-p256, ecdsa-p384, ecdsa-p521, rsa-2048, rsa-3072 or rsa-4096 [default: the
    /// mount's]
    #[arg(long, value_name = "TYPE")]
    key_type: Option<String>,
    /// At the end of the public half
    #[arg(long)]
    comment: Option<String>,
    /// Rotate so often, such as 30d [default: the mount's]
    #[arg(long, value_name = "TIME")]
    rotate_every: Option<String>,
    /// How long a rotation waits for those who have read the key [default: the mount's]
    #[arg(long, value_name = "TIME")]
    grace: Option<String>,
    /// Take over the private key in this file; - reads stdin
    #[arg(long, value_name = "FILE")]
    private_key: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    wait: Wait,
}

#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
struct Where {
    /// List the targets of this key
    #[arg(required = true)]
    name: Option<String>,
    #[command(subcommand)]
    command: Option<Targets>,
}

#[derive(clap::Subcommand)]
enum Targets {
    /// Their ids
    List { name: String },
    /// Put the key to one more repository or account
    Add {
        name: String,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        wait: Wait,
    },
    /// Take the key away from one
    Remove {
        name: String,
        id: String,
        /// Only forget it: it is gone, or is cleaned up by hand
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        wait: Wait,
    },
}

/// One engine, as a session sees it.
struct Engine<'a> {
    session: &'a Session,
    mount: String,
}

pub(crate) async fn run(session: &Session, args: Args) -> Outcome {
    let engine = Engine {
        session,
        mount: args.mount.trim_matches('/').to_owned(),
    };
    match args.command {
        Command::Create(create) => engine.create(*create).await,
        Command::List => {
            let answer = session.send(Call::list(engine.path("keys"))).await?;
            session.out.names(&keys(answer.data()))
        }
        Command::Show { name } => {
            let call = Call::get(engine.key(&name, ""));
            session.show(call, Content::Open).await
        }
        Command::Public { name } => {
            let answer = session.send(Call::get(engine.path(&format!("public/{name}"))));
            session.out.line(text(answer.await?.data(), "public_key")?)
        }
        Command::Rotate {
            name,
            emergency,
            wait,
        } => {
            let body = json!({ "emergency": emergency });
            engine.order(&name, "rotate", body, &wait).await
        }
        Command::Verify { name, wait } => engine.order(&name, "verify", json!({}), &wait).await,
        Command::Rollback { name, wait } => engine.order(&name, "rollback", json!({}), &wait).await,
        Command::Retire { name, wait } => {
            let deed = format!("take {name} away from every target, for good");
            prompt::confirm(session.yes, &deed, &name)?;
            engine.order(&name, "retire", json!({}), &wait).await
        }
        Command::Status { name, wait } => {
            let answer = session
                .send(Call::get(engine.key(&name, "/status")))
                .await?;
            wait.show(&engine, &name, answer.body).await
        }
        Command::Targets(place) => {
            let Where { name, command } = *place;
            let name = name.unwrap_or_default();
            engine
                .targets(command.unwrap_or(Targets::List { name }))
                .await
        }
        Command::Board => {
            let answer = session.send(Call::get(engine.path("board"))).await?;
            session.out.warnings(&answer.body);
            show::board(&session.out, answer.data())
        }
        Command::Delete { name } => {
            prompt::confirm(session.yes, &format!("delete the key {name}"), &name)?;
            let call = Call::delete(engine.key(&name, ""));
            session.act(call, &format!("Deleted {name}")).await
        }
    }
}

impl Engine<'_> {
    async fn targets(&self, command: Targets) -> Outcome {
        match command {
            Targets::List { name } => {
                let answer = self.session.send(Call::list(self.key(&name, "/targets")));
                self.session.out.names(&keys(answer.await?.data()))
            }
            Targets::Add { name, place, wait } => self.add(&name, &place, &wait).await,
            Targets::Remove {
                name,
                id,
                force,
                wait,
            } => {
                let call = Call::delete(self.key(&name, &format!("/targets/{id}")));
                let answer = self.session.send(call.query("force", force)).await?;
                wait.show(self, &name, answer.body).await
            }
        }
    }

    fn path(&self, rest: &str) -> String {
        format!("{}/{rest}", self.mount)
    }

    fn key(&self, name: &str, rest: &str) -> String {
        self.path(&format!("keys/{name}{rest}"))
    }

    async fn create(&self, create: Create) -> Outcome {
        let path = self.key(&create.name, "");
        // A name that is taken would only be changed.
        let taken = self
            .session
            .client
            .send(Call::get(path.as_str()).accept(&[404]));
        if taken.await?.status != 404 {
            return Err(local(
                format!("the key {} exists", create.name),
                "rotate it for a new version, or take another name",
            ));
        }
        let private = create.private_key.as_deref().map(private_key).transpose()?;
        let fields = [
            ("key_type", create.key_type),
            ("comment", create.comment),
            ("rotation_period", create.rotate_every),
            ("grace", create.grace),
            ("private_key", private.map(|text| text.to_string())),
        ];
        let fields = fields
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), Value::String(value?))));
        let body: Map<String, Value> = fields.collect();
        let answer = self.session.send(Call::post(path, body.into())).await?;
        match create.place.is_none() {
            true => self.session.out.answer(&answer.body, Content::Open),
            false => self.add(&create.name, &create.place, &create.wait).await,
        }
    }

    async fn add(&self, name: &str, place: &Place, wait: &Wait) -> Outcome {
        let (id, body) = place.body()?;
        let call = Call::post(self.key(name, &format!("/targets/{id}")), body);
        self.session.send(call).await?;
        // Of a target that was there the answer is about it alone.
        let status = self.session.send(Call::get(self.key(name, "/status")));
        wait.show(self, name, status.await?.body).await
    }

    async fn order(&self, name: &str, order: &str, body: Value, wait: &Wait) -> Outcome {
        let call = Call::post(self.key(name, &format!("/{order}")), body);
        let answer = self.session.send(call).await?;
        self.session.out.warnings(&answer.body);
        wait.show(self, name, answer.body).await
    }
}

fn private_key(path: &std::path::Path) -> Outcome<Zeroizing<String>> {
    if path == std::path::Path::new("-") {
        let text = std::io::read_to_string(std::io::stdin());
        let text = text.map_err(|error| plain(format!("cannot read stdin: {error}")));
        return text.map(Zeroizing::new);
    }
    let text = std::fs::read_to_string(path).map_err(|error| file("read", path, &error));
    text.map(Zeroizing::new)
}
