//! The two records of a request: one before its effect, one before its answer leaves.
//!
//! Promises: every field says by its type whether it is written as it is; a field that is
//! added here and not written does not compile.

use std::net::IpAddr;

use jiff::Timestamp;
use vault_crypto::Prf;

use super::line::Line;
use super::value::{Data, Hmac, HmacMap, Part, Public, Record};

/// Who asks for what.
pub struct Asked<'a> {
    pub auth: Option<AuthEntry<'a>>,
    pub request: RequestPart<'a>,
}

/// [`Asked`] as it is written, once for both records: two fields, of which the second is still open for
/// the request's data. Only made here, so it is never anything else.
pub struct AskedText(Line);

/// Written before anything happens, also for what is then denied.
pub struct RequestEntry<'a> {
    pub time: Public<Timestamp>,
    pub asked: &'a AskedText,
    pub data: Option<Data<'a>>,
    /// Why the request goes no further. A fixed text, not the caller's.
    pub error: Option<Public<&'a str>>,
}

/// Written before the answer leaves.
pub struct ResponseEntry<'a> {
    pub time: Public<Timestamp>,
    pub asked: &'a AskedText,
    pub response: ResponsePart<'a>,
    pub error: Option<Public<&'a str>>,
}

pub struct RequestPart<'a> {
    pub id: Public<&'a str>,
    /// create, read, update, delete, list, patch, login …
    pub operation: Public<&'a str>,
    /// Without `/v1/`.
    pub path: Public<&'a str>,
    pub mount_type: Option<Public<&'a str>>,
    pub mount_accessor: Option<Public<&'a str>>,
    /// `secret`, `auth` or `system`.
    pub mount_class: Option<Public<&'a str>>,
    pub namespace: Option<Public<&'a str>>,
    pub remote_address: Option<Public<IpAddr>>,
    pub client_token: Option<Hmac<'a>>,
    pub client_token_accessor: Option<Hmac<'a>>,
    /// Seconds.
    pub wrap_ttl: Option<Public<u64>>,
}

pub struct ResponsePart<'a> {
    /// HTTP.
    pub status: Public<u16>,
    /// A token that the answer hands out.
    pub auth: Option<AuthEntry<'a>>,
    pub lease_id: Option<Public<&'a str>>,
    pub wrap_info: Option<WrapEntry<'a>>,
    /// How many; their text could repeat input.
    pub warnings: Public<u64>,
    pub data: Option<Data<'a>>,
}

/// Who asks, or who was let in.
#[derive(Clone, Copy)]
pub struct AuthEntry<'a> {
    pub client_token: Option<Hmac<'a>>,
    pub accessor: Option<Hmac<'a>>,
    pub display_name: Public<&'a str>,
    pub policies: Public<&'a [String]>,
    pub token_type: Public<&'a str>,
    pub entity_id: Option<Public<&'a str>>,
    pub metadata: Option<HmacMap<'a>>,
    pub remaining_uses: Option<Public<u64>>,
    /// Seconds.
    pub ttl: Option<Public<u64>>,
}

/// A wrapping token that the answer hands out.
#[derive(Clone, Copy)]
pub struct WrapEntry<'a> {
    pub token: Hmac<'a>,
    pub accessor: Hmac<'a>,
    /// Seconds.
    pub ttl: Public<u64>,
    pub creation_time: Public<Timestamp>,
    pub creation_path: Public<&'a str>,
    pub wrapped_accessor: Option<Hmac<'a>>,
}

impl Asked<'_> {
    /// While sealed there is no key: `Hmac` fields are null.
    pub fn encode(&self, hmac: Option<&Prf>) -> AskedText {
        let Asked { auth, request } = self;
        let mut record = Record::new(hmac);
        record.field("auth", auth);
        record.field("request", request);
        AskedText(record.finish_open())
    }
}

/// One JSON object, one line, without a newline. While sealed there is no key: `Hmac` fields
/// are null.
pub fn encode_request(entry: &RequestEntry<'_>, hmac: Option<&Prf>) -> Line {
    let RequestEntry {
        time,
        asked,
        data,
        error,
    } = entry;
    encode("request", hmac, |record| {
        record.field("time", time);
        record.open(&asked.0);
        record.field("data", data);
        record.close();
        record.field("error", error);
    })
}

/// As [`encode_request`]; the request's data is in that record only.
pub fn encode_response(entry: &ResponseEntry<'_>, hmac: Option<&Prf>) -> Line {
    let ResponseEntry {
        time,
        asked,
        response,
        error,
    } = entry;
    encode("response", hmac, |record| {
        record.field("time", time);
        record.open(&asked.0);
        record.close();
        record.field("response", response);
        record.field("error", error);
    })
}

/// `type` comes first: the verifier tells entries and marks apart by it.
fn encode<'p>(
    kind: &'static str,
    hmac: Option<&'p Prf>,
    fields: impl FnOnce(&mut Record<'p>),
) -> Line {
    let mut record = Record::new(hmac);
    record.object(|record| {
        record.field("type", &Public(kind));
        fields(record);
    });
    record.finish()
}

impl Part for RequestPart<'_> {
    fn fields(&self, record: &mut Record<'_>) {
        let RequestPart {
            id,
            operation,
            path,
            mount_type,
            mount_accessor,
            mount_class,
            namespace,
            remote_address,
            client_token,
            client_token_accessor,
            wrap_ttl,
        } = self;
        record.field("id", id);
        record.field("operation", operation);
        record.field("path", path);
        record.field("mount_type", mount_type);
        record.field("mount_accessor", mount_accessor);
        record.field("mount_class", mount_class);
        record.field("namespace", namespace);
        record.field("remote_address", remote_address);
        record.field("client_token", client_token);
        record.field("client_token_accessor", client_token_accessor);
        record.field("wrap_ttl", wrap_ttl);
    }
}

impl Part for ResponsePart<'_> {
    fn fields(&self, record: &mut Record<'_>) {
        let ResponsePart {
            status,
            auth,
            lease_id,
            wrap_info,
            warnings,
            data,
        } = self;
        record.field("status", status);
        record.field("auth", auth);
        record.field("lease_id", lease_id);
        record.field("wrap_info", wrap_info);
        record.field("warnings", warnings);
        record.field("data", data);
    }
}

impl Part for AuthEntry<'_> {
    fn fields(&self, record: &mut Record<'_>) {
        let AuthEntry {
            client_token,
            accessor,
            display_name,
            policies,
            token_type,
            entity_id,
            metadata,
            remaining_uses,
            ttl,
        } = self;
        record.field("client_token", client_token);
        record.field("accessor", accessor);
        record.field("display_name", display_name);
        record.field("policies", policies);
        record.field("token_type", token_type);
        record.field("entity_id", entity_id);
        record.field("metadata", metadata);
        record.field("remaining_uses", remaining_uses);
        record.field("token_ttl", ttl);
    }
}

impl Part for WrapEntry<'_> {
    fn fields(&self, record: &mut Record<'_>) {
        let WrapEntry {
            token,
            accessor,
            ttl,
            creation_time,
            creation_path,
            wrapped_accessor,
        } = self;
        record.field("token", token);
        record.field("accessor", accessor);
        record.field("ttl", ttl);
        record.field("creation_time", creation_time);
        record.field("creation_path", creation_path);
        record.field("wrapped_accessor", wrapped_accessor);
    }
}

/// The id of a request's record; `None` for any other line.
pub(super) fn request_id(line: &[u8]) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Line {
        request: Request,
    }
    #[derive(serde::Deserialize)]
    struct Request {
        id: String,
    }
    if !line.starts_with(b"{\"type\":\"request\",") {
        return None;
    }
    serde_json::from_slice::<Line>(line)
        .ok()
        .map(|line| line.request.id)
}

#[cfg(test)]
#[expect(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeMap;
    use std::net::Ipv4Addr;

    use serde_json::Value;
    use vault_crypto::Key;

    use super::*;

    const SECRET: &[u8] = b"CANARY";

    fn part(path: &str) -> RequestPart<'_> {
        RequestPart {
            id: Public("id-1"),
            operation: Public("update"),
            path: Public(path),
            mount_type: Some(Public("kv")),
            mount_accessor: None,
            mount_class: Some(Public("secret")),
            namespace: None,
            remote_address: Some(Public(Ipv4Addr::LOCALHOST.into())),
            client_token: Some(Hmac::Of(SECRET)),
            client_token_accessor: Some(Hmac::Of(SECRET)),
            wrap_ttl: None,
        }
    }

    fn auth<'a>(policies: &'a [String], metadata: &'a BTreeMap<String, String>) -> AuthEntry<'a> {
        AuthEntry {
            client_token: Some(Hmac::Of(SECRET)),
            accessor: Some(Hmac::Of(SECRET)),
            display_name: Public("alice"),
            policies: Public(policies),
            token_type: Public("service"),
            entity_id: None,
            metadata: Some(HmacMap(metadata)),
            remaining_uses: Some(Public(3)),
            ttl: Some(Public(60)),
        }
    }

    #[test]
    fn a_record_shows_no_secret_and_stays_one_line() {
        let key = Prf::new(&Key::from_slice(&[7; 32]).unwrap());
        let policies = ["default".to_owned(), "team\"a".to_owned()];
        let metadata = BTreeMap::from([("role".to_owned(), "CANARY".to_owned())]);
        let auth = auth(&policies, &metadata);
        let wrap = WrapEntry {
            token: Hmac::Of(SECRET),
            accessor: Hmac::Of(SECRET),
            ttl: Public(60),
            creation_time: Public(Timestamp::UNIX_EPOCH),
            creation_path: Public("sys/wrapping/wrap"),
            wrapped_accessor: Some(Hmac::Of(SECRET)),
        };
        let time = Public(Timestamp::UNIX_EPOCH);
        let path = "secret/data/a\n{\"type\":\"response\"\x1b[2J";
        for hmac in [Some(&key), None] {
            let asked = Asked {
                auth: Some(auth),
                request: part(path),
            };
            let asked = &asked.encode(hmac);
            let request = RequestEntry {
                time,
                asked,
                data: Some(Data::Raw(r#"{"password":"CANARY"}"#)),
                error: None,
            };
            let response = ResponseEntry {
                time,
                asked,
                response: ResponsePart {
                    status: Public(200),
                    auth: Some(auth),
                    lease_id: None,
                    wrap_info: Some(wrap),
                    warnings: Public(1),
                    data: Some(Data::Bytes(SECRET)),
                },
                error: Some(Public("permission denied")),
            };
            for line in [
                encode_request(&request, hmac),
                encode_response(&response, hmac),
            ] {
                let text = String::from_utf8(line.to_vec()).unwrap();
                assert!(
                    !text.contains("CANARY") && !text.contains(char::is_control),
                    "{text}"
                );
                let value: Value = serde_json::from_str(&text).unwrap();
                assert_eq!(value["request"]["path"], path);
                assert_eq!(value["request"]["client_token"].is_null(), hmac.is_none());
                assert_eq!(value["auth"]["policies"][1], "team\"a");
            }
            assert_eq!(
                request_id(&encode_request(&request, hmac)).as_deref(),
                Some("id-1")
            );
            assert_eq!(request_id(&encode_response(&response, hmac)), None);
            let value = |line: Line| serde_json::from_slice::<Value>(&line).unwrap();
            let (first, last) = (
                value(encode_request(&request, hmac)),
                value(encode_response(&response, hmac)),
            );
            assert!(first["request"]["data"].is_object());
            assert!(last["request"].get("data").is_none());
            assert_eq!(first["auth"], last["auth"]);
        }
    }
}
