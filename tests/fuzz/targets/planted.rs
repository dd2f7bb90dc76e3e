//! A mistake on purpose, behind the parser: a run that does not find it has looked at nothing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vault_x509::Request;

fuzz_target!(|der: &[u8]| {
    if der.len() > 4 && der[0] == 0x30 && der[1] == 0x82 {
        assert!(der[3] != b'!', "planted");
    }
    let _ = Request::from_der(der);
});
