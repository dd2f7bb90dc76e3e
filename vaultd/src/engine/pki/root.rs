//! Authorities: roots and intermediates are made, signed and taken over.

use serde_json::{Map, Value, json};
use vault_crypto::{PrivateKey, pem};
use vault_x509::x509_parser::prelude::{FromDer, X509Certificate};
use vault_x509::{
    Authority as Ca, Extensions, KeyUsage, Name, NameConstraints, Signer, Subtree, Template,
    write_request,
};

use super::certs::Issued;
use super::format::Format;
use super::issue::{Decided, csr, usable};
use super::issuer::{self, Authority, Issuer};
use super::key::{self, Key};
use super::role::{self, Role};
use super::subject::Subject;
use super::validity::Validity;
use super::{Prepared, serial};
use crate::barrier::View;
use crate::core::body::Body;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;

/// Whether the private key is part of the answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    Exported,
    Internal,
    Existing,
}

impl Origin {
    fn of(ctx: &Ctx<'_>) -> Result<Origin, Fault> {
        match ctx.param("type") {
            "exported" => Ok(Origin::Exported),
            "internal" => Ok(Origin::Internal),
            "existing" => Ok(Origin::Existing),
            _ => Err(Fault::invalid(
                "unknown type: use internal, exported or existing",
            )),
        }
    }
}

/// Whether a new key is needed for this.
pub(super) fn makes_key(ctx: &Ctx<'_>) -> bool {
    matches!(ctx.param("type"), "exported" | "internal")
}

/// The key of a new authority.
async fn own_key(
    ctx: &Ctx<'_>,
    prepared: &Prepared,
    view: &mut View<'_>,
) -> Result<(Key, PrivateKey), Fault> {
    if Origin::of(ctx)? == Origin::Existing {
        return existing_key(ctx.body(), view).await;
    }
    let made = prepared.key()?;
    let key = Key::new(made, key::new_name(ctx.body(), view).await?, ctx.random)?;
    let open = key.open()?;
    key.store(view).await?;
    Ok((key, open))
}

async fn existing_key(body: &Body, view: &mut View<'_>) -> Result<(Key, PrivateKey), Fault> {
    let reference = body.string("key_ref")?.unwrap_or_default();
    let reference = if reference.is_empty() {
        "default"
    } else {
        &reference
    };
    let key = Key::named(view, reference).await?;
    let open = key.open()?;
    Ok((key, open))
}

/// The subject of an authority, which a role does not limit.
fn subject(body: &Body) -> Result<(Subject, Name), Fault> {
    let mut subject = Subject::given(body)?;
    if !body.bool("exclude_cn_from_sans")?.unwrap_or(false) {
        subject.name_by_common_name();
    }
    subject.limits()?;
    let list = |field: &str| Ok::<_, Fault>(body.list(field)?.unwrap_or_default());
    let attributes = Role {
        ou: list("ou")?,
        organization: list("organization")?,
        country: list("country")?,
        locality: list("locality")?,
        province: list("province")?,
        street_address: list("street_address")?,
        postal_code: list("postal_code")?,
        ..Role::default()
    };
    let name = subject.name(&attributes);
    Ok((subject, name))
}

fn authority_extensions(body: &Body, subject: &Subject) -> Result<Extensions, Fault> {
    let path_length = match body.int("max_path_length")?.unwrap_or(-1) {
        -1 => None,
        length => Some(
            u8::try_from(length)
                .map_err(|_| Fault::invalid("max_path_length: use -1 for no limit, or 0 to 255"))?,
        ),
    };
    Ok(Extensions {
        authority: Some(Some(Ca { path_length })),
        key_usage: KeyUsage::AUTHORITY,
        names: subject.names.clone(),
        constraints: constraints(body)?,
        ..Extensions::default()
    })
}

fn constraints(body: &Body) -> Result<NameConstraints, Fault> {
    let trees = |which: &str| {
        let mut trees = Vec::new();
        let list = |kind: &str| {
            let field = format!("{which}_{kind}");
            Ok::<_, Fault>(body.list(&field)?.unwrap_or_default())
        };
        trees.extend(list("dns_domains")?.into_iter().map(Subtree::Dns));
        trees.extend(list("email_addresses")?.into_iter().map(Subtree::Email));
        trees.extend(list("uri_domains")?.into_iter().map(Subtree::Uri));
        for net in list("ip_ranges")? {
            trees.push(Subtree::Ip(net.parse().map_err(|_| {
                Fault::invalid("permitted_ip_ranges and excluded_ip_ranges: expected networks such as 10.0.0.0/8")
            })?));
        }
        let texts = trees.iter().filter_map(|tree| match tree {
            Subtree::Dns(text) | Subtree::Email(text) | Subtree::Uri(text) => Some(text),
            Subtree::Ip(_) => None,
        });
        for text in texts {
            if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(Fault::invalid(
                    "name constraints have to be ASCII without spaces",
                ));
            }
        }
        Ok(trees)
    };
    Ok(NameConstraints {
        permitted: trees("permitted")?,
        excluded: trees("excluded")?,
    })
}

fn how(body: &Body) -> Result<(vault_x509::Hash, bool), Fault> {
    let hash = role::hash(body.int("signature_bits")?.unwrap_or(0))?;
    Ok((hash, body.bool("use_pss")?.unwrap_or(false)))
}

/// A root: a certificate that its own key has signed.
pub(super) async fn generate(
    ctx: &Ctx<'_>,
    prepared: &Prepared,
    view: &mut View<'_>,
) -> Result<Reply, Fault> {
    let body = ctx.body();
    if body.string("common_name")?.unwrap_or_default().is_empty() {
        return Err(Fault::invalid("the common_name field is required"));
    }
    let (subject, name) = subject(body)?;
    let extensions = authority_extensions(body, &subject)?;
    let validity = Validity::asked(ctx, prepared, None)?;
    let issuer_name = issuer::new_name(body, view).await?;
    let (key, open) = own_key(ctx, prepared, view).await?;
    let public = key::public(&open)?;
    let serial = serial::new(ctx.random);
    let template = Template {
        serial: &serial,
        issuer: &name,
        issuer_key_id: &public.id(),
        subject: &name,
        key: &public,
        not_before: validity.not_before,
        not_after: validity.not_after,
        extensions: &extensions,
    };
    let (hash, pss) = how(body)?;
    let der = template
        .sign(&Signer::new(&open, hash, pss))
        .map_err(|_| Fault::Internal("sign a root"))?;
    let issuer = Issuer::new(&der, &key.id, issuer_name, ctx.random);
    issuer.store(view, true).await?;
    let issued = Issued::new(&der, &issuer.id, validity.not_after);
    issued.store(&serial, view).await?;
    let format = Format::of(ctx)?;
    let mut map = shown_key(ctx, format, &key, &open)?;
    map.insert("certificate".into(), format.show(&der).into());
    map.insert("issuing_ca".into(), format.show(&der).into());
    map.insert("serial_number".into(), serial::colons(&serial).into());
    map.insert("expiration".into(), validity.not_after.as_second().into());
    map.insert("issuer_id".into(), issuer.id.into());
    map.insert("issuer_name".into(), issuer.name.into());
    let reply = Reply::map(map);
    Ok(match validity.warning {
        Some(warning) => reply.warn(warning),
        None => reply,
    })
}

fn shown_key(
    ctx: &Ctx<'_>,
    format: Format,
    key: &Key,
    open: &PrivateKey,
) -> Result<Map<String, Value>, Fault> {
    let mut map = Map::new();
    map.insert("key_id".into(), key.id.clone().into());
    map.insert("key_name".into(), key.name.clone().into());
    if ctx.param("type") == "exported" {
        map.insert("private_key".into(), format.show_key(open, ctx)?.into());
        map.insert("private_key_type".into(), key::type_of(open).into());
    }
    Ok(map)
}

/// A request, to be signed by another authority; `set-signed` brings the certificate back.
pub(super) async fn request(
    ctx: &Ctx<'_>,
    prepared: &Prepared,
    view: &mut View<'_>,
) -> Result<Reply, Fault> {
    request_with(ctx, Some(prepared), view).await
}

/// The same with a key that is there: another authority's signature for an authority of ours.
pub(super) async fn cross_sign(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    request_with(ctx, None, view).await
}

async fn request_with(
    ctx: &Ctx<'_>,
    prepared: Option<&Prepared>,
    view: &mut View<'_>,
) -> Result<Reply, Fault> {
    let body = ctx.body();
    let (subject, name) = subject(body)?;
    let wanted = Extensions {
        key_usage: KeyUsage::AUTHORITY,
        names: subject.names.clone(),
        authority: body
            .bool("add_basic_constraints")?
            .unwrap_or(false)
            .then_some(Some(Ca { path_length: None })),
        ..Extensions::default()
    };
    let (key, open) = match prepared {
        Some(prepared) => own_key(ctx, prepared, view).await?,
        None => existing_key(body, view).await?,
    };
    let (hash, pss) = how(body)?;
    let signer = Signer::new(&open, hash, pss);
    let der = write_request(&name, &key::public(&open)?, &wanted, &signer)
        .map_err(|_| Fault::Internal("sign a request"))?;
    let format = Format::of(ctx)?;
    let mut map = shown_key(ctx, format, &key, &open)?;
    let shown = match format {
        Format::Der => format.show(&der),
        Format::Pem | Format::Bundle => pem::write("CERTIFICATE REQUEST", &der, 64)
            .trim_end()
            .to_owned(),
    };
    map.insert("csr".into(), shown.into());
    Ok(Reply::map(map))
}

/// An authority below one of ours.
pub(super) async fn sign_intermediate(
    ctx: &Ctx<'_>,
    prepared: &Prepared,
    view: &mut View<'_>,
) -> Result<Reply, Fault> {
    let body = ctx.body();
    let csr = csr(ctx)?;
    let (mut subject, mut name) = subject(body)?;
    if body.bool("use_csr_values")?.unwrap_or(false) {
        subject.names.clone_from(&csr.names);
        name = csr.subject.clone();
    } else if subject.common_name.is_empty() {
        subject.common_name = csr.common_name.clone().unwrap_or_default();
        name = subject.name(&Role::default());
    }
    if name.is_empty() {
        return Err(Fault::invalid("the common_name field is required"));
    }
    subject.limits()?;
    let authority = named(ctx, view).await?;
    // Its signatures would look like the issuer's own.
    if name == authority.facts.subject && csr.key != authority.facts.public {
        return Err(Fault::invalid(
            "the subject is the issuer's own name: choose another common_name",
        ));
    }
    let mut extensions = authority_extensions(body, &subject)?;
    extensions.urls = authority.issuer.urls(view).await?;
    let mut validity = Validity::asked(ctx, prepared, None)?;
    if body
        .bool("enforce_leaf_not_after_behavior")?
        .unwrap_or(false)
    {
        validity = validity.under(&authority)?;
    } else if validity.not_after > authority.facts.not_after {
        // Another signature of the issuer's key may carry it on.
        validity.warning =
            Some("the certificate outlives its issuer: chains through it end earlier");
    }
    let (hash, pss) = how(body)?;
    let decided = Decided {
        authority: &authority,
        subject: &name,
        public: &csr.key,
        validity,
        extensions: &extensions,
        hash,
        pss,
    };
    let leaf = decided.sign(ctx)?;
    let issued = Issued::new(&leaf.der, &authority.issuer.id, leaf.validity.not_after);
    issued.store(&leaf.serial, view).await?;
    leaf.reply(ctx, &authority, None)
}

async fn named(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Authority, Fault> {
    let reference = match ctx.param("ref") {
        "" => ctx.body().string("issuer_ref")?.unwrap_or_default(),
        reference => reference.to_owned(),
    };
    let issuer = Issuer::named(view, &reference).await?;
    usable(&issuer)?;
    issuer.open(view).await
}

/// Another authority's self-signed certificate, signed again by ours: who trusts ours then trusts it.
pub(super) async fn sign_self_issued(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let text = ctx.body().required("certificate")?;
    let Ok(("CERTIFICATE", der)) = pem::read(&text) else {
        return Err(Fault::invalid("certificate: expected one in PEM"));
    };
    let facts = issuer::facts(&der)?;
    if !facts.is_authority {
        return Err(Fault::invalid("given certificate is not a CA certificate"));
    }
    if facts.subject != facts.issuer || !facts.signed(&der) {
        return Err(Fault::invalid("given certificate is not self-issued"));
    }
    let authority = named(ctx, view).await?;
    let (_, certificate) = X509Certificate::from_der(&der)
        .map_err(|_| Fault::invalid("a certificate cannot be parsed"))?;
    let raw = certificate.extensions().iter().filter_map(|extension| {
        let parts: Vec<u64> = extension.oid.iter()?.collect();
        let ids: [&[u64]; 2] = [&[2, 5, 29, 14], &[2, 5, 29, 35]];
        let kept = !ids.contains(&parts.as_slice());
        kept.then(|| vault_x509::raw_extension(&parts, extension.critical, extension.value))
    });
    let extensions = Extensions {
        raw: raw.collect(),
        urls: authority.issuer.urls(view).await?,
        ..Extensions::default()
    };
    let start = jiff::Timestamp::from_second(certificate.validity().not_before.timestamp());
    let template = Template {
        serial: &facts.serial,
        issuer: &authority.facts.subject,
        issuer_key_id: &authority.key_id,
        subject: &facts.subject,
        key: &facts.public,
        not_before: start.map_err(|_| Fault::invalid("a certificate begins at no time"))?,
        not_after: facts.not_after,
        extensions: &extensions,
    };
    let (hash, pss) = how(ctx.body())?;
    let der = template
        .sign(&authority.signer(hash, pss))
        .map_err(|_| Fault::Internal("sign a certificate"))?;
    Ok(Reply::json(json!({
        "certificate": issuer::certificate_pem(&der),
        "issuing_ca": authority.issuer.pem()?,
    })))
}
