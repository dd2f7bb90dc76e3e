//! TOTP: keys, codes, and that a code works once.

use serde_json::{Value, json};

use super::{Fixture, data, error, is_empty, is_invalid, is_missing};
use crate::core::mount::Kind;
use crate::core::reply::Reply;

/// The key of RFC 6238 in base32.
const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

async fn with(key: Value) -> Fixture {
    let totp = Fixture::new(Kind::Totp).await;
    assert!(is_empty(&totp.write("keys/k", key).await.unwrap()));
    totp
}

async fn code(totp: &Fixture) -> String {
    let answer = totp.get("code/k").await;
    answer["code"].as_str().unwrap().to_owned()
}

fn valid(reply: Reply) -> bool {
    data(reply)["valid"].as_bool().unwrap()
}

#[tokio::test]
async fn the_codes_are_those_of_rfc_6238() {
    let mut totp = with(json!({"key": SECRET, "digits": 8})).await;
    for (now, expected) in [
        ("1970-01-01T00:00:59Z", "94287082"),
        ("2005-03-18T01:58:29Z", "07081804"),
        ("2033-05-18T03:33:20Z", "69279037"),
    ] {
        totp.now = now.parse().unwrap();
        assert_eq!(code(&totp).await, expected);
    }
}

#[tokio::test]
async fn a_code_is_accepted_once() {
    let mut totp = with(json!({ "key": SECRET })).await;
    let first = json!({ "code": code(&totp).await });
    assert!(valid(totp.write("code/k", first.clone()).await.unwrap()));
    for _ in 0..2 {
        let again = totp.write("code/k", first.clone()).await;
        assert_eq!(
            error(again),
            "code already used; wait until the next time period"
        );
        totp.pass(30);
    }
    assert!(!valid(totp.write("code/k", first).await.unwrap()));
    let next = json!({ "code": code(&totp).await });
    assert!(valid(totp.write("code/k", next).await.unwrap()));
}

#[tokio::test]
async fn cve_2025_6014_a_used_code_has_no_other_spelling() {
    let totp = with(json!({ "key": SECRET })).await;
    let code = code(&totp).await;
    let wide: String = code
        .bytes()
        .map(|digit| char::from_u32(0xff10 + u32::from(digit - b'0')).unwrap())
        .collect();
    let used = json!({ "code": code });
    assert!(valid(totp.write("code/k", used).await.unwrap()));
    for other in [
        format!(" {code}"),
        format!("{code} "),
        format!("{code}\n"),
        format!("{} {}", &code[..3], &code[3..]),
        format!("+{}", &code[1..]),
        format!("0{code}"),
        wide,
        String::new(),
    ] {
        let result = totp.write("code/k", json!({ "code": other })).await;
        assert!(is_invalid(&result), "{other:?}");
        assert!(code.is_empty() || !error(result).contains(&code));
    }
}

#[tokio::test]
async fn skew_says_how_late_a_code_may_come() {
    for (skew, accepted) in [(0, [false, true, false]), (1, [true, true, true])] {
        for (at, accepted) in [-30, 0, 30].into_iter().zip(accepted) {
            let mut totp = with(json!({"key": SECRET, "skew": skew})).await;
            let body = json!({ "code": code(&totp).await });
            totp.pass(at);
            assert_eq!(valid(totp.write("code/k", body).await.unwrap()), accepted);
        }
    }
}

#[tokio::test]
async fn of_many_who_present_a_code_at_once_one_is_let_in() {
    let totp = with(json!({ "key": SECRET })).await;
    let body = json!({ "code": code(&totp).await });
    let all = (0..8).map(|_| totp.write("code/k", body.clone()));
    let answers = futures_util::future::join_all(all).await;
    let let_in = answers.into_iter().filter_map(Result::ok).filter(|_| true);
    assert_eq!(let_in.count(), 1);
}

#[tokio::test]
async fn a_generated_key_is_shown_once_and_only_if_exported() {
    let totp = Fixture::new(Kind::Totp).await;
    let body = json!({"generate": true, "issuer": "My Co", "account_name": "a@b.c"});
    let url = data(totp.write("keys/k", body.clone()).await.unwrap())["url"].clone();
    let url = url.as_str().unwrap();
    assert!(url.starts_with(
        "otpauth://totp/My%20Co:a%40b.c?algorithm=SHA1&digits=6&issuer=My%20Co&period=30&secret="
    ));
    assert_eq!(
        totp.get("keys/k").await,
        json!({"issuer": "My Co", "account_name": "a@b.c", "period": 30, "algorithm": "SHA1", "digits": 6})
    );
    // The URL makes the same key elsewhere.
    totp.set("keys/other", json!({ "url": url })).await;
    assert_eq!(totp.get("code/k").await, totp.get("code/other").await);
    assert_eq!(totp.get("keys/k").await, totp.get("keys/other").await);
    let mut body = body;
    body["exported"] = json!(false);
    totp.set("keys/hidden", body).await;
    assert_eq!(totp.list("keys").await, json!(["hidden", "k", "other"]));
    assert!(is_empty(&totp.delete("keys/k").await.unwrap()));
    assert!(is_missing(&totp.read("keys/k").await));
    assert!(is_invalid(&totp.read("code/k").await));
}

#[tokio::test]
async fn unfit_keys_are_refused() {
    let totp = Fixture::new(Kind::Totp).await;
    for body in [
        json!({}),
        json!({"key": "0189"}),
        json!({"key": "MZ XQ"}),
        json!({"key": SECRET, "digits": 7}),
        json!({"key": SECRET, "period": 0}),
        json!({"key": SECRET, "skew": 2}),
        json!({"key": SECRET, "algorithm": "MD5"}),
        json!({"generate": true}),
        json!({"generate": true, "issuer": "i"}),
        json!({"generate": true, "issuer": "i", "account_name": "a", "key": SECRET}),
        json!({"generate": true, "issuer": "i", "account_name": "a", "key_size": 9}),
        json!({"url": "https://totp/x"}),
        json!({"url": "otpauth://totp/x"}),
        json!({"url": "otpauth://totp/%zz?secret=MY"}),
    ] {
        assert!(
            is_invalid(&totp.write("keys/k", body.clone()).await),
            "{body}"
        );
    }
    assert!(is_invalid(
        &totp.write("keys/-k", json!({ "key": SECRET })).await
    ));
    assert!(totp.is_bare().await);
}
