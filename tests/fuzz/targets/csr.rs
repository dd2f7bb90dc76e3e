//! Certificate requests: whatever is accepted has names that are one name to everybody.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vault_x509::{AltName, Request};

fuzz_target!(|bytes: &[u8]| {
    let request = match std::str::from_utf8(bytes) {
        Ok(text) if text.starts_with("-----") => Request::from_pem(text),
        _ => Request::from_der(bytes),
    };
    let Ok(request) = request else {
        return;
    };
    for name in &request.names {
        if let AltName::Dns(name) | AltName::Email(name) | AltName::Uri(name) = name {
            assert!(name.is_ascii() && !name.contains('\0'), "{name:?}");
        }
    }
    if let Some(name) = &request.common_name {
        assert!(!name.contains('\0'), "{name:?}");
    }
});
