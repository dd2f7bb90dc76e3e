//! LDAP directories (RFC 4511) that the server itself asks.
//!
//! Promises: a deadline for connecting and one for each request; a given CA replaces the system's;
//! after `starttls` nothing goes without TLS; referrals are not followed. Nothing of a request or an
//! answer is in an error. Does not promise that the library wipes a password that was sent.

use std::time::Duration;

use ldap3::adapters::{Adapter, EntriesOnly, PagedResults};
use ldap3::{
    DerefAliases, Ldap, LdapConnAsync, LdapConnSettings, LdapError, ResultEntry, Scope,
    SearchEntry, SearchOptions, SearchResult,
};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use super::{Failure, TlsRules, Trust, Url};

/// Result codes (RFC 4511, 4.1.9).
const SUCCESS: u32 = 0;
const TOO_MANY: u32 = 4;
const NO_SUCH_OBJECT: u32 = 32;
const BUSY: u32 = 51;
const UNAVAILABLE: u32 = 52;

/// `ldap://HOST[:PORT]` or `ldaps://…`, and nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DirectoryUrl {
    text: String,
    is_tls: bool,
    is_loopback: bool,
}

impl DirectoryUrl {
    pub fn parse(text: &str) -> Result<DirectoryUrl, Failure> {
        let text = text.trim().trim_end_matches('/').to_ascii_lowercase();
        let rest = text.strip_prefix("ldap").ok_or(Failure::DirectoryUrl)?;
        // The same rules for host and port.
        let url = Url::parse(&format!("http{rest}")).map_err(|_| Failure::DirectoryUrl)?;
        match url.target() {
            "/" => Ok(DirectoryUrl {
                is_tls: url.is_tls(),
                is_loopback: url.is_loopback(),
                text,
            }),
            _ => Err(Failure::DirectoryUrl),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// From the first byte on.
    pub fn is_tls(&self) -> bool {
        self.is_tls
    }

    pub fn is_loopback(&self) -> bool {
        self.is_loopback
    }
}

impl TryFrom<String> for DirectoryUrl {
    type Error = Failure;

    fn try_from(text: String) -> Result<DirectoryUrl, Failure> {
        DirectoryUrl::parse(&text)
    }
}

impl From<DirectoryUrl> for String {
    fn from(url: DirectoryUrl) -> String {
        url.text
    }
}

/// How a directory is reached.
pub struct Reach<'a> {
    pub url: &'a DirectoryUrl,
    pub starttls: bool,
    pub trust: &'a Trust,
    pub rules: TlsRules,
    pub connect: Duration,
    pub request: Duration,
}

/// When names that stand for others are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dereference {
    #[default]
    Never,
    Finding,
    Searching,
    Always,
}

/// Where and what is searched: all below `base`.
pub struct Search<'a> {
    pub base: &'a str,
    /// RFC 4515.
    pub filter: &'a str,
    pub attribute: &'a str,
    pub dereference: Dereference,
    /// Entries wanted at most.
    pub limit: usize,
    /// Entries in one answer; 0 if all of them come at once.
    pub page: i32,
}

impl Search<'_> {
    fn options(&self) -> SearchOptions {
        SearchOptions::new().deref(match self.dereference {
            Dereference::Never => DerefAliases::Never,
            Dereference::Finding => DerefAliases::Finding,
            Dereference::Searching => DerefAliases::Searching,
            Dereference::Always => DerefAliases::Always,
        })
    }
}

/// What was found, and the result code in the end.
type Found = (Vec<ResultEntry>, u32);

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub dn: String,
    /// Of the attribute that was asked for.
    pub values: Vec<String>,
}

/// One connection, which ends with this value.
pub struct Directory {
    ldap: Ldap,
    request: Duration,
    _driver: JoinSet<()>,
}

/// Whether a text is a search filter.
pub fn is_filter(text: &str) -> bool {
    ldap3::parse_filter(text).is_ok()
}

/// A value inside of a filter (RFC 4515, 3).
pub fn in_filter(value: &str) -> String {
    ldap3::ldap_escape(value).into_owned()
}

/// A value inside of a distinguished name (RFC 4514, 2.4).
pub fn in_name(value: &str) -> String {
    ldap3::dn_escape(value).into_owned()
}

impl Directory {
    pub async fn connect(reach: &Reach<'_>) -> Result<Directory, Failure> {
        let settings = LdapConnSettings::new()
            .set_starttls(reach.starttls && !reach.url.is_tls())
            .set_config(reach.trust.config(&reach.rules, &[])?);
        let opening = LdapConnAsync::with_settings(settings, reach.url.as_str());
        let opened = tokio::time::timeout(reach.connect, opening).await;
        let (connection, ldap) = opened.map_err(|_| Failure::Timeout)?.map_err(|e| why(&e))?;
        let mut driver = JoinSet::new();
        driver.spawn(async move { drop(connection.drive().await) });
        Ok(Directory {
            ldap,
            request: reach.request,
            _driver: driver,
        })
    }

    /// Whether the directory knows this name with this password. A password must not be empty: such a
    /// bind is of nobody, and succeeds (RFC 4513, 5.1.2).
    pub async fn bind(&mut self, name: &str, password: &str) -> Result<bool, Failure> {
        let bound = self.ldap.with_timeout(self.request);
        let bound = bound.simple_bind(name, password).await;
        match bound.map_err(|error| why(&error))?.rc {
            SUCCESS => Ok(true),
            code @ (BUSY | UNAVAILABLE) => Err(Failure::Directory(code)),
            _ => Ok(false),
        }
    }

    pub async fn search(&mut self, search: &Search<'_>) -> Result<Vec<Entry>, Failure> {
        let (found, end) = match search.page {
            0 => self.search_at_once(search).await?,
            _ => self.search_in_pages(search).await?,
        };
        match end {
            SUCCESS | TOO_MANY => {}
            NO_SUCH_OBJECT => return Ok(Vec::new()),
            code => return Err(Failure::Directory(code)),
        }
        let found = found
            .into_iter()
            .filter(|entry| !entry.is_ref() && !entry.is_intermediate());
        let entry = |found| {
            let found = SearchEntry::construct(found);
            let mut attributes = found.attrs.into_iter();
            let values = attributes.find(|(name, _)| name.eq_ignore_ascii_case(search.attribute));
            Entry {
                dn: found.dn,
                values: values.map_or(Vec::new(), |(_, values)| values),
            }
        };
        Ok(found.map(entry).collect())
    }

    async fn search_at_once(&mut self, search: &Search<'_>) -> Result<Found, Failure> {
        let limit = i32::try_from(search.limit).unwrap_or(i32::MAX);
        let asked = self.ldap.with_timeout(self.request);
        let asked = asked.with_search_options(search.options().sizelimit(limit));
        let found = asked
            .search(
                search.base,
                Scope::Subtree,
                search.filter,
                [search.attribute],
            )
            .await;
        let SearchResult(found, end) = found.map_err(|error| why(&error))?;
        Ok((found, end.rc))
    }

    /// RFC 2696. In a task of its own: the library panics at a page that it does not understand.
    async fn search_in_pages(&mut self, search: &Search<'_>) -> Result<Found, Failure> {
        let (mut ldap, options) = (self.ldap.clone(), search.options());
        let (base, filter) = (search.base.to_owned(), search.filter.to_owned());
        let (attributes, page) = (vec![search.attribute.to_owned()], search.page);
        let limit = search.limit;
        let mut task = JoinSet::new();
        task.spawn(async move {
            let adapters: Vec<Box<dyn Adapter<'_, String, Vec<String>>>> = vec![
                Box::new(EntriesOnly::new()),
                Box::new(PagedResults::new(page)),
            ];
            let asked = ldap.with_search_options(options);
            let mut stream = asked
                .streaming_search_with(adapters, &base, Scope::Subtree, &filter, attributes)
                .await?;
            let mut found = Vec::new();
            while let Some(entry) = stream.next().await? {
                found.push(entry);
                if found.len() == limit {
                    return Ok((found, TOO_MANY));
                }
            }
            Ok((found, stream.finish().await.rc))
        });
        match tokio::time::timeout(self.request, task.join_next()).await {
            Err(_) => Err(Failure::Timeout),
            Ok(Some(Ok(outcome))) => outcome.map_err(|error: LdapError| why(&error)),
            Ok(_) => Err(Failure::Broken),
        }
    }

    /// Says good-bye.
    pub async fn close(mut self) {
        let _ = tokio::time::timeout(self.request, self.ldap.unbind()).await;
    }
}

fn why(error: &LdapError) -> Failure {
    match error {
        LdapError::Io { source } => match source.get_ref() {
            Some(inner) if inner.is::<rustls::Error>() => Failure::Tls(inner.to_string()),
            _ => Failure::Connect(source.kind().to_string()),
        },
        LdapError::Rustls { source } => Failure::Tls(source.to_string()),
        LdapError::Timeout { .. } => Failure::Timeout,
        LdapError::FilterParsing => Failure::Answer("the search filter is not one"),
        LdapError::LdapResult { result } => Failure::Directory(result.rc),
        _ => Failure::Broken,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn only_a_host_and_a_port_are_a_directory() {
        for (text, tls, loopback) in [
            ("ldap://127.0.0.1", false, true),
            ("LDAPS://Dir.Example.org:1636/", true, false),
            (" ldap://[::1]:389 ", false, true),
        ] {
            let url = DirectoryUrl::parse(text).unwrap();
            assert_eq!((url.is_tls(), url.is_loopback()), (tls, loopback), "{text}");
        }
        for odd in [
            "",
            "ldapi:///run/slapd",
            "http://h",
            "ldap://",
            "ldap://user@h",
            "ldap://h/dc=x",
            "ldap://h?x",
            "dir.example.org",
        ] {
            assert!(DirectoryUrl::parse(odd).is_err(), "{odd}");
        }
    }

    /// CVE-2026-55770: the escape of one place used in the other.
    #[test]
    fn cve_2026_55770_each_place_has_its_escape() {
        assert_eq!(in_filter("a*(b)\\\0"), "a\\2a\\28b\\29\\5c\\00");
        assert_eq!(in_name("a,b=c+d"), "a\\2cb\\3dc\\2bd");
        for value in ["*", "x)(uid=*", "a,b", "\\2a", "(|", "#x"] {
            assert!(is_filter(&format!("(uid={})", in_filter(value))), "{value}");
        }
        assert!(!is_filter("(uid=x)(uid=*"));
    }
}
