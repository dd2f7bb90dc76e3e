//! The `sys/*` operations, an engine like any other except that it sees all of the vault.

mod about;
mod absent;
mod audit;
mod capabilities;
mod certificates;
mod keys;
mod leases;
mod lockouts;
mod loggers;
mod metrics;
mod mounts;
mod openapi;
mod password_policy;
mod plugins;
mod policies;
mod quotas;
mod rotation;
mod routes;
mod tune;
mod ui;

use super::context::Ctx;
use super::events::Topic;
use super::fault::Fault;
use super::quota::{LEASES, RATE};
use super::reply::Data;
use super::reply::{After, Reply};
use super::request::Request;
use super::route::{Access, Found, find};
use super::unsealed::Unsealed;
use super::{
    Core, batch, bundle, cors, events, fingerprint, leak, operator, search, why, wrapping,
};
use crate::barrier::Tx;
use crate::engine::transit;

pub use about::note_version;
pub use certificates::Counted;
pub use keys::mount_of;
pub use rotation::rotate_if_due;
pub use routes::{Call, ROWS};

/// The operation of a path that answers while sealed.
pub fn sealed_call(request: &Request) -> Option<Call> {
    let rest = request.path.as_str().strip_prefix("sys/")?;
    match find(ROWS, request.verb, rest.trim_end_matches('/')) {
        Found::Row(row, _) if row.access == Access::Sealed => Some(row.call),
        _ => None,
    }
}

/// The answers of operations that read in transactions of their own, or wait.
pub async fn prepare(
    core: &Core,
    vault: &Unsealed,
    call: Call,
    ctx: &Ctx<'_>,
) -> Result<Option<Data>, Fault> {
    match call {
        Call::Batch => batch::read(core, vault, ctx).await.map(Some),
        Call::Search => search::search(vault, ctx).await.map(Some),
        Call::Bundle => bundle::read(core, vault, ctx).await.map(Some),
        Call::Fingerprints => fingerprint::read(core, vault, ctx).await.map(Some),
        Call::LeakReport => leak::admit(core, ctx).map(|()| None),
        Call::Events => events::poll(core, vault, ctx, Topic::Kv).await.map(Some),
        Call::SshKeysEvents => events::poll(core, vault, ctx, Topic::SshKeys)
            .await
            .map(Some),
        Call::AcmeEvents => events::poll(core, vault, ctx, Topic::Acme).await.map(Some),
        Call::TokenEvents => events::poll(core, vault, ctx, Topic::Token).await.map(Some),
        _ => Ok(None),
    }
}

pub async fn run(
    core: &Core,
    vault: &Unsealed,
    call: Call,
    ctx: &Ctx<'_>,
    tx: &mut Tx,
) -> Result<Reply, Fault> {
    match call {
        Call::InitStatus
        | Call::Init
        | Call::SealStatus
        | Call::Unseal
        | Call::Health
        | Call::SealBackendStatus
        | Call::Leader => operator::serve(core, call, ctx.request).await,
        Call::Seal => Ok(Reply {
            after: Some(After::Seal),
            ..Reply::none()
        }),
        Call::StepDown => Ok(Reply::none()),
        Call::KeyStatus => keys::status(vault),
        Call::Rotate => keys::rotate(vault, ctx).await,
        Call::RekeyStatus
        | Call::RekeyStart
        | Call::RekeyCancel
        | Call::RekeyUpdate
        | Call::RekeyVerifyStatus
        | Call::RekeyVerifyUpdate
        | Call::RekeyVerifyCancel => operator::rekey_call(core, vault, call, ctx).await,
        Call::RekeyBackup => Err(Fault::invalid(
            "no backed-up keys found: shares are never kept by the server",
        )),
        Call::GenerateRootStatus
        | Call::GenerateRootStart
        | Call::GenerateRootCancel
        | Call::GenerateRootUpdate => {
            operator::generate_root_call(core, vault, call, ctx, tx).await
        }
        Call::IntegrityVerify => keys::verify(vault).await,
        Call::IntegrityAccept => keys::accept(vault, ctx).await,
        Call::MountList => mounts::list(vault, mounts::Table::Engines),
        Call::MountRead => mounts::read(vault, ctx, mounts::Table::Engines),
        Call::MountEnable => mounts::enable(vault, ctx, tx, mounts::Table::Engines).await,
        Call::MountDisable => mounts::disable(vault, ctx, tx, mounts::Table::Engines).await,
        Call::MountTuneRead => tune::read(core, vault, ctx, mounts::Table::Engines),
        Call::MountTune => tune::write(vault, ctx, tx, mounts::Table::Engines).await,
        Call::AuthList => mounts::list(vault, mounts::Table::Methods),
        Call::AuthRead => mounts::read(vault, ctx, mounts::Table::Methods),
        Call::AuthEnable => mounts::enable(vault, ctx, tx, mounts::Table::Methods).await,
        Call::AuthDisable => mounts::disable(vault, ctx, tx, mounts::Table::Methods).await,
        Call::AuthTuneRead => tune::read(core, vault, ctx, mounts::Table::Methods),
        Call::AuthTune => tune::write(vault, ctx, tx, mounts::Table::Methods).await,
        Call::Remount => mounts::remount(vault, ctx, tx).await,
        Call::RemountStatus => mounts::remount_status(ctx, tx).await,
        Call::PolicyListLegacy => policies::list_legacy(tx).await,
        Call::PolicyReadLegacy => policies::read(ctx, tx, "rules").await,
        Call::PolicyList => policies::list(ctx, tx).await,
        Call::PolicyRead => policies::read(ctx, tx, "policy").await,
        Call::PolicyWrite => policies::write(ctx, tx).await,
        Call::PolicyDelete => policies::delete(ctx, tx).await,
        Call::Capabilities => capabilities::of_token(vault, ctx).await,
        Call::CapabilitiesSelf => capabilities::of_self(ctx),
        Call::CapabilitiesAccessor => capabilities::of_accessor(vault, ctx, tx).await,
        Call::UiMounts => ui::mounts(core, vault, ctx),
        Call::UiMount => ui::mount(core, vault, ctx),
        Call::ResultantAcl => ui::resultant_acl(ctx),
        Call::WrappingWrap => wrapping::given(ctx.request),
        Call::WrappingUnwrap => {
            wrapping::unwrap(vault, tx, &wrapping_token(ctx)?, ctx.request).await
        }
        Call::WrappingLookup => {
            wrapping::lookup(vault, tx, &wrapping_token(ctx)?, ctx.request).await
        }
        Call::WrappingRewrap => {
            wrapping::rewrap(vault, tx, &wrapping_token(ctx)?, ctx.request).await
        }
        Call::PasswordPolicyList => password_policy::list(ctx, tx).await,
        Call::PasswordPolicyRead => password_policy::read(ctx, tx).await,
        Call::PasswordPolicyWrite => password_policy::write(ctx, tx).await,
        Call::PasswordPolicyDelete => password_policy::delete(ctx, tx).await,
        Call::PasswordGenerate => password_policy::generate(ctx, tx).await,
        Call::OpenApi => openapi::read(core, vault, ctx),
        Call::VersionHistory => about::versions(ctx, tx).await,
        Call::HostInfo => Ok(about::host(ctx)),
        Call::InFlight => Ok(about::in_flight(core)),
        Call::SanitizedConfig => Ok(about::configuration(core)),
        Call::CountTokens => about::tokens(vault, tx).await,
        Call::CountEntities => about::entities(tx).await,
        Call::Metrics => metrics::read(core, vault, ctx, tx).await,
        Call::CorsRead => cors::read(tx).await,
        Call::CorsWrite => cors::write(ctx, tx).await,
        Call::CorsDelete => cors::delete(tx).await,
        Call::ToolsRandom => transit::random(ctx),
        Call::ToolsHash => transit::hash(ctx),
        Call::LockedUsers => lockouts::list(core, vault, ctx),
        Call::UnlockUser => lockouts::unlock(core, vault, ctx).await,
        Call::LeaseLookup => leases::lookup(ctx, tx).await,
        Call::LeaseList => leases::list(ctx, tx).await,
        Call::LeaseRenew => leases::renew(ctx, tx).await,
        Call::LeaseRevoke => leases::revoke(vault, ctx, tx).await,
        Call::LeaseRevokePrefix => leases::revoke_prefix(vault, ctx, tx, false).await,
        Call::LeaseRevokeForce => leases::revoke_prefix(vault, ctx, tx, true).await,
        Call::LeaseTidy => Ok(leases::tidy()),
        Call::LeaseCount => leases::count(vault, ctx, tx).await,
        Call::LeaseIrrevocable => leases::list_irrevocable(ctx),
        Call::Batch
        | Call::Bundle
        | Call::Fingerprints
        | Call::Search
        | Call::Events
        | Call::SshKeysEvents
        | Call::AcmeEvents
        | Call::TokenEvents => Err(Fault::Internal("nothing was prepared")),
        Call::BundleEpoch => bundle::tell_epoch(vault, ctx, tx).await,
        Call::BundleRevoke => bundle::revoke(tx).await,
        Call::LeakReport => leak::report(vault, ctx, tx).await,
        Call::LeakList => leak::list(ctx, tx).await,
        Call::Why => why::read(vault, ctx).await,
        Call::AuditList => audit::list(core, tx).await,
        Call::AuditHash => audit::hash(core, ctx),
        Call::AuditEnable => audit::enable(core, ctx, tx).await,
        Call::AuditDisable => audit::disable(core, ctx, tx).await,
        Call::RateList => quotas::list(ctx, tx, RATE).await,
        Call::RateRead => quotas::read_rate(ctx, tx).await,
        Call::RateWrite => quotas::write_rate(vault, ctx, tx).await,
        Call::RateDelete => quotas::delete(ctx, tx, RATE).await,
        Call::LeaseQuotaList => quotas::list(ctx, tx, LEASES).await,
        Call::LeaseQuotaRead => quotas::read_leases(vault, ctx, tx).await,
        Call::LeaseQuotaWrite => quotas::write_leases(vault, ctx, tx).await,
        Call::LeaseQuotaDelete => quotas::delete(ctx, tx, LEASES).await,
        Call::QuotaSettingsRead => quotas::read_settings(tx).await,
        Call::QuotaSettingsWrite => quotas::write_settings(ctx, tx).await,
        Call::RotationRead => rotation::read(tx).await,
        Call::RotationWrite => rotation::write(ctx, tx).await,
        Call::PluginCatalog => plugins::catalog(core),
        Call::PluginList => plugins::list(ctx),
        Call::PluginRead => plugins::read(core, ctx),
        Call::PluginRefused => plugins::refuse(),
        Call::HaStatus => Ok(absent::ha_status(core)),
        Call::Replication => Ok(absent::replication()),
        Call::Experiments => Ok(absent::experiments()),
        Call::LicenceFeatures => Ok(absent::licence_features()),
        Call::Namespaces => Ok(absent::namespaces()),
        Call::CountRequests => Ok(absent::request_counters(core)),
        Call::Activity => Ok(absent::activity()),
        Call::ActivitySettings => Ok(absent::activity_settings()),
        Call::AuditedHeaders => Ok(absent::audited_headers()),
        Call::AuditedHeadersRefused => absent::refuse_audited_headers(),
        Call::UiHeaders => Err(Fault::Missing),
        Call::UiHeadersRefused => absent::refuse_ui_headers(),
        Call::UiHeadersDeleted => Ok(Reply::none()),
        Call::ProfilesRefused => absent::refuse_profiles(),
        Call::LogsRefused => absent::refuse_logs(),
        Call::LoggersRead => Ok(loggers::read()),
        Call::LoggersWrite => loggers::write(ctx),
        Call::LoggersRevert => Ok(loggers::revert()),
    }
}

/// In the body, or presented like any other token.
fn wrapping_token(ctx: &Ctx<'_>) -> Result<String, Fault> {
    let given = ctx
        .body()
        .string("token")?
        .filter(|token| !token.is_empty());
    let given = given.or_else(|| ctx.request.token.as_ref().map(|token| token.to_string()));
    given.ok_or_else(|| Fault::invalid("missing \"token\" value in input"))
}
