//! Serial numbers: random, and written as people know them.

use vault_crypto::Random;

use crate::core::fault::Fault;

/// Bytes of a serial number at most (RFC 5280, 4.1.2.2).
pub(super) const LENGTH: usize = 20;

/// 158 random bits; never zero, never negative.
pub(super) fn new(random: &dyn Random) -> Vec<u8> {
    let mut serial = vec![0; LENGTH];
    random.fill(&mut serial);
    serial[0] = serial[0] & 0x7f | 0x40;
    serial
}

/// `0a:1b:…`
pub(super) fn colons(bytes: &[u8]) -> String {
    let pairs: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    pairs.join(":")
}

/// In hex, with colons, hyphens or nothing between the bytes.
pub(super) fn parse(text: &str) -> Result<Vec<u8>, Fault> {
    let digits: String = text.chars().filter(|c| !matches!(c, ':' | '-')).collect();
    let bytes = hex::decode(&digits).ok();
    let bytes = bytes.filter(|bytes| (1..=LENGTH).contains(&bytes.len()));
    bytes.ok_or_else(|| Fault::invalid("invalid serial number: expected hex such as 17:67:16:b0"))
}

/// The same number without leading zeros, as rows are named.
pub(super) fn hex(serial: &[u8]) -> String {
    let zeros = serial.iter().take_while(|byte| **byte == 0).count();
    hex::encode(&serial[zeros..])
}
