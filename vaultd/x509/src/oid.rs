//! Object identifiers by name, and in dotted text.

use yasna::models::ObjectIdentifier;

/// `1.2.3`, as people write it; at least two numbers, none out of range.
pub fn parse(text: &str) -> Option<ObjectIdentifier> {
    let parts: Result<Vec<u64>, _> = text.split('.').map(str::parse).collect();
    let parts = parts.ok()?;
    let plain = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    let (first, second) = (*parts.first()?, *parts.get(1)?);
    let fits = first < 2 && second < 40 || first == 2 && second <= 1000;
    let fits = fits && parts.len() <= 32 && parts.iter().all(|part| *part < 1 << 56);
    (plain && fits).then(|| ObjectIdentifier::from_slice(&parts))
}

macro_rules! oids {
    ($($name:ident = $parts:expr;)*) => {
        $(pub(crate) const $name: &[u64] = &$parts;)*
    };
}

oids! {
    // RFC 5280, A.1 (attributes of names)
    COMMON_NAME = [2, 5, 4, 3];
    SERIAL_NUMBER = [2, 5, 4, 5];
    COUNTRY = [2, 5, 4, 6];
    LOCALITY = [2, 5, 4, 7];
    PROVINCE = [2, 5, 4, 8];
    STREET = [2, 5, 4, 9];
    ORGANIZATION = [2, 5, 4, 10];
    ORGANIZATIONAL_UNIT = [2, 5, 4, 11];
    POSTAL_CODE = [2, 5, 4, 17];
    USER_ID = [0, 9, 2342, 19_200_300, 100, 1, 1];
    // RFC 5280, 4.2 and 5.2
    SUBJECT_KEY_ID = [2, 5, 29, 14];
    KEY_USAGE = [2, 5, 29, 15];
    ALT_NAME = [2, 5, 29, 17];
    BASIC_CONSTRAINTS = [2, 5, 29, 19];
    CRL_NUMBER = [2, 5, 29, 20];
    REASON = [2, 5, 29, 21];
    DELTA_CRL = [2, 5, 29, 27];
    NAME_CONSTRAINTS = [2, 5, 29, 30];
    CRL_POINTS = [2, 5, 29, 31];
    POLICIES = [2, 5, 29, 32];
    AUTHORITY_KEY_ID = [2, 5, 29, 35];
    EXTENDED_USAGE = [2, 5, 29, 37];
    FRESHEST_CRL = [2, 5, 29, 46];
    AUTHORITY_ACCESS = [1, 3, 6, 1, 5, 5, 7, 1, 1];
    ACCESS_OCSP = [1, 3, 6, 1, 5, 5, 7, 48, 1];
    ACCESS_ISSUERS = [1, 3, 6, 1, 5, 5, 7, 48, 2];
    // RFC 2985
    EXTENSION_REQUEST = [1, 2, 840, 113_549, 1, 9, 14];
    // RFC 6960
    OCSP_BASIC = [1, 3, 6, 1, 5, 5, 7, 48, 1, 1];
    OCSP_NONCE = [1, 3, 6, 1, 5, 5, 7, 48, 1, 2];
    // RFC 8017, 4055, 5758, 8410
    RSA_SHA256 = [1, 2, 840, 113_549, 1, 1, 11];
    RSA_SHA384 = [1, 2, 840, 113_549, 1, 1, 12];
    RSA_SHA512 = [1, 2, 840, 113_549, 1, 1, 13];
    RSA_PSS = [1, 2, 840, 113_549, 1, 1, 10];
    MGF1 = [1, 2, 840, 113_549, 1, 1, 8];
    SHA256 = [2, 16, 840, 1, 101, 3, 4, 2, 1];
    SHA384 = [2, 16, 840, 1, 101, 3, 4, 2, 2];
    SHA512 = [2, 16, 840, 1, 101, 3, 4, 2, 3];
    ECDSA_SHA256 = [1, 2, 840, 10_045, 4, 3, 2];
    ECDSA_SHA384 = [1, 2, 840, 10_045, 4, 3, 3];
    ECDSA_SHA512 = [1, 2, 840, 10_045, 4, 3, 4];
    ED25519 = [1, 3, 101, 112];
}
