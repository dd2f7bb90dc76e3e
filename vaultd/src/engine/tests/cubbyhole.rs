use std::sync::Arc;

use serde_json::json;

use super::{Fixture, caller, error, is_missing};
use crate::core::caller::Caller;
use crate::core::mount::Kind;
use crate::core::request::Verb;
use crate::core::token::Token;
use crate::engine::cubbyhole::purge;

#[tokio::test]
async fn a_cubbyhole_is_its_tokens_own() {
    let mut hole = Fixture::new(Kind::Cubbyhole).await;
    assert!(is_missing(&hole.call(Verb::List, "", "").await));
    assert_eq!(
        error(hole.write("a", json!({})).await),
        "missing data fields"
    );
    hole.set("top", json!({"x": 1})).await;
    assert!(hole.exists("top").await);
    assert_eq!(hole.get("top").await, json!({"x": 1}));

    hole.caller = caller("other", hole.now);
    for path in ["top", "tok/top"] {
        assert!(is_missing(&hole.read(path).await));
    }
    assert!(!hole.exists("top").await);
    assert!(is_missing(&hole.call(Verb::List, "", "").await));
    hole.delete("top").await.unwrap();
    hole.caller = caller("tok", hole.now);
    assert!(hole.exists("top").await);
}

#[tokio::test]
async fn batch_tokens_have_none() {
    let mut hole = Fixture::new(Kind::Cubbyhole).await;
    let mut token = Token::new(hole.now);
    token.batch = true;
    hole.caller = Caller {
        token: Arc::new(token),
        ..caller("batch", hole.now)
    };
    let refused = "cubbyhole operations are only supported by service tokens";
    assert_eq!(error(hole.read("a").await), refused);
    assert_eq!(error(hole.write("a", json!({"x": 1})).await), refused);
}

#[tokio::test]
async fn paths_are_as_deep_as_can_be_removed() {
    let hole = Fixture::new(Kind::Cubbyhole).await;
    hole.set(&super::deep(32), json!({"x": 1})).await;
    assert!(error(hole.write(&super::deep(33), json!({"x": 1})).await).contains("at most 32"));
    hole.until_done(async |view| purge(view, "tok").await).await;
    assert!(hole.is_bare().await);
}

#[tokio::test]
async fn a_purge_takes_all_of_one_token_and_nothing_else() {
    let mut hole = Fixture::new(Kind::Cubbyhole).await;
    for number in 0..90 {
        let path = format!("d{}/e/k{number}", number % 7);
        hole.set(&path, json!({"x": 1})).await;
    }
    hole.set("top", json!({"x": 1})).await;
    assert_eq!(hole.list("").await.as_array().unwrap().len(), 8);
    hole.caller = caller("other", hole.now);
    hole.set("mine", json!({"x": 2})).await;

    hole.until_done(async |view| purge(view, "tok").await).await;
    assert_eq!(hole.stored().await, 1);
    assert_eq!(hole.get("mine").await, json!({"x": 2}));
    hole.until_done(async |view| purge(view, "other").await)
        .await;
    assert!(hole.is_bare().await);
}
