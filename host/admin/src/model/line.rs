//! One message as a line of JSON: what `consume` writes and `publish --from` reads, and the form of messages in the HTTP API.
//!
//! `{"topic","id","key","payload","headers","timestamp"}`. Bytes are text where they are UTF-8, else `{"base64": "…"}`; a payload of `null`
//! is a tombstone. Headers are an object, or, where a name comes more than once, a list of `[name, value]`; both are read.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use longshore_core::Message;

/// A message.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// Its topic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// Its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Data>,
    /// Its payload; must be written, `null` for a tombstone.
    #[serde(deserialize_with = "Option::deserialize")]
    pub payload: Option<Data>,
    /// Its headers, in order.
    #[serde(default, skip_serializing_if = "HeaderList::is_empty")]
    pub headers: HeaderList,
    /// When it was produced, milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<u64>,
}

impl Line {
    /// The line of `message`.
    pub fn of<'h, H: IntoIterator<Item = (&'h str, &'h [u8])>>(message: Message<'_, H>) -> Self {
        Line {
            topic: Some(message.topic.into()),
            id: Some(message.id).filter(|id| !id.is_empty()).map(Into::into),
            key: message.key.map(Data::from),
            payload: message.payload.map(Data::from),
            headers: HeaderList(message.headers.into_iter().map(|(n, v)| (n.into(), Data::from(v))).collect()),
            timestamp: Some(message.timestamp),
        }
    }

    /// Reads one line.
    pub fn parse(line: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(line)
    }
}

/// Without a line break.
impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}

/// Bytes that are text where they can be.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Data(pub Vec<u8>);

impl From<&[u8]> for Data {
    fn from(bytes: &[u8]) -> Self {
        Data(bytes.into())
    }
}

impl From<&str> for Data {
    fn from(text: &str) -> Self {
        Data(text.into())
    }
}

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(&self.0))
    }
}

/// The text, or the base64 of what is none: for people.
impl fmt::Display for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match std::str::from_utf8(&self.0) {
            Ok(text) => f.write_str(text),
            Err(_) => write!(f, "base64:{}", STANDARD.encode(&self.0)),
        }
    }
}

impl Serialize for Data {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Ok(text) = std::str::from_utf8(&self.0) {
            return serializer.serialize_str(text);
        }
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry("base64", &STANDARD.encode(&self.0))?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for Data {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl<'de> Visitor<'de> for Bytes {
            type Value = Data;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text, or {\"base64\": \"…\"} (JSON goes in as text: \"{\\\"a\\\":1}\")")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Data, E> {
                Ok(Data(text.into()))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Data, A::Error> {
                let Some("base64") = map.next_key::<String>()?.as_deref() else {
                    return Err(A::Error::invalid_type(serde::de::Unexpected::Map, &self));
                };
                let bytes = STANDARD.decode(map.next_value::<String>()?).map_err(|e| A::Error::custom(format!("bad base64: {e}")))?;
                match map.next_key::<String>()? {
                    None => Ok(Data(bytes)),
                    Some(other) => Err(A::Error::custom(format!("{other:?} stands beside \"base64\""))),
                }
            }
        }
        deserializer.deserialize_any(Bytes)
    }
}

impl JsonSchema for Data {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Data".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Bytes: text where they are UTF-8, else base64.",
            "oneOf": [
                { "type": "string" },
                {
                    "type": "object",
                    "properties": { "base64": { "type": "string", "contentEncoding": "base64" } },
                    "required": ["base64"],
                    "additionalProperties": false
                }
            ]
        })
    }
}

/// Names and values, in order; names may repeat.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HeaderList(pub Vec<(String, Data)>);

impl HeaderList {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of the first of that name.
    pub fn get(&self, name: &str) -> Option<&Data> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, value)| value)
    }

    /// Names and values, borrowed as messages have them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> + Clone {
        self.0.iter().map(|(name, value)| (name.as_str(), value.0.as_slice()))
    }

    fn repeats(&self) -> bool {
        self.0.iter().enumerate().any(|(i, (name, _))| self.0[..i].iter().any(|(n, _)| n == name))
    }
}

impl Serialize for HeaderList {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.repeats() {
            let mut list = serializer.serialize_seq(Some(self.0.len()))?;
            self.0.iter().try_for_each(|pair| list.serialize_element(pair))?;
            return list.end();
        }
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        self.0.iter().try_for_each(|(name, value)| map.serialize_entry(name, value))?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for HeaderList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Headers;
        impl<'de> Visitor<'de> for Headers {
            type Value = HeaderList;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("headers: an object, or a list of [name, value]")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<HeaderList, A::Error> {
                let mut headers = Vec::new();
                while let Some(header) = map.next_entry()? {
                    headers.push(header);
                }
                Ok(HeaderList(headers))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<HeaderList, A::Error> {
                let mut headers = Vec::new();
                while let Some(header) = list.next_element()? {
                    headers.push(header);
                }
                Ok(HeaderList(headers))
            }
        }
        deserializer.deserialize_any(Headers)
    }
}

impl JsonSchema for HeaderList {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Headers".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let data = generator.subschema_for::<Data>();
        json_schema!({
            "description": "An object, or, where a name comes more than once, a list of [name, value].",
            "oneOf": [
                { "type": "object", "additionalProperties": data },
                { "type": "array", "items": { "type": "array", "prefixItems": [{ "type": "string" }, data], "minItems": 2, "maxItems": 2 } }
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn data() -> impl Strategy<Value = Data> {
        prop_oneof![proptest::collection::vec(any::<u8>(), 0..20).prop_map(Data), ".{0,20}".prop_map(|text| Data(text.into_bytes()))]
    }

    fn line() -> impl Strategy<Value = Line> {
        let headers = proptest::collection::vec(("[a-c]{0,2}", data()), 0..4).prop_map(HeaderList);
        let text = || proptest::option::of(".{0,20}");
        (text(), text(), proptest::option::of(data()), proptest::option::of(data()), headers, proptest::option::of(any::<u64>()))
            .prop_map(|(topic, id, key, payload, headers, timestamp)| Line { topic, id, key, payload, headers, timestamp })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(line in line()) {
            let written = line.to_string();
            prop_assert!(!written.contains('\n'));
            prop_assert_eq!(Line::parse(&written).expect("a line"), line);
        }
    }

    #[test]
    fn a_line_looks_like_this() {
        let headers = [("trace", &b"1"[..]), ("raw", &[0xff][..])];
        let message = Message {
            id: "orders/7",
            topic: "orders",
            key: Some(&b"k"[..]),
            payload: Some(&b"{\"n\":1}"[..]),
            headers,
            timestamp: 5,
            attempt: 1,
        };
        let expected = r#"{"topic":"orders","id":"orders/7","key":"k","payload":"{\"n\":1}","headers":{"trace":"1","raw":{"base64":"/w=="}},"timestamp":5}"#;
        assert_eq!(Line::of(message).to_string(), expected);
    }

    #[test]
    fn repeated_headers_keep_their_order_in_a_list() {
        let line = Line::parse(r#"{"payload":"","headers":[["a","1"],["b","2"],["a","3"]]}"#).unwrap();
        assert_eq!(line.to_string(), r#"{"payload":"","headers":[["a","1"],["b","2"],["a","3"]]}"#);
    }

    #[test]
    fn bad_lines_say_what_was_expected() {
        let check = |line: &str, expected: &str| {
            let error = Line::parse(line).expect_err(line).to_string();
            assert!(error.contains(expected), "{error}");
        };
        check(r#"{"key":"a"}"#, "missing field `payload`");
        check(r#"{"payload":{"a":1}}"#, "expected text, or {\"base64\"");
        check(r#"{"payload":{"base64":"*"}}"#, "bad base64");
        check(r#"{"payload":"","heders":{}}"#, "unknown field `heders`");
        check(r#"{"payload":7}"#, "expected text");
        check("{", "EOF");
    }
}
