//! The frame around keys (RFC 7468), and as much DER as the numbers of an RSA key need.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::{BadPrivateKey, SecretVec};
use BadPrivateKey::Malformed;

/// The label and the bytes of the only frame in a text.
///
/// # Errors
/// If there is none, or it is encrypted.
pub fn read(text: &str) -> Result<(&str, SecretVec), BadPrivateKey> {
    let inner = text.trim().strip_prefix("-----BEGIN ");
    let (label, rest) = inner
        .and_then(|rest| rest.split_once("-----"))
        .ok_or(Malformed)?;
    let end = format!("-----END {label}-----");
    let body = rest.strip_suffix(end.as_str()).ok_or(Malformed)?;
    // RFC 1421, as OpenSSL writes what it encrypts.
    if body.contains("Proc-Type") {
        return Err(BadPrivateKey::Encrypted);
    }
    let mut base64 = Zeroizing::new(String::with_capacity(body.len()));
    base64.extend(body.chars().filter(|c| !c.is_ascii_whitespace()));
    let bytes = STANDARD.decode(base64.as_str()).map_err(|_| Malformed)?;
    Ok((label, Zeroizing::new(bytes)))
}

/// A frame around bytes, in lines of `width` characters.
pub fn write(label: &str, bytes: &[u8], width: usize) -> Zeroizing<String> {
    let base64 = Zeroizing::new(STANDARD.encode(bytes));
    let room = base64.len() + base64.len() / width + 2 * label.len() + 64;
    let mut text = Zeroizing::new(String::with_capacity(room));
    text.push_str("-----BEGIN ");
    text.push_str(label);
    text.push_str("-----\n");
    let mut rest = base64.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(width.min(rest.len()));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text.push_str("-----END ");
    text.push_str(label);
    text.push_str("-----\n");
    text
}

const INTEGER: u8 = 0x02;
const OCTETS: u8 = 0x04;
const SEQUENCE: u8 = 0x30;

/// The RSA key (RFC 8017, A.1.2) that PKCS #8 is wrapped around.
pub(crate) fn pkcs1_of(pkcs8: &[u8]) -> Result<&[u8], BadPrivateKey> {
    let (mut outer, _) = element(SEQUENCE, pkcs8)?;
    for tag in [INTEGER, SEQUENCE] {
        outer = element(tag, outer)?.1;
    }
    Ok(element(OCTETS, outer)?.0)
}

/// n, e, d, p, q, d mod p-1, d mod q-1, 1/q mod p (RFC 8017, A.1.2) of an RSA key in PKCS #8, without
/// leading zeros.
pub(crate) fn rsa_numbers(pkcs8: &[u8]) -> Result<[&[u8]; 8], BadPrivateKey> {
    let (key, _) = element(SEQUENCE, pkcs1_of(pkcs8)?)?;
    let (_version, mut rest) = element(INTEGER, key)?;
    let mut numbers = [&[][..]; 8];
    for number in &mut numbers {
        let (bytes, after) = element(INTEGER, rest)?;
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        *number = &bytes[zeros..];
        rest = after;
    }
    Ok(numbers)
}

/// The content of the first element, which has this tag, and what follows it.
fn element(tag: u8, bytes: &[u8]) -> Result<(&[u8], &[u8]), BadPrivateKey> {
    let (head, rest) = bytes.split_first_chunk::<2>().ok_or(Malformed)?;
    if head[0] != tag {
        return Err(Malformed);
    }
    let (length, rest) = match head[1] {
        short @ ..=0x7f => (usize::from(short), rest),
        long @ (0x81..=0x83) => {
            let (length, rest) = rest
                .split_at_checked(usize::from(long & 0x7f))
                .ok_or(Malformed)?;
            let length = length
                .iter()
                .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
            (length, rest)
        }
        _ => return Err(Malformed),
    };
    rest.split_at_checked(length).ok_or(Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_off_is_refused_without_panic() {
        let der = [0x30, 0x82, 0x00, 0x03, 0x02, 0x01, 0x00];
        for end in 0..der.len() {
            assert!(rsa_numbers(&der[..end]).is_err());
        }
        assert!(element(SEQUENCE, &[0x30, 0x84, 0, 0, 0, 0]).is_err());
        assert!(element(SEQUENCE, &[0x30, 0x83, 0xff, 0xff, 0xff]).is_err());
    }

    #[test]
    fn a_frame_holds_what_was_put_into_it() {
        for length in [0, 1, 47, 48, 49, 200] {
            let bytes = vec![7; length];
            let text = write("THING", &bytes, 64);
            assert!(text.lines().all(|line| line.len() <= 64));
            let (label, found) = read(&text).expect("a frame");
            assert_eq!((label, found.as_slice()), ("THING", bytes.as_slice()));
        }
        for odd in [
            "",
            "-----BEGIN A-----",
            "-----BEGIN A-----\n-----END B-----",
            "x",
        ] {
            assert_eq!(read(odd).err(), Some(Malformed));
        }
    }
}
