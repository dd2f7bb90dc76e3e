//! Names of roles, keys and issuers.

use crate::core::body::Body;
use crate::core::context::Ctx;
use crate::core::fault::Fault;

/// 1 to 128 of letters, digits, `_`, `-` and `.`, with a letter, digit or `_` at both ends.
pub(super) fn check(text: &str) -> Result<&str, Fault> {
    let word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let bytes = text.as_bytes();
    let ends = bytes.first().is_some_and(word) && bytes.last().is_some_and(word);
    let inner = bytes.iter().all(|byte| word(byte) || b"-.".contains(byte));
    match ends && inner && bytes.len() <= 128 {
        true => Ok(text),
        false => Err(Fault::invalid(
            "invalid name: use 1 to 128 letters, digits, '_', '-' or '.', with a letter, digit or \
             '_' at both ends",
        )),
    }
}

/// Empty if none is given. `default` names whatever is the default.
pub(super) fn optional(body: &Body, field: &str) -> Result<String, Fault> {
    let name = body.string(field)?.unwrap_or_default();
    match name.as_str() {
        "" => Ok(name),
        "default" => Err(Fault::invalid(format!(
            "{field}: the name 'default' is reserved"
        ))),
        _ => Ok(check(&name)?.to_owned()),
    }
}

/// Where a role is stored.
pub(super) fn role_row(ctx: &Ctx<'_>) -> Result<String, Fault> {
    Ok(format!("role/{}", check(ctx.param("name"))?))
}
