//! What the ldap method stores: one config, and users and groups with policies.

use serde::{Deserialize, Serialize};

use crate::auth::secret::Secret;
use crate::core::login::TokenParams;
use crate::outbound::{Dereference, DirectoryUrl, Failure, TlsRules, TlsVersion, certified};
use crate::policy::PolicyName;

/// How the directory is asked. Durations in seconds.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    /// Tried in turn.
    pub(super) urls: Vec<DirectoryUrl>,
    pub(super) starttls: bool,
    /// PEM of who vouches for the server; empty for the system's CAs.
    pub(super) certificate: String,
    pub(super) connection_timeout: u64,
    pub(super) request_timeout: u64,
    /// Below which users are.
    pub(super) user_dn: String,
    pub(super) user_attr: String,
    pub(super) user_filter: String,
    /// Who searches; without a password nobody in particular.
    pub(super) bind_dn: String,
    pub(super) bind_pass: Option<Secret>,
    /// Search for the user's name without a password.
    pub(super) discover_dn: bool,
    /// Users log in as `NAME@DOMAIN`.
    pub(super) upn_domain: String,
    pub(super) group_dn: String,
    pub(super) group_filter: String,
    pub(super) group_attr: String,
    pub(super) anonymous_group_search: bool,
    pub(super) case_sensitive_names: bool,
    pub(super) username_as_alias: bool,
    pub(super) dereference: Dereference,
    pub(super) tls_min_version: TlsVersion,
    pub(super) tls_max_version: TlsVersion,
    /// PEM of what we show to a directory that wants to know who asks; empty for nothing.
    pub(super) client_certificate: String,
    pub(super) client_key: Option<Secret>,
    /// Groups in one answer of the directory; 0 if all of them come at once.
    pub(super) page_size: i32,
    pub(super) token: TokenParams,
}

impl Config {
    pub(super) const ROW: &'static str = "config";

    /// Whether the user's name in the directory is searched for, and not made up from the one given.
    pub(super) fn searches(&self) -> bool {
        self.discover_dn || self.service().is_some()
    }

    /// How TLS is spoken with the directory.
    pub(super) fn tls(&self) -> Result<TlsRules, Failure> {
        let key = self.client_key.as_ref().map(Secret::expose);
        let own = match (self.client_certificate.as_str(), key) {
            ("", None) => None,
            (certificate, key) => Some(certified(certificate, key.unwrap_or_default())?),
        };
        Ok(TlsRules {
            oldest: self.tls_min_version,
            newest: self.tls_max_version,
            own,
        })
    }

    /// Who searches, if he has a password.
    pub(super) fn service(&self) -> Option<(&str, &Secret)> {
        let password = self.bind_pass.as_ref()?;
        (!self.bind_dn.is_empty()).then_some((self.bind_dn.as_str(), password))
    }
}

impl Default for Config {
    fn default() -> Config {
        Config {
            urls: Vec::new(),
            starttls: false,
            certificate: String::new(),
            connection_timeout: 30,
            request_timeout: 90,
            user_dn: String::new(),
            user_attr: "cn".to_owned(),
            user_filter: "({{.UserAttr}}={{.Username}})".to_owned(),
            bind_dn: String::new(),
            bind_pass: None,
            discover_dn: false,
            upn_domain: String::new(),
            group_dn: String::new(),
            group_filter:
                "(|(memberUid={{.Username}})(member={{.UserDN}})(uniqueMember={{.UserDN}}))"
                    .to_owned(),
            group_attr: "cn".to_owned(),
            anonymous_group_search: false,
            case_sensitive_names: false,
            username_as_alias: false,
            dereference: Dereference::Never,
            tls_min_version: TlsVersion::Tls12,
            tls_max_version: TlsVersion::Tls13,
            client_certificate: String::new(),
            client_key: None,
            page_size: 0,
            token: TokenParams::default(),
        }
    }
}

/// What a user has beside what his groups have.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct User {
    pub policies: Vec<PolicyName>,
    /// Beside those of the directory.
    pub groups: Vec<String>,
}

#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Group {
    pub policies: Vec<PolicyName>,
}
