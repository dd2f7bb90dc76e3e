//! One key from another: HKDF-SHA256 (RFC 5869).
//!
//! Every purpose has its own [`Label`], so no key ever serves two algorithms.
//! Not for passphrases: that is [`crate::stretch`].

use hkdf::Hkdf;
use sha2::Sha256;

use crate::{Aad, Key};

/// What a derived key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Label {
    /// Sealing of records.
    Records,
    /// The commitment to a record key.
    Commit,
    /// Sealing of names.
    Names,
    /// Tags of directories.
    Directory,
    /// Storage keys of rows.
    RowPrf,
    /// Look-up tags of tokens.
    Token,
    /// Tags in audit entries.
    Audit,
    /// The seed of the audit signing key.
    AuditSign,
    /// Response wrapping.
    Wrapping,
    /// The presence hash.
    Presence,
    /// Wrapping of a share.
    ShareWrap,
    /// Wrapping of the root key.
    RootWrap,
    /// Wrapping of the keyring.
    KeyringWrap,
    /// Tags of leases.
    Lease,
    /// Tags of AppRole secret ids.
    Approle,
    /// Batch tokens.
    Batch,
    /// Keys of fingerprints, one for each caller.
    Fingerprints,
    /// Private keys of paths, for values that are encrypted elsewhere.
    Values,
    /// The seed of the key that signs bundles.
    BundleSign,
}

impl Label {
    /// Every label, for tests that all differ.
    #[cfg(test)]
    const ALL: [Self; 19] = [
        Self::Records,
        Self::Commit,
        Self::Names,
        Self::Directory,
        Self::RowPrf,
        Self::Token,
        Self::Audit,
        Self::AuditSign,
        Self::Wrapping,
        Self::Presence,
        Self::ShareWrap,
        Self::RootWrap,
        Self::KeyringWrap,
        Self::Lease,
        Self::Approle,
        Self::Batch,
        Self::Fingerprints,
        Self::Values,
        Self::BundleSign,
    ];

    /// The label as it enters the derivation.
    pub fn text(self) -> &'static str {
        match self {
            Self::Records => "vaultd/v1/records",
            Self::Commit => "vaultd/v1/commit",
            Self::Names => "vaultd/v1/names",
            Self::Directory => "vaultd/v1/directory",
            Self::RowPrf => "vaultd/v1/row-prf",
            Self::Token => "vaultd/v1/token",
            Self::Audit => "vaultd/v1/audit",
            Self::AuditSign => "vaultd/v1/audit-sign",
            Self::Wrapping => "vaultd/v1/wrapping",
            Self::Presence => "vaultd/v1/presence",
            Self::ShareWrap => "vaultd/v1/share-wrap",
            Self::RootWrap => "vaultd/v1/root-wrap",
            Self::KeyringWrap => "vaultd/v1/keyring-wrap",
            Self::Lease => "vaultd/v1/lease",
            Self::Approle => "vaultd/v1/approle",
            Self::Batch => "vaultd/v1/batch",
            Self::Fingerprints => "vaultd/v1/fingerprints",
            Self::Values => "vaultd/v1/values",
            Self::BundleSign => "vaultd/v1/bundle-sign",
        }
    }
}

/// Derives a key of `N` bytes (at most 8160) from uniform key material.
///
/// The HKDF info is [`Aad::new(label)`](Aad) with one field for each part of
/// `info`: all length-prefixed, so no two calls share a derivation by accident.
/// An empty salt is 32 zero bytes, as in the RFC.
pub fn derive<const N: usize>(ikm: &[u8], salt: &[u8], label: Label, info: &[&[u8]]) -> Key<N> {
    let info = info
        .iter()
        .fold(Aad::new(label.text()), |aad, part| aad.field(part));
    expand(ikm, salt, info.as_bytes())
}

fn expand<const N: usize>(ikm: &[u8], salt: &[u8], info: &[u8]) -> Key<N> {
    const { assert!(N <= 255 * 32, "HKDF-SHA256 gives at most 8160 bytes") };
    let hkdf = Hkdf::<Sha256>::new(Some(salt), ikm);
    Key::fill_with(|out| {
        // The only error is the length that the assertion above rules out; but
        // a key of zeros must never leave this place.
        assert!(hkdf.expand(info, out).is_ok());
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 5869, appendix A (SHA-256): ikm, salt, info, okm.
    const RFC_5869: [[&str; 4]; 3] = [
        [
            "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
            "000102030405060708090a0b0c",
            "f0f1f2f3f4f5f6f7f8f9",
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
        ],
        [
            "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f404142434445464748494a4b4c4d4e4f",
            "606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9fa0a1a2a3a4a5a6a7a8a9aaabacadaeaf",
            "b0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedfe0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
            "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87",
        ],
        [
            "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
            "",
            "",
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
        ],
    ];

    #[test]
    fn rfc_5869_vectors_hold() -> Result<(), hex::FromHexError> {
        for [ikm, salt, info, okm] in RFC_5869 {
            let (ikm, salt, info) = (hex::decode(ikm)?, hex::decode(salt)?, hex::decode(info)?);
            let long: Key<82> = expand(&ikm, &salt, &info);
            let okm = hex::decode(okm)?;
            assert_eq!(long.expose()[..okm.len()], okm);
        }
        Ok(())
    }

    #[test]
    fn every_label_gives_another_key() {
        let keys = Label::ALL.map(|label| *derive::<32>(b"ikm", b"", label, &[]).expose());
        for (i, key) in keys.iter().enumerate() {
            assert!(!keys[..i].contains(key));
        }
    }

    #[test]
    fn salt_material_and_the_borders_of_info_matter() {
        let base = derive::<32>(b"ikm", b"", Label::Token, &[b"a", b"bc"]);
        let others = [
            derive::<32>(b"ikn", b"", Label::Token, &[b"a", b"bc"]),
            derive::<32>(b"ikm", b"s", Label::Token, &[b"a", b"bc"]),
            derive::<32>(b"ikm", b"", Label::Token, &[b"ab", b"c"]),
            derive::<32>(b"ikm", b"", Label::Token, &[b"bc", b"a"]),
            derive::<32>(b"ikm", b"", Label::Token, &[b"abc"]),
        ];
        assert!(others.iter().all(|other| !other.ct_eq(&base)));
    }
}
