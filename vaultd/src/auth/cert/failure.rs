//! What a refusal says of the certificate, where the mount's config wants that: for the audit log, in
//! which it is hashed, and for who shows the certificate and knows it anyway.

use serde_json::json;

use super::certificate::{Facts, in_colons};
use super::config;
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;

/// Anybody can make a certificate: of its names no more is said.
const CHARACTERS_MAX: usize = 100;

/// The refusal of a login, with the certificate that was refused.
pub(super) async fn describe(ctx: &Ctx<'_>, view: &mut View<'_>, fault: Fault) -> Fault {
    let Fault::Invalid(text) = fault else {
        return fault;
    };
    let wanted = config::load(view).await;
    let chain = ctx.request.client_chain.as_ref();
    let facts = chain.and_then(|chain| Facts::read(chain.own()).ok());
    let (Ok(true), Some(facts)) = (wanted.map(|config| config.metadata_on_failures), facts) else {
        return Fault::Invalid(text);
    };
    let short = |text: &str| text.chars().take(CHARACTERS_MAX).collect::<String>();
    let metadata = json!({
        "common_name": short(facts.common_name.as_deref().unwrap_or_default()),
        "serial_number": short(&facts.serial_text),
        "subject_key_id": short(&in_colons(&facts.subject_key_id)),
        "authority_key_id": short(&in_colons(&facts.authority_key_id)),
    });
    let data = [
        ("error".to_owned(), json!(text)),
        ("metadata".to_owned(), metadata),
    ];
    Fault::Described {
        text,
        data: data.into_iter().collect(),
    }
}
