//! Revocation lists (RFC 5280, 5), complete and delta.

use jiff::Timestamp;
use vault_crypto::CannotSign;
use yasna::Tag;

use crate::der::{write_extension, write_time};
use crate::extension::authority_key_id;
use crate::{Name, Signer, oid};

/// Why a certificate was revoked (RFC 5280, 5.3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reason {
    /// Nobody said.
    #[default]
    Unspecified,
    /// Somebody else has the key.
    KeyCompromise,
    /// Somebody else has the issuer's key.
    AuthorityCompromise,
    /// A name has changed.
    AffiliationChanged,
    /// There is a newer one.
    Superseded,
    /// It is not needed any more.
    CessationOfOperation,
    /// It may not be used for what it says.
    PrivilegeWithdrawn,
}

impl Reason {
    /// `CRLReason`.
    pub fn code(self) -> u8 {
        match self {
            Reason::Unspecified => 0,
            Reason::KeyCompromise => 1,
            Reason::AuthorityCompromise => 2,
            Reason::AffiliationChanged => 3,
            Reason::Superseded => 4,
            Reason::CessationOfOperation => 5,
            Reason::PrivilegeWithdrawn => 9,
        }
    }

    /// The reason with this code.
    pub fn of(code: u8) -> Option<Reason> {
        let all = [
            Reason::Unspecified,
            Reason::KeyCompromise,
            Reason::AuthorityCompromise,
            Reason::AffiliationChanged,
            Reason::Superseded,
            Reason::CessationOfOperation,
            Reason::PrivilegeWithdrawn,
        ];
        all.into_iter().find(|reason| reason.code() == code)
    }
}

/// A certificate that no longer counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// Big endian.
    pub serial: Vec<u8>,
    /// Since when.
    pub at: Timestamp,
    /// Why.
    pub reason: Reason,
}

/// What a list says.
pub struct Revocations<'l> {
    /// As in the issuer's certificate.
    pub issuer: &'l Name,
    /// As in the issuer's certificate.
    pub issuer_key_id: &'l [u8],
    /// Grows with every list.
    pub number: u64,
    /// The complete list that a delta goes on from.
    pub since: Option<u64>,
    /// When it was made.
    pub this_update: Timestamp,
    /// When there will be another at the latest.
    pub next_update: Timestamp,
    /// In any order.
    pub revoked: &'l [Revoked],
}

impl Revocations<'_> {
    /// The list in DER.
    ///
    /// # Errors
    /// If the library cannot sign.
    pub fn sign(&self, signer: &Signer<'_>) -> Result<Vec<u8>, CannotSign> {
        let signed = yasna::construct_der(|writer| {
            writer.write_sequence(|writer| {
                writer.next().write_u8(1);
                writer.next().write_der(&signer.algorithm());
                writer.next().write_der(self.issuer.as_der());
                write_time(writer.next(), self.this_update);
                write_time(writer.next(), self.next_update);
                if !self.revoked.is_empty() {
                    writer.next().write_sequence(|writer| {
                        for revoked in self.revoked {
                            writer.next().write_sequence(|writer| revoked.write(writer));
                        }
                    });
                }
                writer.next().write_tagged(Tag::context(0), |writer| {
                    writer.write_sequence(|writer| self.write_extensions(writer));
                });
            });
        });
        signer.envelope(&signed, |_| {})
    }

    fn write_extensions(&self, writer: &mut yasna::DERWriterSeq<'_>) {
        let number = |number: u64| yasna::construct_der(|writer| writer.write_u64(number));
        let id = authority_key_id(self.issuer_key_id);
        write_extension(writer.next(), oid::AUTHORITY_KEY_ID, false, &id);
        write_extension(writer.next(), oid::CRL_NUMBER, false, &number(self.number));
        if let Some(since) = self.since {
            write_extension(writer.next(), oid::DELTA_CRL, true, &number(since));
        }
    }
}

impl Revoked {
    fn write(&self, writer: &mut yasna::DERWriterSeq<'_>) {
        writer.next().write_bigint_bytes(&self.serial, true);
        write_time(writer.next(), self.at);
        if self.reason == Reason::Unspecified {
            return;
        }
        let reason =
            yasna::construct_der(|writer| writer.write_enum(i64::from(self.reason.code())));
        writer.next().write_sequence(|writer| {
            write_extension(writer.next(), oid::REASON, false, &reason);
        });
    }
}
