//! What the userpass method stores, and under which names.

use serde::{Deserialize, Serialize};
use vault_crypto::PasswordHash;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::core::body::Body;
use crate::core::fault::Fault;
use crate::core::login::TokenParams;

/// A user's name in its canonical spelling: lower case, 1 to 128 of `a-z 0-9 _ - . @`, with a
/// letter, digit or underscore at both ends. Other spellings are refused, not repaired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UserName(String);

impl UserName {
    pub(super) fn parse(text: &str) -> Result<UserName, Fault> {
        let word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        let bytes = text.as_bytes();
        let ends = bytes.first().is_some_and(word) && bytes.last().is_some_and(word);
        let inner = bytes.iter().all(|byte| word(byte) || b"-.@".contains(byte));
        if !ends || !inner || bytes.len() > 128 {
            return Err(Fault::invalid(
                "invalid user name: use 1 to 128 letters, digits, '_', '-', '.' or '@', with a letter, digit or '_' at both ends",
            ));
        }
        Ok(UserName(text.to_ascii_lowercase()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn row(&self) -> String {
        format!("user/{}", self.0)
    }
}

/// The hash of a password in hex. With it passwords can be tried: never shown, wiped after use.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub struct Hash(String);

impl Hash {
    pub(super) fn of(hash: &PasswordHash) -> Hash {
        Hash(hex::encode(Zeroizing::new(hash.to_bytes())))
    }

    pub(super) fn parse(&self) -> Result<PasswordHash, Fault> {
        let bytes = hex::decode(self.0.as_bytes()).map(Zeroizing::new).ok();
        bytes
            .and_then(|bytes| PasswordHash::from_bytes(&bytes).ok())
            .ok_or(Fault::Internal(
                "a stored password hash is damaged: set the password again",
            ))
    }
}

/// A user.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct User {
    pub hash: Hash,
    pub token: TokenParams,
    /// Set through the old name `policies`, which is then shown too.
    pub old_policies: bool,
}

/// A password as a client gave it. Wiped after use.
pub(super) struct Password(Zeroizing<String>);

impl Password {
    const MAX: usize = 1024;

    /// `None` if there is none.
    pub(super) fn given(body: &Body) -> Result<Option<Password>, Fault> {
        let text = Zeroizing::new(body.string("password")?.unwrap_or_default());
        if text.len() > Password::MAX {
            return Err(Fault::invalid("the password is longer than 1024 bytes"));
        }
        Ok((!text.is_empty()).then_some(Password(text)))
    }

    pub(super) fn required(body: &Body) -> Result<Password, Fault> {
        Password::given(body)?.ok_or_else(|| Fault::invalid("missing password"))
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn user_names_have_one_spelling() {
        assert_eq!(
            UserName::parse("Ada.L@Example.org").unwrap().as_str(),
            "ada.l@example.org"
        );
        for odd in [
            "",
            " a",
            "a ",
            "a\t",
            "-a",
            "a@",
            "..",
            "a b",
            "a/b",
            "a\0",
            "é",
            "a*",
            "ａ",
            &"a".repeat(129),
        ] {
            assert!(UserName::parse(odd).is_err(), "{odd:?}");
        }
    }
}
