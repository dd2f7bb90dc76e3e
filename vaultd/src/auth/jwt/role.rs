//! What a role may hold.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::model::{CONFIG, CallbackMode, Config, Match, Role, RoleType};
use super::shared_issuer::{Judgement, judge};
use crate::auth::name::RoleName;
use crate::auth::{roles, token_fields};
use crate::barrier::View;
use crate::core::body::{Body, parse_seconds};
use crate::core::context::Ctx;
use crate::core::fault::Fault;
use crate::core::login::TokenParams;
use crate::core::reply::Reply;

/// A role as it is before its first update.
pub(super) fn fresh() -> Role {
    Role {
        role_type: RoleType::Oidc,
        expiration_leeway: 0,
        not_before_leeway: 0,
        clock_skew_leeway: 0,
        bound_audiences: Vec::new(),
        bound_subject: String::new(),
        bound_claims_type: Match::String,
        bound_claims: Map::new(),
        claim_mappings: BTreeMap::new(),
        user_claim: String::new(),
        user_claim_json_pointer: false,
        groups_claim: String::new(),
        allowed_redirect_uris: Vec::new(),
        oidc_scopes: Vec::new(),
        verbose_oidc_logging: false,
        max_age: 0,
        callback_mode: CallbackMode::Client,
        poll_interval: 0,
        refuse_replay: false,
        token: TokenParams::default(),
    }
}

impl roles::Role for Role {
    fn new(_name: &RoleName) -> Role {
        fresh()
    }

    fn update(&mut self, _name: &RoleName, body: &Body) -> Result<(), Fault> {
        match body.string("role_type")?.as_deref() {
            None => {}
            Some("" | "oidc") => self.role_type = RoleType::Oidc,
            Some("jwt") => self.role_type = RoleType::Jwt,
            Some(_) => return Err(Fault::invalid("invalid 'role_type': expected jwt or oidc")),
        }
        self.update_bounds(body)?;
        for (field, into) in [
            ("expiration_leeway", &mut self.expiration_leeway),
            ("not_before_leeway", &mut self.not_before_leeway),
            ("clock_skew_leeway", &mut self.clock_skew_leeway),
        ] {
            if let Some(seconds) = leeway(body, field)? {
                *into = seconds;
            }
        }
        if let Some(mappings) = body.strings("claim_mappings")? {
            self.claim_mappings = mappings;
        }
        if let Some(claim) = body.string("user_claim")? {
            self.user_claim = claim;
        }
        if let Some(flag) = body.bool("user_claim_json_pointer")? {
            self.user_claim_json_pointer = flag;
        }
        if let Some(claim) = body.string("groups_claim")? {
            self.groups_claim = claim;
        }
        if let Some(uris) = body.list("allowed_redirect_uris")? {
            self.allowed_redirect_uris = uris;
        }
        if let Some(scopes) = body.list("oidc_scopes")? {
            self.oidc_scopes = scopes;
        }
        if let Some(flag) = body.bool("verbose_oidc_logging")? {
            self.verbose_oidc_logging = flag;
        }
        if let Some(seconds) = body.seconds("max_age")? {
            self.max_age = seconds;
        }
        if let Some(flag) = body.bool("refuse_replay")? {
            self.refuse_replay = flag;
        }
        self.update_device(body)?;
        token_fields::update(&mut self.token, body)?;
        self.check()
    }

    fn warnings(&self) -> Vec<&'static str> {
        let mut warnings = Vec::new();
        if self.role_type == RoleType::Jwt && self.bound_audiences.is_empty() {
            warnings.push("the role has no bound_audiences: tokens that name an audience are refused, and those without one may have been made for others");
        }
        let leading = |value: &Value| {
            value.as_str().is_some_and(|text| text.starts_with('*'))
                || value.as_array().is_some_and(|list| {
                    list.iter()
                        .any(|one| one.as_str().is_some_and(|text| text.starts_with('*')))
                })
        };
        if self.bound_claims_type == Match::Glob && self.bound_claims.values().any(leading) {
            warnings.push("a glob in bound_claims begins with '*': whoever can choose the end of that claim can log in");
        }
        warnings
    }

    fn show(&self) -> Map<String, Value> {
        let mut map = Map::new();
        map.insert("role_type".into(), json!(self.role_type));
        map.insert("expiration_leeway".into(), json!(self.expiration_leeway));
        map.insert("not_before_leeway".into(), json!(self.not_before_leeway));
        map.insert("clock_skew_leeway".into(), json!(self.clock_skew_leeway));
        map.insert("bound_audiences".into(), or_null(&self.bound_audiences));
        map.insert("bound_subject".into(), json!(self.bound_subject));
        map.insert("bound_claims_type".into(), json!(self.bound_claims_type));
        let claims = (!self.bound_claims.is_empty()).then_some(&self.bound_claims);
        map.insert("bound_claims".into(), json!(claims));
        let mappings = (!self.claim_mappings.is_empty()).then_some(&self.claim_mappings);
        map.insert("claim_mappings".into(), json!(mappings));
        map.insert("user_claim".into(), json!(self.user_claim));
        map.insert(
            "user_claim_json_pointer".into(),
            json!(self.user_claim_json_pointer),
        );
        map.insert("groups_claim".into(), json!(self.groups_claim));
        map.insert(
            "allowed_redirect_uris".into(),
            or_null(&self.allowed_redirect_uris),
        );
        map.insert("oidc_scopes".into(), or_null(&self.oidc_scopes));
        map.insert(
            "verbose_oidc_logging".into(),
            json!(self.verbose_oidc_logging),
        );
        map.insert("max_age".into(), json!(self.max_age));
        map.insert("callback_mode".into(), json!(self.callback_mode));
        map.insert("poll_interval".into(), json!(self.poll_interval));
        map.insert("refuse_replay".into(), json!(self.refuse_replay));
        self.token.show(&mut map);
        map
    }
}

impl Role {
    fn update_device(&mut self, body: &Body) -> Result<(), Fault> {
        match body.string("callback_mode")?.as_deref() {
            None => {}
            Some("" | "client") => self.callback_mode = CallbackMode::Client,
            Some("device") => self.callback_mode = CallbackMode::Device,
            Some(_) => {
                return Err(Fault::invalid(
                    "invalid 'callback_mode': expected client or device",
                ));
            }
        }
        if let Some(seconds) = body.seconds("poll_interval")? {
            self.poll_interval = seconds;
        }
        Ok(())
    }

    fn update_bounds(&mut self, body: &Body) -> Result<(), Fault> {
        if let Some(audiences) = body.list("bound_audiences")? {
            self.bound_audiences = audiences;
        }
        if let Some(subject) = body.string("bound_subject")? {
            self.bound_subject = subject;
        }
        if let Some(claims) = body.map("bound_claims")? {
            self.bound_claims = claims;
        }
        match body.string("bound_claims_type")?.as_deref() {
            None => {}
            Some("" | "string") => self.bound_claims_type = Match::String,
            Some("glob") => self.bound_claims_type = Match::Glob,
            Some(_) => {
                return Err(Fault::invalid(
                    "invalid 'bound_claims_type': expected string or glob",
                ));
            }
        }
        Ok(())
    }

    fn check(&self) -> Result<(), Fault> {
        if self.user_claim.is_empty() {
            return Err(Fault::invalid("a user claim must be defined on the role"));
        }
        let bound = !self.bound_audiences.is_empty()
            || !self.bound_subject.is_empty()
            || !self.bound_claims.is_empty()
            || !self.token.bound_cidrs.is_empty();
        if self.role_type == RoleType::Jwt && !bound {
            return Err(Fault::invalid(
                "must have at least one bound constraint when creating/updating a role",
            ));
        }
        let browser =
            self.role_type == RoleType::Oidc && self.callback_mode == CallbackMode::Client;
        if browser && self.allowed_redirect_uris.is_empty() {
            return Err(Fault::invalid(
                "'allowed_redirect_uris' must be set if 'role_type' is 'oidc' or unspecified.",
            ));
        }
        self.check_claims()
    }

    fn check_claims(&self) -> Result<(), Fault> {
        let mut keys: Vec<&String> = self.claim_mappings.values().collect();
        keys.sort();
        if keys.iter().any(|key| *key == "role") {
            return Err(Fault::invalid(
                "metadata key \"role\" is reserved and may not be a mapping destination",
            ));
        }
        if keys.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(Fault::invalid(
                "claim_mappings: several claims are mapped to one metadata key",
            ));
        }
        for (claim, value) in &self.bound_claims {
            let values = value
                .as_array()
                .map_or(std::slice::from_ref(value), Vec::as_slice);
            let text = |value: &Value| value.is_string();
            let scalar = |value: &Value| text(value) || value.is_number() || value.is_boolean();
            let fits = match self.bound_claims_type {
                Match::Glob => values.iter().all(text),
                Match::String => values.iter().all(scalar),
            };
            if values.is_empty() || !fits {
                return Err(Fault::invalid(format!(
                    "bound_claims: {claim:?} needs a value or a list of values; with bound_claims_type glob they are strings"
                )));
            }
        }
        Ok(())
    }
}

/// Clients expect null, not an empty list.
fn or_null(list: &[String]) -> Value {
    json!((!list.is_empty()).then_some(list))
}

/// Seconds as an integer, which may be negative, or a duration.
fn leeway(body: &Body, field: &str) -> Result<Option<i64>, Fault> {
    let Some(text) = body.string(field)? else {
        return Ok(None);
    };
    let seconds = text
        .trim()
        .parse()
        .ok()
        .or_else(|| parse_seconds(&text).and_then(|seconds| i64::try_from(seconds).ok()));
    seconds.map(Some).ok_or_else(|| {
        Fault::invalid(format!(
            "{field:?} must be a number of seconds or a duration such as \"1m\""
        ))
    })
}

pub(super) async fn write(ctx: &Ctx<'_>, view: &mut View<'_>) -> Result<Reply, Fault> {
    let (reply, role) = roles::write::<Role>(ctx, view).await?;
    let config: Option<Config> = view.get(CONFIG).await?;
    match config.map(|config| judge(&config, &role)) {
        None | Some(Judgement::Bound) => Ok(reply),
        Some(Judgement::NamesOnly(why)) => Ok(reply.warn(why)),
        Some(Judgement::Strangers(why)) => Err(Fault::invalid(why)),
    }
}

/// The token settings that hold now for a role's tokens; `None` if the role is gone, and the token
/// may not be renewed.
pub async fn renewed(role: &str, view: &mut View<'_>) -> Result<Option<TokenParams>, Fault> {
    let role: Option<Role> = roles::get(view, &RoleName::parse(role)?).await?;
    Ok(role.map(|role| role.token))
}
