//! The API of SSH keys as a table.

use crate::core::request::Verb;
use crate::core::route::Row;

/// An operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    ReadConfig,
    WriteConfig,
    ListKeys,
    WriteKey,
    ReadKey,
    DeleteKey,
    Public,
    Creds,
    Sign,
    Lookup,
    ListHosts,
    WriteHost,
    ReadHost,
    DeleteHost,
    CompareHost,
}

const CONFIG: &str = "key_type rotation_period grace linger";
const KEY: &str = "key_type comment rotation_period grace private_key";

/// Every operation.
#[rustfmt::skip]
pub const ROWS: &[Row<Call>] = &[
    Row::new(Verb::Read, "config", Call::ReadConfig, "", "Read what keys have that say nothing else."),
    Row::new(Verb::Write, "config", Call::WriteConfig, CONFIG, "Set what keys have that say nothing else."),
    Row::new(Verb::List, "keys", Call::ListKeys, "after limit", "List the keys."),
    Row::new(Verb::Write, "keys/{name}", Call::WriteKey, KEY, "Make a key, take one over, or change what is set of it.").creates(),
    Row::new(Verb::Read, "keys/{name}", Call::ReadKey, "", "Read a key: its public halves, targets and rotation."),
    Row::new(Verb::Delete, "keys/{name}", Call::DeleteKey, "", "Delete a key that has no targets."),
    Row::new(Verb::Read, "public/{name}", Call::Public, "version", "The public half."),
    Row::new(Verb::Read, "creds/{name}", Call::Creds, "format version", "The private half; who reads it is remembered."),
    Row::new(Verb::Write, "sign/{name}", Call::Sign, "data flags host_key host_signature", "Sign one login with the key, in place of an agent."),
    Row::new(Verb::Read, "lookup", Call::Lookup, "key host", "The public half of a key and the keys of its hosts, for an agent."),
    Row::new(Verb::List, "known-hosts", Call::ListHosts, "after limit", "List the hosts whose keys are pinned."),
    Row::new(Verb::Write, "known-hosts/{host}", Call::WriteHost, "keys authorities source replace", "Pin the keys of a host."),
    Row::new(Verb::Read, "known-hosts/{host}", Call::ReadHost, "", "Read the keys of a host."),
    Row::new(Verb::Delete, "known-hosts/{host}", Call::DeleteHost, "", "Forget the keys of a host."),
    Row::new(Verb::Write, "known-hosts/{host}/compare", Call::CompareHost, "keys", "Compare what a host showed with what is pinned; a change is an event."),
];
