//! The ACME server (RFC 8555): accounts prove that names are theirs, and get certificates for them.
//!
//! Promises: a certificate has exactly the names of its order, each proved by the account, and none that
//! its role would refuse; a nonce works once, on every node and after a restart; what an account owns is
//! not there for another one; checks reach public addresses only, or networks that an operator allowed,
//! over redirects and whatever DNS says meanwhile. Does not promise that a name that was proved belongs
//! to whom the operator means: external account bindings do.

mod account;
mod authorization;
mod binding;
mod certificate;
mod check;
mod directory;
mod identifier;
mod jws;
mod limits;
mod nonce;
mod order;
mod problem;
mod renewal;
mod revocation;
mod routes;
mod settings;
mod work;

use http::HeaderName;
use http::header::LINK;
use jiff::Timestamp;
use vault_crypto::Random;

pub(super) use self::settings::networks;
pub use routes::{Call, ROWS};
pub use work::{Done, Errand, due, remind, settle};

use self::directory::Directory;
use self::problem::{Outcome, Refusal};
use self::routes::Signed as Operation;
use super::Prepared;
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;

const FOLDER: &str = "acme";
const NONCE: HeaderName = HeaderName::from_static("replay-nonce");

/// A reminder's own name.
fn due_id(random: &dyn Random) -> [u8; 16] {
    let mut id = [0; 16];
    random.fill(&mut id);
    id
}

/// Carries out one operation.
pub(super) async fn run(
    call: Call,
    ctx: &Ctx<'_>,
    prepared: &Prepared,
    view: &mut View<'_>,
) -> Result<Reply, Fault> {
    match call {
        Call::ReadConfig => settings::read(view).await,
        Call::WriteConfig => settings::write(ctx, view).await,
        Call::ListBindings => binding::list(ctx, view).await,
        Call::DeleteBinding => binding::delete(ctx, view).await,
        Call::NewBinding => match binding::new(ctx, view).await {
            Err(Refusal::Problem(problem)) => Err(Fault::invalid(problem.detail())),
            Err(Refusal::Fault(fault)) => Err(fault),
            Ok(reply) => Ok(reply),
        },
        Call::Directory => told(directory::show(ctx, view).await),
        Call::NewNonce => told(directory::new_nonce(ctx, view).await),
        Call::RenewalInfo => told(renewal::info(ctx, view).await),
        Call::Signed(operation) => {
            let outcome = signed(operation, ctx, prepared, view).await;
            Ok(told(outcome)?.header(NONCE, nonce::new(ctx)))
        }
    }
}

/// A problem is an answer like others: that its nonce was used is stored with it.
fn told(outcome: Outcome<Reply>) -> Result<Reply, Fault> {
    match outcome {
        Ok(reply) => Ok(reply),
        Err(Refusal::Problem(problem)) => Ok(problem.reply()),
        Err(Refusal::Fault(fault)) => Err(fault),
    }
}

/// Every operation refuses before it writes.
async fn signed(
    operation: Operation,
    ctx: &Ctx<'_>,
    prepared: &Prepared,
    view: &mut View<'_>,
) -> Outcome<Reply> {
    let directory = &Directory::of(ctx, view).await?;
    let signed = &jws::Signed::open(ctx, directory, view).await?;
    let reply = match operation {
        Operation::NewAccount => account::new(ctx, directory, signed, view).await,
        Operation::Account => account::update(ctx, directory, signed, view).await,
        Operation::KeyChange => account::change_key(directory, signed, view).await,
        Operation::NewOrder => order::new(ctx, directory, signed, view).await,
        Operation::Orders => order::list(directory, signed, view).await,
        Operation::Order => order::read(ctx, directory, signed, view).await,
        Operation::Finalize => {
            Box::pin(certificate::finalize(
                ctx, prepared, directory, signed, view,
            ))
            .await
        }
        Operation::Certificate => order::certificate(ctx, directory, signed, view).await,
        Operation::Authorization => authorization::update(ctx, directory, signed, view).await,
        Operation::Challenge => authorization::challenge(ctx, directory, signed, view).await,
        Operation::Revoke => revocation::revoke(ctx, directory, signed, view).await,
    };
    Ok(reply?.header(LINK, directory.index()))
}

/// Clears a little of what is over; true if there is more.
pub(super) async fn tidy(now: Timestamp, view: &mut View<'_>) -> Result<bool, Fault> {
    Ok(nonce::tidy(now, view).await? || limits::tidy(now, view).await?)
}
