//! The API of the ACME server as a table: the same below each directory.

use crate::core::request::Verb;
use crate::core::route::{Access, Row};
use crate::engine::pki::Call as Pki;

/// An operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    ReadConfig,
    WriteConfig,
    ListBindings,
    DeleteBinding,
    NewBinding,
    Directory,
    NewNonce,
    RenewalInfo,
    Signed(Signed),
}

/// One whose request is a signed message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signed {
    NewAccount,
    Account,
    KeyChange,
    NewOrder,
    Orders,
    Order,
    Finalize,
    Certificate,
    Authorization,
    Challenge,
    Revoke,
}

const CONFIG: &str = "enabled default_directory_policy allowed_roles allowed_issuers \
    allow_role_ext_key_usage eab_policy dns_resolver max_ttl allowed_networks http_port tls_port";
const JWS: &str = "protected payload signature";

const fn open(pattern: &'static str, call: Call, about: &'static str) -> Row<Pki> {
    Row::new(Verb::Read, pattern, Pki::Acme(call), "", about).access(Access::Open)
}

const fn signed(pattern: &'static str, call: Signed, about: &'static str) -> Row<Pki> {
    let call = Pki::Acme(Call::Signed(call));
    Row::new(Verb::Write, pattern, call, JWS, about).access(Access::Open)
}

const fn own(
    verb: Verb,
    pattern: &'static str,
    call: Call,
    fields: &'static str,
    about: &'static str,
) -> Row<Pki> {
    Row::new(verb, pattern, Pki::Acme(call), fields, about)
}

macro_rules! directory {
    ($at:literal) => {
        [
            own(Verb::Write, concat!($at, "acme/new-eab"), Call::NewBinding, "", "Make a key for the external account binding of one new account."),
            open(concat!($at, "acme/directory"), Call::Directory, "Where an ACME client finds everything (RFC 8555, 7.1.1)."),
            open(concat!($at, "acme/new-nonce"), Call::NewNonce, "A nonce for one signed request."),
            open(concat!($at, "acme/renewal-info/{certificate}"), Call::RenewalInfo, "When a certificate should be renewed (RFC 9773)."),
            signed(concat!($at, "acme/new-account"), Signed::NewAccount, "Register an account, or find it by its key."),
            signed(concat!($at, "acme/account/{account}"), Signed::Account, "Read, change or deactivate an account."),
            signed(concat!($at, "acme/key-change"), Signed::KeyChange, "Give an account another key."),
            signed(concat!($at, "acme/new-order"), Signed::NewOrder, "Order a certificate."),
            signed(concat!($at, "acme/orders"), Signed::Orders, "The orders of an account that are open."),
            signed(concat!($at, "acme/order/{order}"), Signed::Order, "Read an order."),
            signed(concat!($at, "acme/order/{order}/finalize"), Signed::Finalize, "Have the certificate of an order signed."),
            signed(concat!($at, "acme/order/{order}/cert"), Signed::Certificate, "The certificate of an order with its chain."),
            signed(concat!($at, "acme/order/{order}/cert/{chain}"), Signed::Certificate, "The certificate of an order with another chain."),
            signed(concat!($at, "acme/authorization/{authorization}"), Signed::Authorization, "Read or give up an authorization."),
            signed(concat!($at, "acme/challenge/{authorization}/{type}"), Signed::Challenge, "Have a challenge checked."),
            signed(concat!($at, "acme/revoke-cert"), Signed::Revoke, "Revoke a certificate, as its account or with its key."),
        ]
    };
}

const CONFIGS: [Row<Pki>; 4] = [
    own(
        Verb::Read,
        "config/acme",
        Call::ReadConfig,
        "",
        "Read how this mount serves ACME.",
    ),
    own(
        Verb::Write,
        "config/acme",
        Call::WriteConfig,
        CONFIG,
        "Set how this mount serves ACME.",
    ),
    own(
        Verb::List,
        "eab",
        Call::ListBindings,
        "after limit",
        "List keys for external account bindings that are not used yet.",
    ),
    own(
        Verb::Delete,
        "eab/{key_id}",
        Call::DeleteBinding,
        "",
        "Delete a key for an external account binding.",
    ),
];

/// Every operation.
pub const ROWS: [&[Row<Pki>]; 5] = [
    &CONFIGS,
    &directory!(""),
    &directory!("roles/{name}/"),
    &directory!("issuer/{ref}/"),
    &directory!("issuer/{ref}/roles/{name}/"),
];
