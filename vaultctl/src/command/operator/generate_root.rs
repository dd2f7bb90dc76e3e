//! `operator generate-root`: a new root token by a quorum of shares.
//!
//! The server never says the token itself: it says the token XOR a one-time pad that only the one
//! who asked knows.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use serde_json::{Value, json};
use vault_sdk::Call;
use zeroize::Zeroizing;

use super::shares::{self, Passphrases};
use super::unseal::refused;
use crate::error::{Outcome, local};
use crate::output::{Content, Format, Output};
use crate::session::{Session, text};

const ATTEMPT: &str = "sys/generate-root/attempt";

#[derive(clap::Args)]
pub(crate) struct GenerateRoot {
    /// A share: a share file, - or @FILE; without it you are asked, hidden
    share: Option<String>,
    /// Start; prints the one-time pad
    #[arg(long)]
    init: bool,
    /// Give up
    #[arg(long)]
    cancel: bool,
    /// How far it is
    #[arg(long)]
    status: bool,
    /// Go on with this one, as --init printed
    #[arg(long)]
    nonce: Option<String>,
    /// Print the token inside this encoded one (needs --otp)
    #[arg(long, value_name = "ENCODED", requires = "otp")]
    decode: Option<String>,
    /// The one-time pad
    #[arg(long)]
    otp: Option<String>,
    /// Print a new one-time pad
    #[arg(long)]
    generate_otp: bool,
    #[command(flatten)]
    passphrases: Passphrases,
}

pub(crate) async fn run(
    session: &dyn Fn() -> Outcome<Session>,
    out: &Output,
    args: GenerateRoot,
) -> Outcome {
    if let (Some(encoded), Some(otp)) = (&args.decode, &args.otp) {
        let token = decode(encoded, otp)?;
        return match out.format {
            Format::Table if out.field.is_none() => {
                out.line(&format!("Root token: {}", token.as_str()))
            }
            _ => out.rows(
                &vec![("token".to_owned(), json!(token.as_str()))],
                Content::Open,
            ),
        };
    }
    let session = session()?;
    if args.generate_otp {
        let length = session.send(Call::get(ATTEMPT)).await?.body["otp_length"]
            .as_u64()
            .unwrap_or(28);
        let length = usize::try_from(length.min(256)).unwrap_or(28);
        return session
            .out
            .line(vault_crypto::random_base62(length, &vault_crypto::System).as_str());
    }
    if args.cancel {
        return session.act(Call::delete(ATTEMPT), "Canceled.").await;
    }
    if args.status {
        return tell(&session, &session.send(Call::get(ATTEMPT)).await?.body);
    }
    if args.init {
        let body = args
            .otp
            .as_ref()
            .map_or(json!({}), |otp| json!({ "otp": otp }));
        return tell(
            &session,
            &session.send(Call::put(ATTEMPT, body)).await?.body,
        );
    }
    give_share(&session, args).await
}

async fn give_share(session: &Session, args: GenerateRoot) -> Outcome {
    let nonce = match args.nonce {
        Some(nonce) => nonce,
        None => text(&session.send(Call::get(ATTEMPT)).await?.body, "nonce")?.to_owned(),
    };
    if nonce.is_empty() {
        return Err(local(
            "no root generation has been started",
            "vaultctl operator generate-root --init",
        ));
    }
    let given = shares::take(args.share.as_deref(), &args.passphrases)?;
    let body = json!({ "key": given.share.as_str(), "nonce": nonce });
    let answer = session
        .send(Call::put("sys/generate-root/update", body))
        .await
        .map_err(|f| refused(f, &given.name))?;
    tell(session, &answer.body)
}

fn tell(session: &Session, state: &Value) -> Outcome {
    if session.out.format != Format::Table {
        return session.out.document(state);
    }
    let names = [
        ("Nonce", "nonce"),
        ("Started", "started"),
        ("Progress", "progress"),
        ("Required", "required"),
        ("Complete", "complete"),
        ("OTP", "otp"),
        ("OTP Length", "otp_length"),
        ("Encoded Token", "encoded_token"),
    ];
    let filled = |v: &&Value| !v.is_null() && **v != "";
    let rows = names.iter().filter_map(|(name, key)| {
        state
            .get(*key)
            .filter(filled)
            .map(|v| ((*name).to_owned(), v.clone()))
    });
    session.out.rows(&rows.collect(), Content::Open)
}

/// The token: base64 (padded or not) XOR the one-time pad.
fn decode(encoded: &str, otp: &str) -> Outcome<Zeroizing<String>> {
    let unusable = |why: &str| {
        local(
            format!("the encoded token does not decode: {why}"),
            "take both from the same generate-root, unchanged",
        )
    };
    let bytes = STANDARD_NO_PAD
        .decode(encoded.trim())
        .or_else(|_| STANDARD.decode(encoded.trim()));
    let bytes = bytes.map_err(|_| unusable("it is not base64"))?;
    if bytes.len() != otp.len() {
        return Err(unusable("it and the one-time pad differ in length"));
    }
    let token: Vec<u8> = bytes.iter().zip(otp.bytes()).map(|(a, b)| a ^ b).collect();
    String::from_utf8(token)
        .map(Zeroizing::new)
        .map_err(|_| unusable("the one-time pad is another one"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_comes_back_from_its_pad() {
        let token = "hvs.aNotherTokenOfTwentyEight";
        let otp: String = "Zq3".chars().cycle().take(token.len()).collect();
        let encoded = STANDARD_NO_PAD.encode(
            token
                .bytes()
                .zip(otp.bytes())
                .map(|(a, b)| a ^ b)
                .collect::<Vec<_>>(),
        );
        assert_eq!(
            decode(&encoded, &otp).ok().as_deref().map(String::as_str),
            Some(token)
        );
    }

    #[test]
    fn pads_of_another_length_and_broken_base64_are_refused() {
        assert!(decode("AAAA", "ab").is_err());
        assert!(decode("!!!", "abc").is_err());
    }
}
