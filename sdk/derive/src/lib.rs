//! `#[derive(Secrets)]`: from the fields of a struct to the list of secrets
//! it needs.

mod attributes;

use proc_macro::TokenStream;
use proc_macro2::TokenStream as Tokens;
use quote::quote;
use syn::{Data, DeriveInput, Field, Fields, Ident, Type, parse_macro_input};

use attributes::{Container, Source};

/// Makes a struct loadable with `Client::load`.
///
/// On the struct: `#[secrets(mount = "secret", path = "apps/{env}/db")]`.
/// `{env}` is filled at load time, from a map or from the variable `ENV`.
///
/// On a field: `#[secret(key = "...", path = "...", mount = "...", optional)]`
/// or `#[secret(nested)]` for a field whose type derives `Secrets` too. The
/// key is the field's name unless it is given (`rename` means the same). A
/// field of type `Option` is optional; `optional` on another type is refused.
#[proc_macro_derive(Secrets, attributes(secrets, secret))]
pub fn derive_secrets(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    expand(&input)
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

fn expand(input: &DeriveInput) -> syn::Result<Tokens> {
    let Data::Struct(data) = &input.data else {
        return Err(syn::Error::new_spanned(
            input,
            "Secrets can be derived for structs only",
        ));
    };
    let Fields::Named(fields) = &data.fields else {
        return Err(syn::Error::new_spanned(
            input,
            "Secrets needs a struct with named fields",
        ));
    };
    if let Some(parameter) = input.generics.params.first() {
        return Err(syn::Error::new_spanned(
            parameter,
            "Secrets cannot be derived for a generic struct",
        ));
    }
    let container = Container::parse(&input.attrs)?;
    let rows = fields
        .named
        .iter()
        .map(|field| row(&container, field))
        .collect::<syn::Result<Vec<_>>>()?;

    let name = &input.ident;
    let parts = rows.iter().map(|row| &row.manifest);
    let takes = rows.iter().map(|row| &row.take);
    let names: Vec<_> = rows.iter().map(|row| &row.name).collect();
    Ok(quote! {
        impl ::vault_sdk::Secrets for #name {
            const MANIFEST: &'static [::vault_sdk::SecretRef] = {
                const PARTS: &[&[::vault_sdk::SecretRef]] = &[#(#parts),*];
                &::vault_sdk::concat::<{ ::vault_sdk::total(PARTS) }>(PARTS)
            };

            fn take(found: &mut ::vault_sdk::Found) -> ::core::option::Option<Self> {
                // All fields are tried before the first failure counts, so
                // that every problem is found.
                #(#takes)*
                ::core::option::Option::Some(Self { #(#names: #names?),* })
            }
        }
    })
}

struct Row<'a> {
    name: &'a Ident,
    manifest: Tokens,
    take: Tokens,
}

fn row<'a>(container: &Container, field: &'a Field) -> syn::Result<Row<'a>> {
    let ty = &field.ty;
    let Some(name) = &field.ident else {
        return Err(syn::Error::new_spanned(field, "a field needs a name"));
    };
    let source = Source::parse(&field.attrs)?;
    if source.nested {
        return Ok(Row {
            name,
            manifest: quote!(<#ty as ::vault_sdk::Secrets>::MANIFEST),
            take: quote!(let #name = <#ty as ::vault_sdk::Secrets>::take(found);),
        });
    }
    let optional = is_option(ty);
    if source.optional && !optional {
        return Err(syn::Error::new_spanned(
            ty,
            "an optional secret needs a field of type Option<...>",
        ));
    }
    let missing = |what: &str| {
        syn::Error::new_spanned(
            field,
            format!("no {what}: add `{what} = \"...\"` to #[secrets(...)] or #[secret(...)]"),
        )
    };
    let mount = source.mount.as_ref().or(container.mount.as_ref());
    let mount = mount.ok_or_else(|| missing("mount"))?;
    let path = source.path.as_ref().or(container.path.as_ref());
    let path = path.ok_or_else(|| missing("path"))?;
    let label = name.to_string();
    let label = label.trim_start_matches("r#");
    let key = source.key.unwrap_or_else(|| label.to_owned());
    Ok(Row {
        name,
        manifest: quote! {
            &[::vault_sdk::SecretRef {
                field: #label,
                mount: #mount,
                path: #path,
                key: #key,
                optional: #optional,
            }]
        },
        take: quote!(let #name = found.field::<#ty>();),
    })
}

fn is_option(ty: &Type) -> bool {
    match ty {
        Type::Path(path) => path
            .path
            .segments
            .last()
            .is_some_and(|segment| segment.ident == "Option"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::expand;

    fn outcome(code: &str) -> String {
        match syn::parse_str(code).and_then(|input| expand(&input)) {
            Ok(_) => "fine".into(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn mistakes_are_found_when_the_app_is_compiled() {
        let on_struct = |attribute: &str| {
            outcome(&format!(
                "#[secrets({attribute})] struct App {{ a: Secret }}"
            ))
        };
        let on_field = |attribute: &str| {
            let app = "#[secrets(mount = \"m\", path = \"p\")] struct App";
            outcome(&format!("{app} {{ #[secret({attribute})] a: Secret }}"))
        };
        let table = [
            (on_struct("mount = \"m\", path = \"p/{env}\""), "fine"),
            (on_struct("mount = \"m\""), "no path"),
            (on_struct("path = \"p\""), "no mount"),
            (on_struct("mount = \"m\", path = \"a/../b\""), "'..'"),
            (on_struct("mount = \"m\", path = \"a/{\""), "placeholder"),
            (
                on_struct("mount = \"m\", path = \"a/{x y}\""),
                "placeholder",
            ),
            (on_struct("mount = \"m\", path = \"a/}\""), "placeholder"),
            (on_struct("mount = \"\", path = \"p\""), "empty"),
            (on_struct("mout = \"m\""), "known are"),
            (on_field("key = \"k\""), "fine"),
            (on_field("nested"), "fine"),
            (on_field("optional"), "Option"),
            (on_field("keys = \"k\""), "known are"),
            (outcome("enum App { A }"), "structs only"),
            (outcome("struct App(Secret);"), "named fields"),
            (outcome("struct App<T> { a: T }"), "generic"),
        ];
        for (found, part) in table {
            assert!(found.contains(part), "{found:?} does not say {part:?}");
        }
    }
}
