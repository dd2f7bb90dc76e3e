//! Small pieces of DER that many structures have.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use yasna::models::ObjectIdentifier;
use yasna::{DERWriter, Tag};

const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

pub fn write_oid(writer: DERWriter<'_>, parts: &[u64]) {
    writer.write_oid(&ObjectIdentifier::from_slice(parts));
}

/// `Time` (RFC 5280, 4.1.2.5): two digits of the year until 2049, four after.
pub fn write_time(writer: DERWriter<'_>, time: Timestamp) {
    let year = time.to_zoned(TimeZone::UTC).year();
    match (1950..2050).contains(&year) {
        true => writer.write_der(&text(UTC_TIME, "%y%m%d%H%M%SZ", time)),
        false => writer.write_der(&text(GENERALIZED_TIME, "%Y%m%d%H%M%SZ", time)),
    }
}

/// `GeneralizedTime`, to the second.
pub fn write_generalized(writer: DERWriter<'_>, time: Timestamp) {
    writer.write_der(&text(GENERALIZED_TIME, "%Y%m%d%H%M%SZ", time));
}

fn text(tag: u8, format: &str, time: Timestamp) -> Vec<u8> {
    let digits = time.strftime(format).to_string();
    // 13 or 15 characters.
    let length = u8::try_from(digits.len()).unwrap_or(0);
    [&[tag, length][..], digits.as_bytes()].concat()
}

/// An extension (RFC 5280, 4.1): `value` is DER.
pub fn write_extension(writer: DERWriter<'_>, oid: &[u64], critical: bool, value: &[u8]) {
    writer.write_sequence(|writer| {
        write_oid(writer.next(), oid);
        if critical {
            writer.next().write_bool(true);
        }
        writer.next().write_bytes(value);
    });
}

/// `[number] IMPLICIT` with these bytes as they are.
pub fn write_implicit(writer: DERWriter<'_>, number: u64, bytes: &[u8]) {
    writer.write_tagged_implicit(Tag::context(number), |writer| writer.write_bytes(bytes));
}

/// The DER of an extension whose value is known.
pub fn raw_extension(oid: &[u64], critical: bool, value: &[u8]) -> Vec<u8> {
    yasna::construct_der(|writer| write_extension(writer, oid, critical, value))
}

/// Constructed values in constructed values.
const DEPTH: u32 = 16;

/// Whether these are whole values of definite length, each within what holds it (X.690, 8.1.3). The
/// reader of the library adds up lengths that it skips, whatever they are: it is to see no others.
pub fn is_sound(der: &[u8]) -> bool {
    values(der, DEPTH)
}

fn values(mut bytes: &[u8], depth: u32) -> bool {
    while !bytes.is_empty() {
        let Some((tag, content, rest)) = value(bytes) else {
            return false;
        };
        let is_constructed = tag & 0x20 != 0;
        if is_constructed && (depth == 0 || !values(content, depth - 1)) {
            return false;
        }
        bytes = rest;
    }
    true
}

/// Tag, content and what follows. Nothing here has a tag of more than one byte.
fn value(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let add = |sum: usize, digit: &u8| sum << 8 | usize::from(*digit);
            (digits.iter().fold(0, add), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    (tag & 0x1f != 0x1f).then_some((tag, content, rest))
}
