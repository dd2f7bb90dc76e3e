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
    ListForges,
    WriteForge,
    ReadForge,
    DeleteForge,
    ForgeToken,
    ListServers,
    WriteServer,
    ReadServer,
    DeleteServer,
    ListTargets,
    WriteTarget,
    ReadTarget,
    DeleteTarget,
    Rotate,
    Rollback,
    Verify,
    Retire,
    Status,
    Board,
    Lines,
    Public,
    Creds,
    Sign,
    Lookup,
    ListHosts,
    WriteHost,
    ReadHost,
    DeleteHost,
    CompareHost,
    ImportHost,
}

const CONFIG: &str = "key_type rotation_period grace linger";
const KEY: &str = "key_type comment rotation_period grace private_key";
const FORGE: &str =
    "type url token app_id installation_id private_key ca_cert ssh_host ssh_port ssh_user";
const SERVER: &str = "address port user key path";
const TARGET: &str = "forge repository read_only server user path host options";

/// Every operation.
#[rustfmt::skip]
pub const ROWS: &[Row<Call>] = &[
    Row::new(Verb::Read, "config", Call::ReadConfig, "", "Read what keys have that say nothing else."),
    Row::new(Verb::Write, "config", Call::WriteConfig, CONFIG, "Set what keys have that say nothing else; a period counts from a key's next rotation on."),
    Row::new(Verb::List, "keys", Call::ListKeys, "after limit", "List the keys."),
    Row::new(Verb::Write, "keys/{name}", Call::WriteKey, KEY, "Make a key, take one over, or change what is set of it.").creates(),
    Row::new(Verb::Read, "keys/{name}", Call::ReadKey, "", "Read a key: its public halves, targets and rotation."),
    Row::new(Verb::Delete, "keys/{name}", Call::DeleteKey, "", "Delete a key that no target has."),
    Row::new(Verb::List, "forges", Call::ListForges, "after limit", "List the forges."),
    Row::new(Verb::Write, "forges/{name}", Call::WriteForge, FORGE, "Say where a forge is, and with what vaultd asks it."),
    Row::new(Verb::Read, "forges/{name}", Call::ReadForge, "", "Read what is set of a forge; no credential."),
    Row::new(Verb::Delete, "forges/{name}", Call::DeleteForge, "", "Forget a forge."),
    Row::new(Verb::Write, "forges/{name}/token", Call::ForgeToken, "repository permissions", "A token of a GitHub App for one repository."),
    Row::new(Verb::List, "servers", Call::ListServers, "after limit", "List the servers."),
    Row::new(Verb::Write, "servers/{name}", Call::WriteServer, SERVER, "Say where a server is, and how vaultd logs in there."),
    Row::new(Verb::Read, "servers/{name}", Call::ReadServer, "", "Read what is set of a server."),
    Row::new(Verb::Delete, "servers/{name}", Call::DeleteServer, "", "Forget a server."),
    Row::new(Verb::List, "keys/{name}/targets", Call::ListTargets, "after limit", "List the targets of a key."),
    Row::new(Verb::Write, "keys/{name}/targets/{id}", Call::WriteTarget, TARGET, "Put a key to a repository or an account."),
    Row::new(Verb::Read, "keys/{name}/targets/{id}", Call::ReadTarget, "", "Read a target, and how it stands."),
    Row::new(Verb::Delete, "keys/{name}/targets/{id}", Call::DeleteTarget, "force", "Take a key away from a target."),
    Row::new(Verb::Write, "keys/{name}/rotate", Call::Rotate, "emergency", "Bring a new version to every target, then take the old one away."),
    Row::new(Verb::Write, "keys/{name}/rollback", Call::Rollback, "", "Go back to the version from before."),
    Row::new(Verb::Write, "keys/{name}/verify", Call::Verify, "", "Log in at every target once more."),
    Row::new(Verb::Write, "keys/{name}/retire", Call::Retire, "", "Take a key away from every target, for good."),
    Row::new(Verb::Read, "keys/{name}/status", Call::Status, "", "How a key stands at every target, and who reads it."),
    Row::new(Verb::Read, "board", Call::Board, "after limit", "Every key: where it is used, by whom, when it rotates."),
    Row::new(Verb::Read, "authorized-keys", Call::Lines, "host user", "Lines for a host's AuthorizedKeysCommand."),
    Row::new(Verb::Read, "public/{name}", Call::Public, "version", "The public half."),
    Row::new(Verb::Read, "creds/{name}", Call::Creds, "format version", "The private half; who reads it is remembered."),
    Row::new(Verb::Write, "sign/{name}", Call::Sign, "data flags host_key host_signature", "Sign one login with the key, in place of an agent."),
    Row::new(Verb::Read, "lookup", Call::Lookup, "key host user repository write", "The key for a host and repository, and the keys of the host, for an agent."),
    Row::new(Verb::List, "known-hosts", Call::ListHosts, "after limit", "List the hosts whose keys are pinned."),
    Row::new(Verb::Write, "known-hosts/{host}", Call::WriteHost, "keys authorities source replace", "Pin the keys of a host."),
    Row::new(Verb::Read, "known-hosts/{host}", Call::ReadHost, "", "Read the keys of a host."),
    Row::new(Verb::Delete, "known-hosts/{host}", Call::DeleteHost, "", "Forget the keys of a host."),
    Row::new(Verb::Write, "known-hosts/{host}/compare", Call::CompareHost, "keys", "Compare what a host showed with what is pinned; a change is an event."),
    Row::new(Verb::Write, "known-hosts/{host}/import", Call::ImportHost, "forge replace", "Pin the keys that GitHub publishes of its host."),
];
