//! What a certificate says (RFC 5280), read once and strictly.

use rustls::pki_types::CertificateDer;
use x509_parser::asn1_rs::{self, FromDer};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{AccessDescription, GeneralName, ParsedExtension};
use x509_parser::x509::X509Version;

/// `id-ad-ocsp`.
const OCSP: &str = "1.3.6.1.5.5.7.48.1";

/// The facts of one certificate. Names are exactly as they stand there.
pub(super) struct Facts {
    /// Subject and serial number of the issuer, as DER content.
    pub issuer: Vec<u8>,
    /// Big endian, without leading zeros.
    pub serial: Vec<u8>,
    /// The same in decimal, as clients show it.
    pub serial_text: String,
    /// `None` unless there is exactly one.
    pub common_name: Option<String>,
    pub units: Vec<String>,
    pub dns: Vec<String>,
    pub emails: Vec<String>,
    pub uris: Vec<String>,
    pub subject_key_id: Vec<u8>,
    pub authority_key_id: Vec<u8>,
    /// URLs of OCSP responders.
    pub responders: Vec<String>,
    /// Seconds since 1970.
    pub not_before: i64,
    pub not_after: i64,
    /// It may sign certificates.
    pub is_ca: bool,
    /// Certificates between this authority and a client, at most.
    pub path_length: Option<u32>,
    /// Its purposes cover clients, or it has no list of purposes.
    pub for_clients: bool,
    /// Object identifier in dots, and DER.
    pub extensions: Vec<(String, Vec<u8>)>,
}

/// The certificate cannot be read, or is not to be trusted whoever signed it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unreadable;

impl Facts {
    pub(super) fn read(der: &CertificateDer<'_>) -> Result<Facts, Unreadable> {
        let (rest, parsed) = X509Certificate::from_der(der).map_err(|_| Unreadable)?;
        if !rest.is_empty() || parsed.extensions_map().is_err() {
            return Err(Unreadable);
        }
        let subject = parsed.subject();
        let mut common_names = subject.iter_common_name();
        let common_name = match (common_names.next(), common_names.next()) {
            (Some(name), None) => name.as_str().ok().map(str::to_owned),
            _ => None,
        };
        let units = subject.iter_organizational_unit();
        let units = units.filter_map(|unit| Some(unit.as_str().ok()?.to_owned()));
        let mut facts = Facts {
            issuer: parsed.issuer().as_raw().to_vec(),
            serial: significant(parsed.raw_serial()).to_vec(),
            serial_text: parsed.tbs_certificate.serial.to_string(),
            common_name,
            units: units.collect(),
            dns: Vec::new(),
            emails: Vec::new(),
            uris: Vec::new(),
            subject_key_id: Vec::new(),
            authority_key_id: Vec::new(),
            responders: Vec::new(),
            not_before: parsed.validity().not_before.timestamp(),
            not_after: parsed.validity().not_after.timestamp(),
            is_ca: false,
            path_length: None,
            for_clients: true,
            extensions: Vec::new(),
        };
        let mut may_sign = true;
        for extension in parsed.extensions() {
            facts
                .extensions
                .push((extension.oid.to_id_string(), extension.value.to_vec()));
            match extension.parsed_extension() {
                ParsedExtension::ParseError { .. } => return Err(Unreadable),
                ParsedExtension::BasicConstraints(constraints) => {
                    facts.is_ca = constraints.ca;
                    facts.path_length = constraints.path_len_constraint;
                }
                ParsedExtension::KeyUsage(usage) => may_sign = usage.key_cert_sign(),
                ParsedExtension::ExtendedKeyUsage(usage) => {
                    facts.for_clients = usage.any || usage.client_auth;
                }
                ParsedExtension::SubjectKeyIdentifier(id) => facts.subject_key_id = id.0.to_vec(),
                ParsedExtension::AuthorityKeyIdentifier(id) => {
                    facts.authority_key_id = id
                        .key_identifier
                        .as_ref()
                        .map_or(Vec::new(), |id| id.0.to_vec());
                }
                ParsedExtension::AuthorityInfoAccess(access) => {
                    let urls = access.iter().filter_map(responder);
                    facts.responders = urls.collect();
                }
                ParsedExtension::SubjectAlternativeName(names) => {
                    facts.alternative_names(&names.general_names)?;
                }
                _ => {}
            }
        }
        // Before version 3 there is no way to say that a certificate is an authority's.
        facts.is_ca &= may_sign && parsed.version() == X509Version::V3;
        let sound = facts.names().all(|name| printable(name));
        sound.then_some(facts).ok_or(Unreadable)
    }

    fn alternative_names(&mut self, names: &[GeneralName<'_>]) -> Result<(), Unreadable> {
        for name in names {
            match name {
                GeneralName::DNSName(name) => self.dns.push((*name).to_owned()),
                GeneralName::RFC822Name(name) => self.emails.push((*name).to_owned()),
                GeneralName::URI(name) => self.uris.push((*name).to_owned()),
                GeneralName::Invalid(..) => return Err(Unreadable),
                _ => {}
            }
        }
        Ok(())
    }

    fn names(&self) -> impl Iterator<Item = &String> {
        let subject = self.common_name.iter().chain(&self.units);
        subject
            .chain(&self.dns)
            .chain(&self.emails)
            .chain(&self.uris)
    }

    pub(super) fn valid_at(&self, seconds: i64) -> bool {
        (self.not_before..=self.not_after).contains(&seconds)
    }

    /// The text of an extension whose value is an ASN.1 string.
    pub(super) fn text_of(&self, oid: &str) -> Option<String> {
        let (_, der) = self.extensions.iter().find(|(found, _)| found == oid)?;
        let (rest, any) = asn1_rs::Any::from_der(der).ok()?;
        let is_text = matches!(
            any.tag(),
            asn1_rs::Tag::Utf8String
                | asn1_rs::Tag::PrintableString
                | asn1_rs::Tag::Ia5String
                | asn1_rs::Tag::NumericString
                | asn1_rs::Tag::VisibleString
        );
        let text = std::str::from_utf8(any.data).ok()?.to_owned();
        (rest.is_empty() && is_text && printable(&text)).then_some(text)
    }
}

/// The URL of an OCSP responder (RFC 5280, 4.2.2.1).
fn responder(described: &AccessDescription<'_>) -> Option<String> {
    match &described.access_location {
        GeneralName::URI(url) if described.access_method.to_id_string() == OCSP => {
            Some((*url).to_owned())
        }
        _ => None,
    }
}

/// A name with a control character, NUL above all, is one thing to a reader and another to a program.
fn printable(text: &str) -> bool {
    !text.chars().any(char::is_control)
}

/// A serial number without its leading zeros.
pub(super) fn significant(serial: &[u8]) -> &[u8] {
    let zeros = serial.iter().take_while(|&&byte| byte == 0).count();
    &serial[zeros..]
}

/// `a1:b2:c3`
pub(super) fn in_colons(bytes: &[u8]) -> String {
    let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    hex.join(":")
}
