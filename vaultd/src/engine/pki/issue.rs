//! Certificates for callers: with a new key, for a CSR within a role, or for a CSR as it stands.

use vault_x509::{
    AltName, Authority as Ca, Extensions, Hash, KeyUsage, Name, PublicKey, Purpose, Request,
    Template,
};

use super::certs::Issued;
use super::issuer::{Authority, Issuer};
use super::role::Role;
use super::subject::Subject;
use super::validity::Validity;
use super::{Prepared, key, serial};
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::reply::Reply;

/// The issuer that a path, a request or a role names.
async fn authority(ctx: &Ctx<'_>, role: &Role, view: &mut View<'_>) -> Result<Authority, Fault> {
    let given = ctx.body().string("issuer_ref")?.unwrap_or_default();
    let reference = match (ctx.param("ref"), ctx.param("name")) {
        ("", "") if !given.is_empty() => given,
        // A caller of a role does not choose another issuer in passing.
        ("", _) => role.issuer_ref.clone(),
        (reference, _) => reference.to_owned(),
    };
    let issuer = Issuer::named(view, &reference).await?;
    usable(&issuer)?;
    issuer.open(view).await
}

pub(super) fn usable(issuer: &Issuer) -> Result<(), Fault> {
    issuer.may("issuing-certificates")?;
    match issuer.revoked_at {
        None => Ok(()),
        Some(_) => Err(Fault::invalid(
            "the issuer is revoked: it signs nothing any more",
        )),
    }
}

pub(super) async fn issue(
    ctx: &Ctx<'_>,
    prepared: &Prepared,
    view: &mut View<'_>,
) -> Result<Reply, Fault> {
    let made = prepared.key()?;
    let role = Role::named(ctx, view)
        .await?
        .for_caller(prepared.who.as_deref());
    let authority = authority(ctx, &role, view).await?;
    let subject = Subject::collect(ctx.body(), &role, None)?;
    subject.check(&role)?;
    let public = key::public(made)?;
    let wish = Wish {
        role: &role,
        authority: &authority,
        subject: &subject,
        verbatim: None,
        public: &public,
    };
    let leaf = wish.carry_out(ctx, prepared, view).await?;
    leaf.reply(ctx, &authority, Some(made))
}

pub(super) async fn sign(
    ctx: &Ctx<'_>,
    prepared: &Prepared,
    view: &mut View<'_>,
) -> Result<Reply, Fault> {
    let role = Role::named(ctx, view)
        .await?
        .for_caller(prepared.who.as_deref());
    let csr = csr(ctx)?;
    key::strong(csr.key.kind(), &role.key_type, least_bits(&role))?;
    let authority = authority(ctx, &role, view).await?;
    let subject = Subject::collect(ctx.body(), &role, Some(&csr))?;
    subject.check(&role)?;
    let wish = Wish {
        role: &role,
        authority: &authority,
        subject: &subject,
        verbatim: None,
        public: &csr.key,
    };
    let leaf = wish.carry_out(ctx, prepared, view).await?;
    leaf.reply(ctx, &authority, None)
}

pub(super) fn least_bits(role: &Role) -> i64 {
    match (role.key_type.as_str(), role.key_bits) {
        ("rsa", 0) => 2048,
        ("ec", 0) => 256,
        (_, bits) => bits,
    }
}

pub(super) fn csr(ctx: &Ctx<'_>) -> Result<Request, Fault> {
    let text = ctx.body().string("csr")?.unwrap_or_default();
    if text.is_empty() {
        return Err(Fault::invalid("\"csr\" is empty"));
    }
    Request::from_pem(&text).map_err(|error| Fault::invalid(error.to_string()))
}

/// The CSR as it stands: its subject, its names, its extensions; never an authority.
pub(super) async fn sign_verbatim(
    ctx: &Ctx<'_>,
    prepared: &Prepared,
    view: &mut View<'_>,
) -> Result<Reply, Fault> {
    let mut role = Role::verbatim();
    if !ctx.param("name").is_empty() {
        let named = Role::named(ctx, view).await?;
        role.issuer_ref = named.issuer_ref;
        role.ttl = named.ttl;
        role.max_ttl = named.max_ttl;
        role.no_store = named.no_store;
        role.generate_lease = named.generate_lease;
        role.not_before_duration = named.not_before_duration;
    }
    let body = ctx.body();
    role.server_flag = false;
    role.client_flag = false;
    if let Some(usages) = body.list("key_usage")? {
        role.key_usage = usages;
    }
    role.ext_key_usage = body.list("ext_key_usage")?.unwrap_or_default();
    role.ext_key_usage_oids = body.list("ext_key_usage_oids")?.unwrap_or_default();
    role.signature_bits = body.int("signature_bits")?.unwrap_or(0);
    role.use_pss = body.bool("use_pss")?.unwrap_or(false);
    let csr = csr(ctx)?;
    if csr.authority {
        return Err(Fault::invalid(
            "refusing to sign a CSR that asks for an authority: use root/sign-intermediate",
        ));
    }
    let authority = authority(ctx, &role, view).await?;
    let subject = Subject {
        common_name: csr.common_name.clone().unwrap_or_default(),
        names: csr.names.clone(),
        ..Subject::default()
    };
    subject.limits()?;
    let wish = Wish {
        role: &role,
        authority: &authority,
        subject: &subject,
        verbatim: Some(&csr),
        public: &csr.key,
    };
    let leaf = wish.carry_out(ctx, prepared, view).await?;
    leaf.reply(ctx, &authority, None)
}

/// A signed certificate.
pub(super) struct Leaf {
    pub der: Vec<u8>,
    pub serial: Vec<u8>,
    pub validity: Validity,
    /// Revoked when its lease is.
    pub leased: bool,
}

/// A certificate for a caller, whose names have been checked.
pub(super) struct Wish<'w> {
    pub role: &'w Role,
    pub authority: &'w Authority,
    pub subject: &'w Subject,
    /// The CSR whose subject and extensions are taken over.
    pub verbatim: Option<&'w Request>,
    pub public: &'w PublicKey,
}

impl Wish<'_> {
    pub(super) async fn carry_out(
        &self,
        ctx: &Ctx<'_>,
        prepared: &Prepared,
        view: &mut View<'_>,
    ) -> Result<Leaf, Fault> {
        let (role, authority) = (self.role, self.authority);
        let validity = Validity::asked(ctx, prepared, Some(role))?.under(authority)?;
        within(authority, &self.subject.names)?;
        let (purposes, more_purposes) = role.purposes();
        let policies = role.policy_identifiers.iter();
        let mut extensions = Extensions {
            authority: role.basic_constraints_valid_for_non_ca.then_some(None),
            key_usage: key_usage(role, self.public)?,
            purposes,
            more_purposes,
            names: self.subject.names.clone(),
            policies: policies
                .filter_map(|text| vault_x509::oid::parse(text))
                .collect(),
            urls: authority.issuer.urls(view).await?,
            ..Extensions::default()
        };
        let name = match self.verbatim {
            None => self.subject.name(role),
            Some(csr) => {
                take_over(csr, &mut extensions, ctx)?;
                csr.subject.clone()
            }
        };
        let decided = Decided {
            authority,
            subject: &name,
            public: self.public,
            validity,
            extensions: &extensions,
            hash: role.hash()?,
            pss: role.use_pss,
        };
        let leaf = decided.sign(ctx)?;
        if !role.no_store {
            let issued = Issued::new(&leaf.der, &authority.issuer.id, leaf.validity.not_after);
            issued.store(&leaf.serial, view).await?;
        }
        Ok(Leaf {
            leased: role.generate_lease,
            ..leaf
        })
    }
}

/// What the role says, as far as such a key can do it.
fn key_usage(role: &Role, key: &PublicKey) -> Result<KeyUsage, Fault> {
    let (asked, possible) = (role.usage(), role.usage().of(key.kind()));
    if possible == KeyUsage::default() && asked != possible {
        return Err(Fault::invalid(
            "a key of this type can do nothing of the role's key_usage",
        ));
    }
    Ok(possible)
}

/// A name that whoever checks the chain would refuse is not signed.
fn within(authority: &Authority, names: &[AltName]) -> Result<(), Fault> {
    let mut above = authority.constraints.iter();
    match above.all(|constraints| names.iter().all(|name| constraints.allow(name))) {
        true => Ok(()),
        false => Err(Fault::invalid(
            "a name is outside the name constraints of the issuer, or of one above it",
        )),
    }
}

/// Extensions that a CSR brings, but for those that say who signed it, and those that the request
/// itself gives.
fn take_over(csr: &Request, extensions: &mut Extensions, ctx: &Ctx<'_>) -> Result<(), Fault> {
    const OURS: [&[u64]; 6] = [
        &[2, 5, 29, 14],
        &[2, 5, 29, 35],
        &[2, 5, 29, 19],
        &[2, 5, 29, 31],
        &[2, 5, 29, 46],
        &[1, 3, 6, 1, 5, 5, 7, 1, 1],
    ];
    for asked in &csr.extensions {
        let parts: &[u64] = asked.oid.components();
        if OURS.contains(&parts) {
            continue;
        }
        match parts {
            [2, 5, 29, 15] => {
                if ctx.body().has("key_usage") {
                    continue;
                }
                extensions.key_usage = KeyUsage::default();
            }
            [2, 5, 29, 37] => {
                if ctx.body().has("ext_key_usage") || ctx.body().has("ext_key_usage_oids") {
                    continue;
                }
                extensions.purposes = Vec::<Purpose>::new();
                extensions.more_purposes = Vec::new();
            }
            [2, 5, 29, 30] => {
                return Err(Fault::invalid(
                    "the csr asks for name constraints, which only an authority has",
                ));
            }
            _ => {}
        }
        if extensions.raw.contains(&asked.der) {
            return Err(Fault::invalid("the csr asks for an extension twice"));
        }
        extensions.raw.push(asked.der.clone());
    }
    Ok(())
}

/// Everything about a certificate.
pub(super) struct Decided<'d> {
    pub authority: &'d Authority,
    pub subject: &'d Name,
    pub public: &'d PublicKey,
    pub validity: Validity,
    pub extensions: &'d Extensions,
    pub hash: Hash,
    pub pss: bool,
}

impl Decided<'_> {
    pub(super) fn sign(self, ctx: &Ctx<'_>) -> Result<Leaf, Fault> {
        let (authority, validity) = (self.authority, self.validity);
        if let Some(Some(Ca { path_length })) = self.extensions.authority {
            let room = authority.facts.path_length;
            let fits = match (room, path_length) {
                (None, _) => true,
                (Some(0), _) => false,
                (Some(room), Some(asked)) => u32::from(asked) < room,
                (Some(_), None) => false,
            };
            if !fits {
                return Err(Fault::invalid(
                    "the issuer's path length does not allow another authority below it: set a smaller max_path_length",
                ));
            }
        }
        let serial = serial::new(ctx.random);
        let template = Template {
            serial: &serial,
            issuer: &authority.facts.subject,
            issuer_key_id: &authority.key_id,
            subject: self.subject,
            key: self.public,
            not_before: validity.not_before,
            not_after: validity.not_after,
            extensions: self.extensions,
        };
        let der = template
            .sign(&authority.signer(self.hash, self.pss))
            .map_err(|_| Fault::Internal("sign a certificate"))?;
        Ok(Leaf {
            der,
            serial,
            validity,
            leased: false,
        })
    }
}
