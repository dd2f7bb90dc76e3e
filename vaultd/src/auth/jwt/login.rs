//! Login with a token that somebody else has signed. The signature is checked before the
//! transaction, which makes sure that the config is still the one whose keys were used, and compares
//! the claims with the role as it then is.

use std::sync::Arc;

use super::claims::{self, check_audience, check_bounds, check_issuer, check_times};
use super::model::{Config, Role, RoleType};
use super::published::Published;
use super::shared_issuer::{Judgement, judge};
use super::used::Mark;
use super::{Prepared, config};
use crate::auth::name::RoleName;
use crate::auth::roles;
use crate::barrier::View;
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::login::{Alias, Login, within};
use crate::core::reply::Reply;
use crate::core::slow::Outside;
use crate::jose::{Algorithm, Claims, Token};

/// What a verified token says, and by which config it was verified.
pub struct Proof {
    pub(super) config: Config,
    pub(super) published: Arc<Published>,
    pub(super) claims: Claims,
    /// Of what was signed, without the signature: of one text there may be several.
    fingerprint: String,
}

pub(super) fn refused(why: impl std::fmt::Display) -> Fault {
    Fault::invalid(format!("error validating token: {why}"))
}

/// The role that the request names, or the mount's default.
pub(super) fn role_name(ctx: &Ctx<'_>, config: &Config) -> Result<RoleName, Fault> {
    let given = ctx.body().string("role")?.unwrap_or_default();
    match (given.is_empty(), config.default_role.is_empty()) {
        (false, _) => RoleName::parse(&given),
        (true, false) => RoleName::parse(&config.default_role),
        (true, true) => Err(Fault::invalid("missing role")),
    }
}

/// The role, which must be there and of this type.
pub(super) async fn require(
    view: &mut View<'_>,
    name: &RoleName,
    role_type: RoleType,
) -> Result<Role, Fault> {
    let role: Option<Role> = roles::get(view, name).await?;
    let role =
        role.ok_or_else(|| Fault::invalid(format!("role {:?} could not be found", name.as_str())))?;
    match (role.role_type == role_type, role_type) {
        (true, _) => Ok(role),
        (false, RoleType::Jwt) => Err(Fault::invalid("role with oidc role_type is not allowed")),
        (false, RoleType::Oidc) => Err(Fault::invalid("role with jwt role_type is not allowed")),
    }
}

pub(super) async fn prove(
    ctx: &Ctx<'_>,
    view: &mut View<'_>,
    outside: &Outside<'_>,
) -> Result<Prepared, Fault> {
    let config = config::require(view).await?;
    // What cannot succeed does not make us ask anybody.
    require(view, &role_name(ctx, &config)?, RoleType::Jwt).await?;
    let text = ctx.body().string("jwt")?.unwrap_or_default();
    if text.is_empty() {
        return Err(Fault::invalid("missing token"));
    }
    let allowed = config.algorithms();
    let proof = Proof::of(ctx, outside, config, &text, &allowed).await?;
    Ok(Prepared::Token(Box::new(proof)))
}

pub(super) async fn login(
    ctx: &Ctx<'_>,
    proof: &Proof,
    view: &mut View<'_>,
) -> Result<Reply, Fault> {
    unchanged(proof, view).await?;
    let name = role_name(ctx, &proof.config)?;
    let role = require(view, &name, RoleType::Jwt).await?;
    let ends = check_times(&proof.claims, &role, ctx.now()).map_err(refused)?;
    check_issuer(&proof.claims, proof.issuer())
        .and_then(|()| check_audience(&proof.claims, &role.bound_audiences))
        .map_err(refused)?;
    // The role may be older than the config.
    if let Judgement::Strangers(why) = judge(&proof.config, &role) {
        return Err(Fault::invalid(why));
    }
    let once = Mark {
        expires: ends,
        id: &proof.fingerprint,
    };
    if role.refuse_replay && !once.set(view).await? {
        return Err(refused(
            "it has logged in before, and the role takes each token once (refuse_replay)",
        ));
    }
    admit(ctx, &name, role, &proof.claims)
}

impl Proof {
    /// Of a token that a key of the config's has signed, with one of these algorithms.
    pub(super) async fn of(
        ctx: &Ctx<'_>,
        outside: &Outside<'_>,
        config: Config,
        text: &str,
        allowed: &[Algorithm],
    ) -> Result<Proof, Fault> {
        let token = Token::parse(text).map_err(refused)?;
        let (outbound, aside) = (outside.outbound, outside.aside(ctx.mount.number));
        let verified = outside
            .issuers
            .verify(
                outbound,
                &aside,
                config.signer(),
                &token,
                allowed,
                ctx.now(),
            )
            .await;
        let (claims, published) = verified.map_err(refused)?;
        Ok(Proof {
            config,
            published,
            claims,
            fingerprint: hex::encode(vault_crypto::sha256(token.signed().as_bytes())),
        })
    }

    /// The issuer that a token must name; empty if any will do.
    pub(super) fn issuer(&self) -> &str {
        let discovered = self.published.provider.as_ref();
        match self.config.bound_issuer.is_empty() {
            true => discovered.map_or("", |provider| provider.issuer.as_str()),
            false => &self.config.bound_issuer,
        }
    }
}

/// A key that the mount does not trust any more proves nothing.
pub(super) async fn unchanged(proof: &Proof, view: &mut View<'_>) -> Result<(), Fault> {
    match config::require(view).await? == proof.config {
        true => Ok(()),
        false => Err(refused(
            "the mount's config was changed meanwhile: try again",
        )),
    }
}

/// The login of whom the claims tell of, if he meets the bounds of the role.
pub(super) fn admit(
    ctx: &Ctx<'_>,
    name: &RoleName,
    role: Role,
    claims: &Claims,
) -> Result<Reply, Fault> {
    check_bounds(claims, &role)
        .map_err(|why| Fault::invalid(format!("error validating claims: {why}")))?;
    let person = claims::person(claims, &role).map_err(Fault::invalid)?;
    if !within(&role.token.bound_cidrs, ctx.request.remote) {
        return Err(Fault::Forbidden("permission denied".to_owned()));
    }
    let mut metadata = person.metadata;
    metadata.insert("role".to_owned(), name.as_str().to_owned());
    let mount = ctx.mount.name().trim_end_matches('/').replace('/', "-");
    let display_name = format!("{mount}-{}", person.alias);
    let alias = Alias {
        name: person.alias,
        metadata: metadata.clone(),
        groups: person.groups,
    };
    Ok(Reply::login(Login {
        params: role.token,
        display_name,
        alias,
        metadata,
        role: name.as_str().to_owned(),
        ..Login::default()
    }))
}
