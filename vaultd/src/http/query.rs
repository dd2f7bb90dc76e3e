//! `a=1&b=2` -> body fields: queries of reads and forms of old clients.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::core::body::Body;
use crate::core::fault::Fault;

/// Decoded pairs in order; a repeated key becomes a list.
pub fn into_body(text: &str, body: &mut Body) -> Result<(), Fault> {
    let mut fields: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (key, value) in pairs(text)? {
        fields.entry(key).or_default().push(value);
    }
    for (key, mut values) in fields {
        let value = match values.len() {
            1 => Value::from(values.remove(0)),
            _ => Value::from(values),
        };
        body.set(&key, &value);
    }
    Ok(())
}

pub fn pairs(text: &str) -> Result<Vec<(String, String)>, Fault> {
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decode(key)?, decode(value)?))
        })
        .collect()
}

fn decode(text: &str) -> Result<String, Fault> {
    let malformed = || Fault::invalid("malformed percent-encoding in the query or form");
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let mut digit = || {
                    bytes
                        .next()
                        .and_then(|b| char::from(b).to_digit(16))
                        .ok_or_else(malformed)
                };
                let value = digit()? * 16 + digit()?;
                out.push(u8::try_from(value).map_err(|_| malformed())?);
            }
            _ => out.push(byte),
        }
    }
    String::from_utf8(out).map_err(|_| malformed())
}
