//! The harness itself: what the other tests stand on.

use serde_json::json;
use vault_tests::{Options, Vault};

#[test]
fn a_server_keeps_its_data_over_a_restart_and_a_kill() {
    let mut vault = Vault::ready();
    vault
        .root("POST", "sys/mounts/kv", json!({"type": "kv"}))
        .expect(204);
    vault.root("POST", "kv/a", json!({"b": 1})).expect(204);
    vault.restart_unsealed();
    assert_eq!(
        vault.root("GET", "kv/a", json!(null)).expect(200).data()["b"],
        1
    );
    vault.kill9();
    vault.restart();
    vault.root("GET", "kv/a", json!(null)).expect(503);
    vault.unseal();
    vault.root("GET", "kv/a", json!(null)).expect(200);
    assert!(vault.terminate().success());
    assert!(!vault.audit().is_empty());
}

#[test]
fn dev_mode_and_plain_mode_start() {
    let dev = Vault::dev();
    dev.root("POST", "secret/data/a", json!({"data": {"b": 1}}))
        .expect(200);
    let plain = Vault::ready_with(Options::memory());
    plain.root("GET", "sys/mounts", json!(null)).expect(200);
}
