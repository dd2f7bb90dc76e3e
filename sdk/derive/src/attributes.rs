//! What stands in `#[secrets(...)]` and `#[secret(...)]`.

use syn::meta::ParseNestedMeta;
use syn::{Attribute, LitStr};

/// Of the struct.
#[derive(Default)]
pub(crate) struct Container {
    pub(crate) mount: Option<String>,
    pub(crate) path: Option<String>,
}

/// Of one field.
#[derive(Default)]
pub(crate) struct Source {
    pub(crate) mount: Option<String>,
    pub(crate) path: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) optional: bool,
    pub(crate) nested: bool,
}

impl Container {
    pub(crate) fn parse(attributes: &[Attribute]) -> syn::Result<Self> {
        let mut container = Self::default();
        for attribute in attributes.iter().filter(|a| a.path().is_ident("secrets")) {
            attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("mount") {
                    container.mount = Some(path_text(&meta)?);
                } else if meta.path.is_ident("path") {
                    container.path = Some(path_text(&meta)?);
                } else {
                    return Err(meta.error("unknown; known are: mount, path"));
                }
                Ok(())
            })?;
        }
        Ok(container)
    }
}

impl Source {
    pub(crate) fn parse(attributes: &[Attribute]) -> syn::Result<Self> {
        let mut source = Self::default();
        for attribute in attributes.iter().filter(|a| a.path().is_ident("secret")) {
            attribute.parse_nested_meta(|meta| source.set(&meta))?;
        }
        Ok(source)
    }

    fn set(&mut self, meta: &ParseNestedMeta<'_>) -> syn::Result<()> {
        if meta.path.is_ident("mount") {
            self.mount = Some(path_text(meta)?);
        } else if meta.path.is_ident("path") {
            self.path = Some(path_text(meta)?);
        } else if meta.path.is_ident("key") || meta.path.is_ident("rename") {
            self.key = Some(meta.value()?.parse::<LitStr>()?.value());
        } else if meta.path.is_ident("optional") {
            self.optional = true;
        } else if meta.path.is_ident("nested") {
            self.nested = true;
        } else {
            return Err(
                meta.error("unknown; known are: mount, path, key, rename, optional, nested")
            );
        }
        Ok(())
    }
}

/// Wrong paths fail when the app is compiled, not when it starts.
fn path_text(meta: &ParseNestedMeta<'_>) -> syn::Result<String> {
    let literal: LitStr = meta.value()?.parse()?;
    let text = literal.value();
    let wrong = |why| Err(syn::Error::new(literal.span(), why));
    if text.trim_matches('/').is_empty() {
        return wrong("this must not be empty");
    }
    if text.split('/').any(|part| part == "." || part == "..") {
        return wrong("a path cannot hold '.' or '..'");
    }
    if !braces_match(&text) {
        return wrong("a placeholder is a name in braces, such as {env}");
    }
    Ok(text)
}

fn braces_match(text: &str) -> bool {
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((name, after)) = after.split_once('}') else {
            return false;
        };
        let named = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !named || before.contains('}') {
            return false;
        }
        rest = after;
    }
    !rest.contains('}')
}
