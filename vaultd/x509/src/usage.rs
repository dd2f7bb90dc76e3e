//! What a key and its certificate may be used for (RFC 5280, 4.2.1.3 and 4.2.1.12).

use yasna::models::ObjectIdentifier;

use crate::PublicKind;

/// Bits of `KeyUsage`, the first one lowest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyUsage(pub u16);

impl KeyUsage {
    /// Names as Go's and Vault's users write them, in the order of the bits.
    pub const NAMES: [&'static str; 9] = [
        "DigitalSignature",
        "ContentCommitment",
        "KeyEncipherment",
        "DataEncipherment",
        "KeyAgreement",
        "CertSign",
        "CRLSign",
        "EncipherOnly",
        "DecipherOnly",
    ];
    /// What an authority does.
    pub const AUTHORITY: KeyUsage = KeyUsage(1 << 5 | 1 << 6);

    /// One usage by its name, in any case, with or without `KeyUsage` in front.
    pub fn named(name: &str) -> Option<KeyUsage> {
        let name = name.trim().to_ascii_lowercase();
        let name = name.strip_prefix("keyusage").unwrap_or(&name);
        let mut names = KeyUsage::NAMES.iter();
        let at = names.position(|known| known.eq_ignore_ascii_case(name))?;
        Some(KeyUsage(1 << at))
    }

    /// All usages of both.
    #[must_use]
    pub fn and(self, other: KeyUsage) -> KeyUsage {
        KeyUsage(self.0 | other.0)
    }

    /// Those that a key of this kind can have (RFC 3279, 2.3.1; RFC 8813, 3; RFC 9295, 3).
    #[must_use]
    pub fn of(self, kind: PublicKind) -> KeyUsage {
        const SIGNING: u16 = 0b0_0110_0011;
        const ENCIPHERMENT: u16 = 0b0_0000_1100;
        const AGREEMENT: u16 = 0b1_1001_0000;
        KeyUsage(match kind {
            PublicKind::Ed25519 => self.0 & SIGNING,
            PublicKind::Ecdsa(_) => self.0 & (SIGNING | AGREEMENT),
            PublicKind::Rsa(_) => self.0 & (SIGNING | ENCIPHERMENT),
        })
    }

    pub(crate) fn der(self) -> Vec<u8> {
        let highest = 16 - self.0.leading_zeros() as usize;
        let reversed = self.0.reverse_bits().to_be_bytes();
        let bytes = &reversed[..highest.div_ceil(8)];
        yasna::construct_der(|writer| writer.write_bitvec_bytes(bytes, highest))
    }
}

/// What a certificate may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Anything.
    Any,
    /// TLS, as a server.
    ServerAuth,
    /// TLS, as a client.
    ClientAuth,
    /// Programs.
    CodeSigning,
    /// S/MIME.
    EmailProtection,
    /// IPsec.
    IpsecEndSystem,
    /// IPsec.
    IpsecTunnel,
    /// IPsec.
    IpsecUser,
    /// RFC 3161.
    TimeStamping,
    /// RFC 6960.
    OcspSigning,
    /// Microsoft.
    MicrosoftServerGatedCrypto,
    /// Netscape.
    NetscapeServerGatedCrypto,
    /// Microsoft.
    MicrosoftCommercialCodeSigning,
    /// Microsoft.
    MicrosoftKernelCodeSigning,
}

impl Purpose {
    const ALL: [(Purpose, &'static str, &'static [u64]); 14] = [
        (Purpose::Any, "any", &[2, 5, 29, 37, 0]),
        (
            Purpose::ServerAuth,
            "serverauth",
            &[1, 3, 6, 1, 5, 5, 7, 3, 1],
        ),
        (
            Purpose::ClientAuth,
            "clientauth",
            &[1, 3, 6, 1, 5, 5, 7, 3, 2],
        ),
        (
            Purpose::CodeSigning,
            "codesigning",
            &[1, 3, 6, 1, 5, 5, 7, 3, 3],
        ),
        (
            Purpose::EmailProtection,
            "emailprotection",
            &[1, 3, 6, 1, 5, 5, 7, 3, 4],
        ),
        (
            Purpose::IpsecEndSystem,
            "ipsecendsystem",
            &[1, 3, 6, 1, 5, 5, 7, 3, 5],
        ),
        (
            Purpose::IpsecTunnel,
            "ipsectunnel",
            &[1, 3, 6, 1, 5, 5, 7, 3, 6],
        ),
        (
            Purpose::IpsecUser,
            "ipsecuser",
            &[1, 3, 6, 1, 5, 5, 7, 3, 7],
        ),
        (
            Purpose::TimeStamping,
            "timestamping",
            &[1, 3, 6, 1, 5, 5, 7, 3, 8],
        ),
        (
            Purpose::OcspSigning,
            "ocspsigning",
            &[1, 3, 6, 1, 5, 5, 7, 3, 9],
        ),
        (
            Purpose::MicrosoftServerGatedCrypto,
            "microsoftservergatedcrypto",
            &[1, 3, 6, 1, 4, 1, 311, 10, 3, 3],
        ),
        (
            Purpose::NetscapeServerGatedCrypto,
            "netscapeservergatedcrypto",
            &[2, 16, 840, 1, 113_730, 4, 1],
        ),
        (
            Purpose::MicrosoftCommercialCodeSigning,
            "microsoftcommercialcodesigning",
            &[1, 3, 6, 1, 4, 1, 311, 2, 1, 22],
        ),
        (
            Purpose::MicrosoftKernelCodeSigning,
            "microsoftkernelcodesigning",
            &[1, 3, 6, 1, 4, 1, 311, 61, 1, 1],
        ),
    ];

    /// By its name, in any case, with or without `ExtKeyUsage` in front.
    pub fn named(name: &str) -> Option<Purpose> {
        let name = name.trim().to_ascii_lowercase();
        let name = name.strip_prefix("extkeyusage").unwrap_or(&name);
        let found = Purpose::ALL.iter().find(|(_, known, _)| *known == name);
        found.map(|(purpose, _, _)| *purpose)
    }

    pub(crate) fn oid(self) -> &'static [u64] {
        let found = Purpose::ALL.iter().find(|(purpose, _, _)| *purpose == self);
        found.map_or(&[2, 5, 29, 37, 0], |(_, _, oid)| oid)
    }
}

/// A purpose that has no name here.
pub type PurposeOid = ObjectIdentifier;
