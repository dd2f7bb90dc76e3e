//! The API of transit as a table.

use crate::core::request::Verb;
use crate::core::route::Row;

/// An operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    List,
    Create,
    Read,
    Delete,
    Configure,
    Rotate,
    SoftDelete,
    SoftRestore,
    Import,
    ImportVersion,
    WrappingKey,
    ReadCache,
    WriteCache,
    Trim,
    ReadSettings,
    WriteSettings,
    Export,
    ByokExport,
    Csr,
    SetCertificate,
    Cmac,
    Backup,
    Restore,
    Encrypt,
    Decrypt,
    Rewrap,
    DataKey,
    Hmac,
    Sign,
    Verify,
    Random,
    Hash,
}

const CREATE: &str = "type derived convergent_encryption exportable allow_plaintext_backup \
    auto_rotate_period key_size context";
const CONFIGURE: &str = "min_decryption_version min_encryption_version deletion_allowed exportable \
    allow_plaintext_backup auto_rotate_period";
const IMPORT: &str = "ciphertext hash_function type allow_rotation derived exportable \
    allow_plaintext_backup auto_rotate_period context key_size public_key convergent_encryption";
const ENCRYPT: &str = "plaintext context key_version nonce associated_data batch_input type \
    convergent_encryption partial_failure_response_code";
const DECRYPT: &str =
    "ciphertext context nonce associated_data batch_input partial_failure_response_code";
const REWRAP: &str = "ciphertext context key_version nonce associated_data batch_input";
const DATA_KEY: &str = "context key_version nonce associated_data bits";
const HMAC: &str = "input key_version algorithm batch_input";
const SIGN: &str = "input context key_version hash_algorithm algorithm prehashed \
    signature_algorithm marshaling_algorithm salt_length batch_input";
const CMAC: &str = "input key_version mac_length batch_input";
const VERIFY: &str = "input context signature hmac cmac mac_length hash_algorithm algorithm prehashed \
    signature_algorithm marshaling_algorithm salt_length batch_input";

/// Every operation.
#[rustfmt::skip]
pub const ROWS: &[Row<Call>] = &[
    Row::new(Verb::List, "keys", Call::List, "after limit", "List the keys."),
    Row::new(Verb::Write, "keys/{name}", Call::Create, CREATE, "Create a key."),
    Row::new(Verb::Read, "keys/{name}", Call::Read, "context", "Read what a key allows, and its public keys."),
    Row::new(Verb::Delete, "keys/{name}", Call::Delete, "", "Delete a key with all its versions for good."),
    Row::new(Verb::Write, "keys/{name}/config", Call::Configure, CONFIGURE, "Change what a key allows."),
    Row::new(Verb::Write, "keys/{name}/rotate", Call::Rotate, "", "Add a version to a key."),
    Row::new(Verb::Write, "keys/{name}/import", Call::Import, IMPORT, "Bring a key that was made elsewhere."),
    Row::new(Verb::Write, "keys/{name}/import_version", Call::ImportVersion, "ciphertext hash_function public_key version", "Bring another version of an imported key."),
    Row::new(Verb::Read, "wrapping_key", Call::WrappingKey, "", "The public key under which keys are brought."),
    Row::new(Verb::Delete, "keys/{name}/soft-delete", Call::SoftDelete, "", "Put a key out of use."),
    Row::new(Verb::Write, "keys/{name}/soft-delete-restore", Call::SoftRestore, "", "Put a key back into use."),
    Row::new(Verb::Read, "cache-config", Call::ReadCache, "", "Read the cache size that was set."),
    Row::new(Verb::Write, "cache-config", Call::WriteCache, "size", "Set the cache size; keys are not cached here."),
    Row::new(Verb::Write, "keys/{name}/trim", Call::Trim, "min_available_version", "Remove old versions of a key for good."),
    Row::new(Verb::Read, "config/keys", Call::ReadSettings, "", "Read the settings of the engine."),
    Row::new(Verb::Write, "config/keys", Call::WriteSettings, "disable_upsert", "Change the settings of the engine."),
    Row::new(Verb::Read, "export/{type}/{name}", Call::Export, "", "Export every version of an exportable key."),
    Row::new(Verb::Read, "export/{type}/{name}/{version}", Call::Export, "", "Export one version of an exportable key."),
    Row::new(Verb::Read, "byok-export/{destination}/{source}", Call::ByokExport, "hash", "Export every version of a key under another server's wrapping key."),
    Row::new(Verb::Read, "byok-export/{destination}/{source}/{version}", Call::ByokExport, "hash", "Export one version of a key under another server's wrapping key."),
    Row::new(Verb::Write, "keys/{name}/csr", Call::Csr, "version csr", "Request a certificate for a key."),
    Row::new(Verb::Write, "keys/{name}/set-certificate", Call::SetCertificate, "version certificate_chain", "Keep the certificates of a key beside it."),
    Row::new(Verb::Read, "backup/{name}", Call::Backup, "", "Export a whole key as text for a restore."),
    Row::new(Verb::Write, "restore", Call::Restore, "backup force", "Bring a key back from a backup."),
    Row::new(Verb::Write, "restore/{name}", Call::Restore, "backup force", "Bring a key back from a backup under this name."),
    Row::new(Verb::Write, "encrypt/{name}", Call::Encrypt, ENCRYPT, "Encrypt with a key; who may create it does so by using it.").creates(),
    Row::new(Verb::Write, "decrypt/{name}", Call::Decrypt, DECRYPT, "Decrypt with a key."),
    Row::new(Verb::Write, "rewrap/{name}", Call::Rewrap, REWRAP, "Encrypt again with the latest version, without showing the plaintext."),
    Row::new(Verb::Write, "datakey/{kind}/{name}", Call::DataKey, DATA_KEY, "Make a random key, encrypted and (kind 'plaintext') in plain."),
    Row::new(Verb::Write, "random", Call::Random, "bytes format", "Random bytes."),
    Row::new(Verb::Write, "random/{bytes}", Call::Random, "bytes format", "Random bytes."),
    Row::new(Verb::Write, "random/{source}/{bytes}", Call::Random, "format", "Random bytes."),
    Row::new(Verb::Write, "hash", Call::Hash, "input algorithm format", "Hash data."),
    Row::new(Verb::Write, "hash/{algorithm}", Call::Hash, "input format", "Hash data."),
    Row::new(Verb::Write, "hmac/{name}", Call::Hmac, HMAC, "Authenticate data with a key (HMAC)."),
    Row::new(Verb::Write, "hmac/{name}/{algorithm}", Call::Hmac, HMAC, "Authenticate data with a key (HMAC)."),
    Row::new(Verb::Write, "cmac/{name}", Call::Cmac, CMAC, "Authenticate data with a key of AES (CMAC)."),
    Row::new(Verb::Write, "cmac/{name}/{mac_length}", Call::Cmac, CMAC, "Authenticate data with a key of AES (CMAC)."),
    Row::new(Verb::Write, "sign/{name}", Call::Sign, SIGN, "Sign data."),
    Row::new(Verb::Write, "sign/{name}/{algorithm}", Call::Sign, SIGN, "Sign data."),
    Row::new(Verb::Write, "verify/{name}", Call::Verify, VERIFY, "Check a signature or an HMAC."),
    Row::new(Verb::Write, "verify/{name}/{algorithm}", Call::Verify, VERIFY, "Check a signature or an HMAC."),
];
