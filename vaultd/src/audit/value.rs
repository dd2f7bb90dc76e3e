//! What may be written to an audit record, and in which form.
//!
//! Promises: a field is `Public` or `Hmac`; there is no third kind, and the encoder takes
//! nothing else. Of request and response data only the shape stays: map keys, nulls and
//! empty containers. Whatever is not JSON becomes one HMAC as a whole. Text is escaped so
//! that a record stays one line and cannot steer a terminal.
//! Does not promise to hide map keys, nor the length of lists.

mod leaves;
mod plain;

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde::Deserializer;
use serde::de::DeserializeSeed;
use serde_json::{Map, Value};
use vault_crypto::Prf;

use super::line::Line;
use leaves::Leaves;
use plain::Plain;

/// Written as it is. Not for anything that a caller could have put a secret into.
#[derive(Clone, Copy)]
pub struct Public<T>(pub T);

/// Written as `hmac-sha256:<hex>`, keyed by the cluster; null while sealed.
#[derive(Clone, Copy)]
pub enum Hmac<'a> {
    Of(&'a [u8]),
    /// Made before, for a value that is in many records.
    Known(&'a Hashed),
}

/// The HMAC of a value, as it is written. Only made here, so it is never anything else.
#[derive(Debug, Clone)]
pub struct Hashed(Vec<u8>);

impl Hashed {
    pub fn new(prf: &Prf, value: &[u8]) -> Hashed {
        let mut text = Vec::with_capacity(76);
        hmac_text(prf, value, &mut text);
        Hashed(text)
    }
}

/// A map of which only the keys are written as they are.
#[derive(Clone, Copy)]
pub struct HmacMap<'a>(pub &'a BTreeMap<String, String>);

/// A request's or an answer's data; every leaf is HMACed.
///
/// A string is hashed unescaped, a number or a bool over its JSON text.
#[derive(Clone, Copy)]
pub enum Data<'a> {
    /// JSON text; hashed as a whole if it is none.
    Raw(&'a str),
    /// JSON text that is answered again and again.
    Kept(&'a str, &'a Kept),
    Map(&'a Map<String, Value>),
    /// Not JSON.
    Bytes(&'a [u8]),
}

/// How one text is written, once that was found out: it is kept with the text, and goes with the key.
#[derive(Debug, Default)]
pub struct Kept(OnceLock<Box<[u8]>>);

/// More is made anew each time: what is kept is not counted by the cache that it hangs on.
const KEPT_MAX: usize = 2 << 10;

/// Hashing leaf by leaf multiplies the size of `[1,1,1,…]` by forty: larger data is hashed
/// as a whole.
const MAX_DATA: usize = 1 << 20;

/// Writes one record.
pub(super) struct Record<'p> {
    out: Vec<u8>,
    hmac: Option<&'p Prf>,
}

/// The forms above and groups of them. Only this file can write to a record, so nothing else
/// can become one.
pub(super) trait Field {
    fn write(&self, record: &mut Record<'_>);
    /// Absent fields are left out.
    fn absent(&self) -> bool {
        false
    }
}

/// A group of fields, written as an object.
pub(super) trait Part {
    fn fields(&self, record: &mut Record<'_>);
}

impl<'p> Record<'p> {
    pub(super) fn new(hmac: Option<&'p Prf>) -> Record<'p> {
        Record {
            out: Line::room(),
            hmac,
        }
    }

    /// An object whose fields the closure writes.
    pub(super) fn object(&mut self, fields: impl FnOnce(&mut Record<'p>)) {
        self.out.push(b'{');
        fields(self);
        self.out.push(b'}');
    }

    pub(super) fn field(&mut self, name: &'static str, value: &impl Field) {
        if !value.absent() {
            self.known_name(name);
            value.write(self);
        }
    }

    /// Fields that were encoded before, the last of them an object without its end.
    pub(super) fn open(&mut self, encoded: &[u8]) {
        self.comma();
        self.out.extend_from_slice(encoded);
    }

    /// The end of what [`open`](Self::open) left open.
    pub(super) fn close(&mut self) {
        self.out.push(b'}');
    }

    pub(super) fn finish(self) -> Line {
        Line::new(self.out)
    }

    /// Without the end of the last object, for [`open`](Self::open).
    pub(super) fn finish_open(mut self) -> Line {
        self.out.pop();
        self.finish()
    }

    /// A name of ours needs no escaping.
    fn known_name(&mut self, name: &'static str) {
        self.comma();
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    fn name(&mut self, name: &str) {
        self.comma();
        string(name, &mut self.out);
        self.out.push(b':');
    }

    fn comma(&mut self) {
        if !matches!(self.out.last(), None | Some(b'{' | b'[')) {
            self.out.push(b',');
        }
    }

    fn hmac(&mut self, value: &[u8]) {
        match self.hmac {
            Some(prf) => {
                self.out.push(b'"');
                hmac_text(prf, value, &mut self.out);
                self.out.push(b'"');
            }
            None => self.out.extend_from_slice(b"null"),
        }
    }

    /// Leaf by leaf if it can be, else as a whole.
    fn leaves<'de, D: Deserializer<'de>>(&mut self, json: D) -> Result<(), D::Error> {
        let limit = self.out.len() + MAX_DATA;
        Leaves {
            record: self,
            limit,
        }
        .deserialize(json)
    }

    fn json(&mut self, text: &str) {
        let start = self.out.len();
        let mut json = serde_json::Deserializer::from_str(text);
        if self.leaves(&mut json).and_then(|()| json.end()).is_err() {
            self.out.truncate(start);
            self.hmac(text.as_bytes());
        }
    }

    fn kept(&mut self, text: &str, kept: &Kept) {
        if let (Some(known), Some(_)) = (kept.0.get(), self.hmac) {
            return self.out.extend_from_slice(known);
        }
        let start = self.out.len();
        self.json(text);
        let written = &self.out[start..];
        if self.hmac.is_some() && written.len() <= KEPT_MAX {
            let _ = kept.0.set(written.into());
        }
    }

    fn map(&mut self, map: &Map<String, Value>) {
        let text = zeroize::Zeroizing::new(serde_json::to_string(map).unwrap_or_default());
        self.json(&text);
    }
}

/// `hmac-sha256:<64 hex>`.
pub(super) fn hmac_text(prf: &Prf, value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"hmac-sha256:");
    let at = out.len();
    out.resize(at + 64, 0);
    // The slice is 64 bytes long, so this cannot fail.
    let _ = hex::encode_to_slice(prf.tag_raw(value), &mut out[at..]);
}

/// A JSON string. Escapes what could break a line, or a terminal that shows it: C0, DEL, C1,
/// line separators and the characters that turn the direction of text.
pub(super) fn string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    // Nearly all text is of this kind.
    if text
        .bytes()
        .all(|b| matches!(b, b' '..=b'~') && b != b'"' && b != b'\\')
    {
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
        return;
    }
    let mut rest = text;
    while let Some(at) = rest.find(is_special) {
        let (plain, special) = rest.split_at(at);
        out.extend_from_slice(plain.as_bytes());
        let mut chars = special.chars();
        match chars.next() {
            Some(c @ ('"' | '\\')) => out.extend_from_slice(&[b'\\', c as u8]),
            Some(c) => out.extend_from_slice(format!("\\u{:04x}", c as u32).as_bytes()),
            None => {}
        }
        rest = chars.as_str();
    }
    out.extend_from_slice(rest.as_bytes());
    out.push(b'"');
}

fn is_special(c: char) -> bool {
    matches!(c,
        '"' | '\\' | '\0'..='\x1f' | '\x7f'..='\u{9f}' | '\u{61c}' | '\u{200e}' | '\u{200f}'
        | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

impl<T: Plain> Field for Public<T> {
    fn write(&self, record: &mut Record<'_>) {
        self.0.plain(&mut record.out);
    }
}

impl Field for Hmac<'_> {
    fn write(&self, record: &mut Record<'_>) {
        match self {
            Hmac::Of(value) => record.hmac(value),
            Hmac::Known(hashed) => {
                record.out.push(b'"');
                record.out.extend_from_slice(&hashed.0);
                record.out.push(b'"');
            }
        }
    }
}

impl Field for HmacMap<'_> {
    fn write(&self, record: &mut Record<'_>) {
        record.object(|record| {
            for (key, value) in self.0 {
                record.name(key);
                record.hmac(value.as_bytes());
            }
        });
    }
}

impl Field for Data<'_> {
    fn write(&self, record: &mut Record<'_>) {
        match self {
            Data::Raw(text) => record.json(text),
            Data::Kept(text, kept) => record.kept(text, kept),
            Data::Map(map) => record.map(map),
            Data::Bytes(bytes) => record.hmac(bytes),
        }
    }
}

impl<P: Part> Field for P {
    fn write(&self, record: &mut Record<'_>) {
        record.object(|record| self.fields(record));
    }
}

impl<F: Field> Field for Option<F> {
    fn write(&self, record: &mut Record<'_>) {
        if let Some(field) = self {
            field.write(record);
        }
    }
    fn absent(&self) -> bool {
        self.is_none()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;
    use vault_crypto::Key;

    use super::leaves::NUMBER;
    use super::*;

    const MARKER: &str = "CANARY";

    fn prf() -> Prf {
        Prf::new(&Key::from_slice(&[7; 32]).unwrap())
    }

    fn encoded(data: &Data<'_>) -> String {
        let prf = prf();
        let mut record = Record::new(Some(&prf));
        data.write(&mut record);
        String::from_utf8(record.finish().to_vec()).unwrap()
    }

    fn tag(value: &str) -> String {
        let mut text = Vec::new();
        hmac_text(&prf(), value.as_bytes(), &mut text);
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn every_leaf_is_hmaced_and_the_shape_stays() {
        let text = r#"{"a":"x\n\u00e9","b":[1,-2.5,true,null,{"c":"x"}],"d":{},"e":[]}"#;
        let expected = json!({
            "a": tag("x\né"),
            "b": [tag("1"), tag("-2.5"), tag("true"), null, {"c": tag("x")}],
            "d": {}, "e": []
        });
        let value: Value = serde_json::from_str(&encoded(&Data::Raw(text))).unwrap();
        assert_eq!(value, expected);
    }

    #[test]
    fn a_number_is_hashed_digit_for_digit_and_an_object_like_one_shows_nothing() {
        let text = "{\"a\":[1.10,18446744073709551616,-0,1e400]}";
        let tags = ["1.10", "18446744073709551616", "-0", "1e+400"].map(tag);
        let expected = json!({ "a": tags }).to_string();
        assert_eq!(encoded(&Data::Raw(text)), expected);
        for like in [
            json!({ NUMBER: MARKER }),
            json!({ NUMBER: { "b": MARKER } }),
            json!({ NUMBER: 1, "b": MARKER }),
            json!({ "a": 1, NUMBER: MARKER }),
        ] {
            let record = encoded(&Data::Raw(&like.to_string()));
            assert!(!record.contains(MARKER), "{record}");
            assert!(serde_json::from_str::<Value>(&record).is_ok(), "{record}");
        }
    }

    #[test]
    fn what_is_not_json_is_hmaced_as_a_whole() {
        let deep = "[".repeat(500) + &"]".repeat(500);
        let wide = format!("[{}1]", "1,".repeat(100_000));
        for text in [
            "",
            "{",
            "{\"a\":\"CANARY",
            "[1,2",
            "1 2",
            "CANARY",
            &deep,
            &wide,
        ] {
            assert_eq!(
                encoded(&Data::Raw(text)),
                format!("\"{}\"", tag(text)),
                "{text:.20}"
            );
        }
        assert_eq!(
            encoded(&Data::Bytes(b"CANARY")),
            format!("\"{}\"", tag(MARKER))
        );
    }

    #[test]
    fn while_sealed_values_are_null() {
        let mut record = Record::new(None);
        Data::Raw(r#"{"a":"CANARY","b":[1]}"#).write(&mut record);
        assert_eq!(&*record.finish(), br#"{"a":null,"b":[null]}"#);
        let mut record = Record::new(None);
        Data::Raw("CANARY").write(&mut record);
        assert_eq!(&*record.finish(), b"null");
    }

    #[test]
    fn what_is_kept_is_what_would_be_written_and_nothing_while_sealed() {
        let (text, kept) = (r#"{"a":"CANARY","b":[1]}"#, Kept::default());
        let mut sealed = Record::new(None);
        Data::Kept(text, &kept).write(&mut sealed);
        assert_eq!(&*sealed.finish(), br#"{"a":null,"b":[null]}"#);
        for _ in 0..2 {
            let written = encoded(&Data::Kept(text, &kept));
            assert_eq!(written, encoded(&Data::Raw(text)));
        }
        let mut sealed = Record::new(None);
        Data::Kept(text, &kept).write(&mut sealed);
        assert_eq!(&*sealed.finish(), br#"{"a":null,"b":[null]}"#);
        let (long, kept) = (format!("[1{}]", ",1".repeat(100)), Kept::default());
        assert_eq!(
            encoded(&Data::Kept(&long, &kept)),
            encoded(&Data::Raw(&long))
        );
        assert!(
            kept.0.get().is_none(),
            "a hundred hashes take too much room"
        );
    }

    #[test]
    fn text_cannot_break_the_line_or_steer_a_terminal() {
        for hostile in [
            "\x1b[2J",
            "a\n{\"type\":\"response\"",
            "\u{9b}1m",
            "\u{202e}",
            "\x7f",
            "\u{2028}",
        ] {
            let mut out = Vec::new();
            string(hostile, &mut out);
            let text = String::from_utf8(out).unwrap();
            assert!(
                !text.contains(|c: char| c.is_control() || ('\u{2028}'..='\u{202e}').contains(&c))
            );
            assert_eq!(serde_json::from_str::<String>(&text).unwrap(), hostile);
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<i32>().prop_map(|n| Value::from(f64::from(n) / 8.0)),
            "\\PC*".prop_map(Value::from),
            Just(Value::from(MARKER)),
        ];
        leaf.prop_recursive(5, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map("\\PC{0,5}", inner, 0..6)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    /// The slow way.
    fn naive(value: &Value) -> Value {
        match value {
            Value::Null => Value::Null,
            Value::String(text) => tag(text).into(),
            Value::Array(list) => list.iter().map(naive).collect(),
            Value::Object(map) => {
                Value::Object(map.iter().map(|(k, v)| (k.clone(), naive(v))).collect())
            }
            other => tag(&other.to_string()).into(),
        }
    }

    proptest! {
        #[test]
        fn raw_and_parsed_data_give_the_same_record(value in any_json()) {
            let text = value.to_string();
            let raw = encoded(&Data::Raw(&text));
            prop_assert!(!raw.contains(MARKER));
            prop_assert_eq!(serde_json::from_str::<Value>(&raw).unwrap(), naive(&value));
            if let Value::Object(map) = &value {
                prop_assert_eq!(encoded(&Data::Map(map)), raw);
            }
        }

        #[test]
        fn any_text_gives_valid_json_and_shows_no_marker(a in ".*", b in ".*") {
            let text = format!("{a}{MARKER}{b}");
            let out = encoded(&Data::Raw(&text));
            prop_assert!(serde_json::from_str::<Value>(&out).is_ok());
        }

        #[test]
        fn a_string_is_one_line_and_reads_back(text in any::<String>()) {
            let mut out = Vec::new();
            string(&text, &mut out);
            prop_assert!(!out.contains(&b'\n'));
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }
    }
}
