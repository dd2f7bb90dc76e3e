//! Questions to the OCSP responder, which anyone may ask.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vault_x509::ocsp::Questions;

fuzz_target!(|der: &[u8]| {
    let _ = Questions::from_der(der);
});
