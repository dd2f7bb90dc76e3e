//! Certificates from outside: of issuers that are imported, of callers who revoke or log in.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vault_x509::Facts;

fuzz_target!(|der: &[u8]| {
    if let Ok(facts) = Facts::from_der(der) {
        assert!(!facts.serial.is_empty());
        let _ = facts.signed(der);
        let _ = facts.public.id();
    }
});
