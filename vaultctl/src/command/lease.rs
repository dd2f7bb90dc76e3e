//! `lease lookup|renew|revoke`.

use serde_json::json;
use vault_sdk::Call;

use super::raw::keys;
use crate::error::Outcome;
use crate::output::Content;
use crate::prompt;
use crate::session::Session;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// What is known about a lease; with a trailing /, the leases below that path
    Lookup { lease: String },
    /// Make a lease live longer
    Renew {
        lease: String,
        /// By this much
        #[arg(short, long)]
        increment: Option<String>,
    },
    /// End a lease now
    Revoke {
        lease: String,
        /// Every lease below this path
        #[arg(long)]
        prefix: bool,
        /// Forget the lease even if its revocation fails (needs --prefix)
        #[arg(long, requires = "prefix")]
        force: bool,
        /// Answer only when it is done
        #[arg(long)]
        sync: bool,
    },
}

pub(crate) async fn run(session: &Session, command: Command) -> Outcome {
    match command {
        Command::Lookup { lease } if lease.ends_with('/') => {
            let answer = session
                .send(Call::list(format!("sys/leases/lookup/{lease}")))
                .await?;
            session.out.names(&keys(answer.data()))
        }
        Command::Lookup { lease } => {
            session
                .show(
                    Call::put("sys/leases/lookup", json!({ "lease_id": lease })),
                    Content::Open,
                )
                .await
        }
        Command::Renew { lease, increment } => {
            let mut body = json!({ "lease_id": lease });
            if let Some(increment) = increment {
                body["increment"] = increment.into();
            }
            session
                .show(Call::put("sys/leases/renew", body), Content::Open)
                .await
        }
        Command::Revoke {
            lease,
            prefix: false,
            sync,
            ..
        } => {
            let call = Call::put(
                "sys/leases/revoke",
                json!({ "lease_id": lease, "sync": sync }),
            );
            session
                .act(
                    call,
                    if sync {
                        "The lease is revoked."
                    } else {
                        "All revocation operations queued successfully!"
                    },
                )
                .await
        }
        Command::Revoke {
            lease, force, sync, ..
        } => {
            prompt::confirm(
                session.yes || session.face.is_compat(),
                &format!("revoke every lease below {lease}"),
                &lease,
            )?;
            let verb = if force {
                "revoke-force"
            } else {
                "revoke-prefix"
            };
            let call = Call::put(
                format!("sys/leases/{verb}/{lease}"),
                json!({ "sync": sync }),
            );
            session
                .act(
                    call,
                    &format!("All leases below {lease} are being revoked."),
                )
                .await
        }
    }
}
