//! A certificate before it is signed.

use jiff::Timestamp;
use vault_crypto::CannotSign;
use yasna::Tag;

use crate::der::write_time;
use crate::{Extensions, Name, PublicKey, Signer};

/// What a certificate says.
pub struct Template<'t> {
    /// A positive number, big endian, at most 20 bytes.
    pub serial: &'t [u8],
    /// As in the issuer's certificate.
    pub issuer: &'t Name,
    /// As in the issuer's certificate.
    pub issuer_key_id: &'t [u8],
    /// Whose it is.
    pub subject: &'t Name,
    /// Whose it is.
    pub key: &'t PublicKey,
    /// The first moment.
    pub not_before: Timestamp,
    /// The last moment.
    pub not_after: Timestamp,
    /// All the rest.
    pub extensions: &'t Extensions,
}

impl Template<'_> {
    /// The certificate in DER.
    ///
    /// # Errors
    /// If the library cannot sign.
    pub fn sign(&self, signer: &Signer<'_>) -> Result<Vec<u8>, CannotSign> {
        let signed = yasna::construct_der(|writer| {
            writer.write_sequence(|writer| {
                writer
                    .next()
                    .write_tagged(Tag::context(0), |writer| writer.write_u8(2));
                writer.next().write_bigint_bytes(self.serial, true);
                writer.next().write_der(&signer.algorithm());
                writer.next().write_der(self.issuer.as_der());
                writer.next().write_sequence(|writer| {
                    write_time(writer.next(), self.not_before);
                    write_time(writer.next(), self.not_after);
                });
                writer.next().write_der(self.subject.as_der());
                writer.next().write_der(self.key.as_der());
                writer.next().write_tagged(Tag::context(3), |writer| {
                    writer.write_sequence(|writer| {
                        self.extensions.write(
                            writer,
                            &self.key.id(),
                            self.issuer_key_id,
                            self.subject.is_empty(),
                        );
                    });
                });
            });
        });
        signer.envelope(&signed, |_| {})
    }
}
