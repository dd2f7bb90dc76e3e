//! The API as an OpenAPI 3 document, made from the route tables of what is mounted.

use serde_json::{Map, Value, json};

use crate::core::Core;
use crate::core::context::Ctx;
use crate::core::dispatch::{self, AnyRow};
use crate::core::fault::Fault;
use crate::core::mount::Mount;
use crate::core::reply::Reply;
use crate::core::request::Verb;
use crate::core::route::Access;
use crate::core::unsealed::Unsealed;

/// Only mounts that the caller has a rule under.
pub fn read(core: &Core, vault: &Unsealed, ctx: &Ctx<'_>) -> Result<Reply, Fault> {
    let caller = ctx.caller.ok_or(Fault::BadToken)?;
    let mut paths: Map<String, Value> = Map::new();
    for mount in vault.mounts.load().iter() {
        if !caller.is_root() && !caller.acl.any_under(&mount.path) {
            continue;
        }
        for row in dispatch::rows(mount.kind) {
            add(&mut paths, mount, &row);
        }
    }
    let document = json!({
        "openapi": "3.0.2",
        "info": {
            "title": "vaultd",
            "description": "A server for secrets that speaks the Vault HTTP API",
            "version": core.settings.compat_version,
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "paths": paths,
    });
    Ok(Reply::json(document).bare())
}

fn add(paths: &mut Map<String, Value>, mount: &Mount, row: &AnyRow) {
    let (template, names) = template(row.pattern);
    let mut path = format!("/{}{template}", mount.path);
    if row.verb == Verb::List && !path.ends_with('/') {
        path.push('/');
    }
    let entry = paths.entry(path).or_insert_with(|| json!({}));
    let Value::Object(entry) = entry else {
        return;
    };
    if !names.is_empty() {
        let parameters: Vec<Value> = names
            .iter()
            .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}))
            .collect();
        entry.insert("parameters".into(), parameters.into());
    }
    if matches!(row.access, Access::Anyone | Access::Open | Access::Sealed) {
        entry.insert("x-vault-unauthenticated".into(), true.into());
    }
    if row.access == Access::Sudo {
        entry.insert("x-vault-sudo".into(), true.into());
    }
    let method = match row.verb {
        Verb::Read | Verb::List => "get",
        Verb::Write => "post",
        Verb::Patch => "patch",
        Verb::Delete => "delete",
    };
    entry.insert(method.into(), operation(mount, row, &template));
}

fn operation(mount: &Mount, row: &AnyRow, template: &str) -> Value {
    let place: String = format!("{}{template}", mount.path)
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    let mut operation = json!({
        "summary": row.about,
        "operationId": format!("{}-{}", row.verb.method().to_lowercase(), place.trim_matches('-')),
        "tags": [if mount.kind.is_auth() { "auth" } else { mount.kind.type_name() }],
        "responses": {"200": {"description": "OK"}},
    });
    let fields: Vec<&str> = row
        .fields
        .split(' ')
        .filter(|field| !field.is_empty())
        .collect();
    match row.verb {
        Verb::List => {
            operation["parameters"] = json!([{"name": "list", "in": "query", "required": true, "schema": {"type": "string", "enum": ["true"]}}]);
        }
        Verb::Write | Verb::Patch if !fields.is_empty() => {
            let any = fields == ["*"];
            let properties: Map<String, Value> = fields
                .iter()
                .filter(|field| **field != "*")
                .map(|field| ((*field).to_owned(), json!({})))
                .collect();
            let schema =
                json!({"type": "object", "properties": properties, "additionalProperties": any});
            operation["requestBody"] = json!({"content": {"application/json": {"schema": schema}}});
        }
        Verb::Read | Verb::Write | Verb::Patch | Verb::Delete => {}
    }
    operation
}

/// `{path..?}` is `{path}`, and its name.
fn template(pattern: &str) -> (String, Vec<&str>) {
    let mut names = Vec::new();
    let parts: Vec<String> = pattern
        .split('/')
        .map(|part| {
            match part
                .strip_prefix('{')
                .and_then(|part| part.strip_suffix('}'))
            {
                Some(name) => {
                    let name = name.trim_end_matches('?').trim_end_matches('.');
                    names.push(name);
                    format!("{{{name}}}")
                }
                None => part.to_owned(),
            }
        })
        .collect();
    (parts.join("/"), names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_become_templates() {
        assert_eq!(
            template("data/{path..}"),
            ("data/{path}".to_owned(), vec!["path"])
        );
        assert_eq!(
            template("role/{name}/id/{rest..?}"),
            ("role/{name}/id/{rest}".to_owned(), vec!["name", "rest"])
        );
        assert_eq!(template("config"), ("config".to_owned(), vec![]));
    }
}
