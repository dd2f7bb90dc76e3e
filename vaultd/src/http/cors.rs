//! Requests of web pages (Fetch Standard, 3.2): those of unknown origins get nothing, and the pages
//! of known ones may read the answer. Requests without `Origin` are not touched.

use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use http_body_util::Full;
use serde_json::json;

use super::respond::Answer;
use crate::core::Core;

const METHODS: HeaderValue = HeaderValue::from_static("DELETE,GET,OPTIONS,POST,PUT,PATCH,LIST");
const MAX_AGE: HeaderValue = HeaderValue::from_static("300");

pub enum Verdict {
    /// No web page asks, or nothing was configured: go on as ever.
    Silent,
    /// Go on, and add these.
    Allowed(HeaderMap),
    Answered(Answer),
}

pub fn judge(core: &Core, method: &Method, headers: &HeaderMap) -> Verdict {
    let Some(origin) = headers.get(header::ORIGIN) else {
        return Verdict::Silent;
    };
    let Ok(vault) = core.gate.enter() else {
        return Verdict::Silent;
    };
    let cors = vault.cors.load();
    let Some(cors) = cors.as_ref() else {
        return Verdict::Silent;
    };
    if !origin.to_str().is_ok_and(|origin| cors.allows(origin)) {
        let body = json!({"errors": ["origin not allowed"]}).to_string();
        let mut answer = Response::new(Full::from(body));
        *answer.status_mut() = StatusCode::FORBIDDEN;
        return Verdict::Answered(answer);
    }
    let mut added = HeaderMap::new();
    added.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    added.insert(header::VARY, HeaderValue::from_static("Origin"));
    if *method != Method::OPTIONS {
        return Verdict::Allowed(added);
    }
    added.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    added.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    if let Ok(names) = HeaderValue::from_str(&cors.headers()) {
        added.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, names);
    }
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = StatusCode::NO_CONTENT;
    *answer.headers_mut() = added;
    Verdict::Answered(answer)
}
