//! The wire, byte for byte: each file is read as its type and written again.
//! A field that is renamed, dropped, reordered or no longer null shows here.

#![allow(clippy::unwrap_used, clippy::allow_attributes)]

use std::collections::BTreeSet;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use vault_proto::{Envelope, Errors, approle, kv2, mounts, seal, token};

fn folder() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("golden")
}

fn again<T: Serialize + DeserializeOwned>(text: &str) -> String {
    let value: T = serde_json::from_str(text).unwrap();
    serde_json::to_string_pretty(&value).unwrap() + "\n"
}

type Again = fn(&str) -> String;

const FILES: &[(&str, Again)] = &[
    ("approle_login", again::<approle::LoginRequest>),
    ("errors", again::<Errors>),
    ("health", again::<seal::Health>),
    ("init_request", again::<seal::InitRequest>),
    ("init_response", again::<seal::InitResponse>),
    ("kv2_deleted", again::<kv2::ReadData>),
    ("kv2_metadata", again::<kv2::Metadata>),
    ("kv2_read", again::<Envelope<kv2::ReadData>>),
    ("kv2_write", again::<kv2::WriteRequest>),
    ("leader", again::<seal::Leader>),
    ("login", again::<Envelope<Value>>),
    ("mount_input", again::<mounts::MountInput>),
    ("mount_output", again::<mounts::MountOutput>),
    ("seal_status_open", again::<seal::SealStatus>),
    ("seal_status_sealed", again::<seal::SealStatus>),
    ("token_create", again::<token::CreateRequest>),
    ("token_lookup", again::<token::Lookup>),
    ("unseal_request", again::<seal::UnsealRequest>),
    ("wrapped", again::<Envelope<Value>>),
];

#[test]
fn every_wire_type_writes_what_it_read() {
    for (name, again) in FILES {
        let text = std::fs::read_to_string(folder().join(name).with_extension("json")).unwrap();
        assert_eq!(again(&text), text, "golden/{name}.json");
    }
}

#[test]
fn every_file_is_checked() {
    let checked: BTreeSet<_> = FILES
        .iter()
        .map(|(name, _)| format!("{name}.json"))
        .collect();
    let present: BTreeSet<_> = std::fs::read_dir(folder())
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(checked, present);
}

#[test]
fn a_changed_wire_is_noticed() {
    #[derive(serde::Serialize, serde::Deserialize)]
    struct Renamed {
        secret_shares: u32,
        #[serde(default)]
        threshold: u32,
    }
    let text = std::fs::read_to_string(folder().join("init_request.json")).unwrap();
    assert_ne!(again::<Renamed>(&text), text);
}

#[test]
fn nulls_of_clients_mean_absent() {
    let input =
        r#"{"type":"kv","description":null,"config":null,"options":null,"plugin_name":null}"#;
    let input: mounts::MountInput = serde_json::from_str(input).unwrap();
    assert_eq!(input.kind, "kv");
    let errors: Errors = serde_json::from_str(r#"{"errors":null}"#).unwrap();
    assert!(errors.errors.is_empty());
}

#[test]
fn debug_output_holds_no_secret() {
    let text = std::fs::read_to_string(folder().join("login.json")).unwrap();
    let login: Envelope<Value> = serde_json::from_str(&text).unwrap();
    assert!(!format!("{login:?}").contains("hvs."));
    let text = std::fs::read_to_string(folder().join("init_response.json")).unwrap();
    let init: seal::InitResponse = serde_json::from_str(&text).unwrap();
    let shown = format!("{init:?}");
    assert!(!shown.contains("00ff") && !shown.contains("AP8=") && !shown.contains("hvs."));
}
