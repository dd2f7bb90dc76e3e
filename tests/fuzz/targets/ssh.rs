//! What a client or an agent sends: keys, certificates, signatures, messages.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vault_ssh::agent::{Answer, Request};
use vault_ssh::{Certificate, Key, Signature};

fuzz_target!(|bytes: &[u8]| {
    let _ = Request::parse(bytes);
    let _ = Answer::parse(bytes);
    if let Ok(key) = Key::from_blob(bytes) {
        assert!(Key::from_line(&key.line()).is_ok());
    }
    let _ = Certificate::from_blob(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = Key::from_line(text);
        let _ = Certificate::from_line(text);
        let _ = Signature::parse(text, "vaultd");
    }
});
