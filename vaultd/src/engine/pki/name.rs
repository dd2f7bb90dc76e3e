//! Names of roles, keys and issuers.

use crate::core::body::Body;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::name::check;

/// Empty if none is given. `default` names whatever is the default.
pub(super) fn optional(body: &Body, field: &str) -> Result<String, Fault> {
    let name = body.string(field)?.unwrap_or_default();
    match name.as_str() {
        "" => Ok(name),
        "default" => Err(Fault::invalid(format!(
            "{field}: the name 'default' is reserved"
        ))),
        _ => Ok(check(&name, field.trim_end_matches("_name"))?.to_owned()),
    }
}

/// Where a role is stored.
pub(super) fn role_row(ctx: &Ctx<'_>) -> Result<String, Fault> {
    row_of_role(ctx.param("name"))
}

pub(super) fn row_of_role(name: &str) -> Result<String, Fault> {
    Ok(format!("role/{}", check(name, "role")?))
}
