//! GitHub Apps: a token for one repository and one hour, in place of a person's.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use vault_ssh::PrivateKey;
use vault_ssh::wire::Reader;
use zeroize::Zeroizing;

use super::api::{trouble, unreached};
use crate::core::body::Body;
use crate::core::fault::Fault;
use crate::engine::secret::{Secret, Text};
use crate::engine::sshkeys::key::Pair;
use crate::engine::sshkeys::target::Trouble;
use crate::outbound::{Outbound, Request, Trust, Url};

#[derive(Serialize, Deserialize)]
pub(in crate::engine::sshkeys) struct App {
    pub app_id: String,
    pub installation_id: String,
    /// PKCS #8.
    private_key: Secret,
}

/// What a token is to be good for.
pub(in crate::engine::sshkeys) struct Wish<'a> {
    /// `owner/name`
    pub repository: &'a str,
    /// As GitHub names them.
    pub permissions: &'a Value,
}

/// A token that GitHub gave.
#[derive(Deserialize)]
pub(in crate::engine::sshkeys) struct Granted {
    pub token: Text,
    pub expires_at: String,
}

impl App {
    /// `None` if the request names none.
    pub(super) fn parse(body: &Body) -> Result<Option<App>, Fault> {
        let fields = ["app_id", "installation_id", "private_key"];
        if !fields.iter().any(|field| body.asks(field)) {
            return Ok(None);
        }
        let number = |field: &str| {
            let text = body.required(field)?;
            // The id of an App may be its client id.
            match text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'.')
            {
                true => Ok(text),
                false => Err(Fault::invalid(format!("{field} is no id of GitHub's"))),
            }
        };
        let pem = Zeroizing::new(body.required("private_key")?);
        let pair = Pair::parse(&pem)?;
        if !pair.public.starts_with("ssh-rsa ") {
            return Err(Fault::invalid("private_key: GitHub's Apps have RSA keys"));
        }
        Ok(Some(App {
            app_id: number("app_id")?,
            installation_id: number("installation_id")?,
            private_key: pair.private,
        }))
    }

    /// Signed with RS256 (RFC 7518, 3.3), good for nine minutes; clocks may differ by one.
    fn assertion(&self, now: Timestamp) -> Option<Zeroizing<String>> {
        let head = json!({"alg": "RS256", "typ": "JWT"});
        let claims = json!({
            "iat": now.as_second() - 60,
            "exp": now.as_second() + 540,
            "iss": self.app_id,
        });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&head), part(&claims));
        let key = PrivateKey::from_pkcs8(self.private_key.expose()).ok()?;
        // SSH's signature is the algorithm, and the bytes that JOSE has too.
        let signature = key.sign_as("rsa-sha2-256", signed.as_bytes()).ok()?;
        let mut reader = Reader::new(&signature);
        let _algorithm = reader.string().ok()?;
        let bytes = URL_SAFE_NO_PAD.encode(reader.string().ok()?);
        Some(Zeroizing::new(format!("{signed}.{bytes}")))
    }

    pub(in crate::engine::sshkeys) async fn token(
        &self,
        outbound: &Outbound,
        trust: &Trust,
        base: &Url,
        wish: &Wish<'_>,
        now: Timestamp,
    ) -> Result<Granted, Trouble> {
        let failed = |cause| Trouble::new(cause, "write the App's private_key anew to the forge");
        let assertion = self.assertion(now);
        let assertion = assertion.ok_or_else(|| failed("the App's key signs nothing"))?;
        let path = format!("app/installations/{}/access_tokens", self.installation_id);
        let url = base.join(&path).map_err(|failure| unreached(&failure))?;
        let (_, name) = wish
            .repository
            .split_once('/')
            .unwrap_or(("", wish.repository));
        let body = json!({"repositories": [name], "permissions": wish.permissions});
        let request = Request::post(url, "application/json", body.to_string().into_bytes())
            .accept("application/vnd.github+json")
            .bearer(&assertion);
        let answer = outbound.send(trust, request).await;
        let answer = answer.map_err(|failure| unreached(&failure))?;
        match answer.status {
            200..=299 => serde_json::from_slice(&answer.body)
                .map_err(|_| failed("the answer is not GitHub's JSON")),
            422 => Err(Trouble::new(
                "GitHub gives the App no token for the repository (status 422)",
                "let the App be installed on the repository, with the permissions that are asked for",
            )),
            status => Err(trouble(status, wish.repository)),
        }
    }
}
