//! Policies: an error names a place that is there.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vault_policy::{Policy, PolicyName};

fuzz_target!(|text: &str| {
    let Ok(name) = "p".parse::<PolicyName>() else {
        return;
    };
    if let Err(error) = Policy::parse(&name, text) {
        let _ = error.to_string();
    }
});
