//! Messages in NATS's form: what has a place in its headers stands there for every reader, the rest is encoded so that nothing changes.
//!
//! The client keeps headers by name, values in order, so the order of names is lost: [`ORDER`] keeps it. Names and values that NATS cannot
//! carry (control characters, bytes that are no text, white space around) go into [`PACKED`], and then the whole list does. Names that the
//! server itself acts upon (`Nats-Rollup`) never leave as such.

use std::borrow::Cow;
use std::str::FromStr;

use async_nats::header::{HeaderMap, HeaderName, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use longshore_core::row::Row;

/// The server's own: an id that it stores once within a window.
pub(super) const MESSAGE_ID: &str = "Nats-Msg-Id";
/// The id, where it is not that one.
pub(super) const ID: &str = "longshore-id";
/// The key, where it is text.
const KEY: &str = "longshore-key";
/// The key in base64.
const KEY_BASE64: &str = "longshore-key-base64";
/// When the message was produced, where its publisher said so; milliseconds since the Unix epoch.
pub(super) const TIMESTAMP: &str = "longshore-timestamp";
/// For each header in order, which name it has: a digit of [`DIGITS`] that counts the names alphabetically.
const ORDER: &str = "longshore-order";
/// All headers in base64: lengths of name and value as 32 bits, little-endian, and their bytes.
const PACKED: &str = "longshore-headers";

const DIGITS: &[u8; 62] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// Prefix of what a copy for a retry carries besides; [`super::jetstream`] reads it.
pub(super) const JOURNEY: &str = "longshore-retry-";

/// A message's parts that NATS keeps in headers.
#[derive(Default)]
pub(super) struct Decoded<'a> {
    pub(super) id: Option<&'a str>,
    pub(super) key: Option<Cow<'a, [u8]>>,
    pub(super) timestamp: Option<u64>,
    list: List<'a>,
}

/// Names and values.
type List<'a> = Vec<(Cow<'a, str>, Cow<'a, [u8]>)>;

impl Decoded<'_> {
    /// Its headers, in order.
    pub(super) fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> + Clone {
        self.list.iter().map(|(name, value)| (&**name, &**value))
    }
}

/// The headers of a message to publish, its id aside; `None` where it needs none.
pub(super) fn encode(row: Row<'_>) -> Option<HeaderMap> {
    let (key, timestamp, mut list) = (row.key(), row.timestamp(), row.headers().peekable());
    if key.is_none() && timestamp == 0 && list.peek().is_none() {
        return None;
    }
    let mut map = HeaderMap::new();
    match key.map(|key| (key, plain(key))) {
        Some((_, Some(text))) => map.insert(KEY, text),
        Some((key, None)) => map.insert(KEY_BASE64, BASE64.encode(key).as_str()),
        None => {}
    }
    if timestamp > 0 {
        map.insert(TIMESTAMP, HeaderValue::from(timestamp));
    }
    encode_list(row, &mut map);
    Some(map)
}

fn encode_list(row: Row<'_>, map: &mut HeaderMap) {
    let natural = row.headers().all(|(name, value)| is_free(name) && plain(value).is_some());
    let order = natural.then(|| order(row)).flatten();
    let Some(order) = order else {
        map.insert(PACKED, pack(row).as_str());
        return;
    };
    for (name, value) in row.headers() {
        if let (Ok(name), Some(value)) = (HeaderName::from_str(name), plain(value)) {
            map.append(name, value);
        }
    }
    if !order.is_empty() {
        map.insert(ORDER, order.as_str());
    }
}

/// The order of names, empty where it is alphabetical; `None` for more names than there are digits.
fn order(row: Row<'_>) -> Option<String> {
    let mut names: Vec<&str> = row.headers().map(|(name, _)| name).collect();
    if names.is_sorted() {
        return Some(String::new());
    }
    names.sort_unstable();
    names.dedup();
    row.headers().map(|(name, _)| Some(char::from(*DIGITS.get(names.binary_search(&name).ok()?)?))).collect()
}

fn pack(row: Row<'_>) -> String {
    let mut bytes = Vec::new();
    for (name, value) in row.headers() {
        for length in [name.len(), value.len()] {
            bytes.extend_from_slice(&u32::try_from(length).expect("rows keep lengths below 2 GiB").to_le_bytes());
        }
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(value);
    }
    BASE64.encode(bytes)
}

/// What the headers of a message say.
pub(super) fn decode(map: &HeaderMap) -> Decoded<'_> {
    let text = |name: &str| map.get(name).map(HeaderValue::as_str);
    let key_bytes = || BASE64.decode(text(KEY_BASE64)?).ok();
    Decoded {
        id: text(ID).or_else(|| text(MESSAGE_ID)).filter(|id| !id.is_empty()),
        key: text(KEY).map(|key| Cow::Borrowed(key.as_bytes())).or_else(|| Some(Cow::Owned(key_bytes()?))),
        timestamp: text(TIMESTAMP).and_then(|t| t.parse().ok()),
        list: text(PACKED).and_then(|packed| unpack(&BASE64.decode(packed).ok()?)).unwrap_or_else(|| decode_list(map)),
    }
}

/// A name with its values, in their order.
type Named<'a> = (&'a str, &'a [HeaderValue]);

fn decode_list(map: &HeaderMap) -> List<'_> {
    let mut names: Vec<Named<'_>> = map.iter().map(|(name, values)| (name.as_ref(), values.as_slice())).collect();
    names.retain(|(name, _)| is_free(name));
    names.sort_unstable_by_key(|(name, _)| *name);
    let ordered = map.get(ORDER).and_then(|order| by_order(&names, order.as_str()));
    let list = ordered.unwrap_or_else(|| names.iter().flat_map(|(name, values)| values.iter().map(move |v| (*name, v))).collect());
    list.into_iter().map(|(name, value)| (Cow::Borrowed(name), Cow::Borrowed(value.as_str().as_bytes()))).collect()
}

/// The values as [`order`] found them; `None` where it is about other headers.
fn by_order<'a>(names: &[Named<'a>], order: &str) -> Option<Vec<(&'a str, &'a HeaderValue)>> {
    let mut taken = vec![0; names.len()];
    let take = |digit: u8| {
        let at = DIGITS.iter().position(|d| *d == digit)?;
        let (name, values) = names.get(at)?;
        let value = values.get(taken[at])?;
        taken[at] += 1;
        Some((*name, value))
    };
    let list: Option<Vec<_>> = order.bytes().map(take).collect();
    list.filter(|list| list.len() == names.iter().map(|(_, values)| values.len()).sum::<usize>())
}

fn unpack(mut bytes: &[u8]) -> Option<List<'static>> {
    let mut list = Vec::new();
    while !bytes.is_empty() {
        let (name, value) = (read_length(&mut bytes)?, read_length(&mut bytes)?);
        let (name, rest) = bytes.split_at_checked(name)?;
        let (value, rest) = rest.split_at_checked(value)?;
        list.push((Cow::Owned(String::from_utf8(name.to_vec()).ok()?), Cow::Owned(value.to_vec())));
        bytes = rest;
    }
    Some(list)
}

fn read_length(bytes: &mut &[u8]) -> Option<usize> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    *bytes = rest;
    usize::try_from(u32::from_le_bytes(*length)).ok()
}

/// Whether a header of that name may stand for itself: it is a name to NATS, and neither the server's nor ours.
fn is_free(name: &str) -> bool {
    let servers = name.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("nats-"));
    let ours = [ID, KEY, KEY_BASE64, TIMESTAMP, ORDER, PACKED].contains(&name) || name.starts_with(JOURNEY);
    !servers && !ours && HeaderName::from_str(name).is_ok()
}

/// Whether NATS can carry the text in a header as it is.
pub(super) fn is_plain(text: &str) -> bool {
    plain(text.as_bytes()).is_some()
}

/// A value as NATS carries it, or `None` where it would not arrive as it is.
fn plain(value: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(value).ok()?;
    (text.trim() == text && !text.contains(char::is_control)).then_some(text)
}

#[cfg(test)]
mod tests {
    use longshore_core::Message;
    use longshore_core::row;
    use proptest::prelude::*;

    use super::*;

    fn packed_row(key: Option<&[u8]>, headers: &[(&str, &[u8])], timestamp: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        let headers = headers.iter().copied();
        row::append(&mut bytes, &Message { id: "", topic: "t", key, payload: Some(b"p"), headers, timestamp, attempt: 1 });
        bytes
    }

    /// What arrives: the client writes and reads lines.
    fn on_the_wire(map: &HeaderMap) -> HeaderMap {
        let mut read = HeaderMap::new();
        for (name, values) in map.iter() {
            let name: &str = name.as_ref();
            values.iter().for_each(|v| read.append(name, v.as_str().trim()));
        }
        read
    }

    fn check(key: Option<&[u8]>, headers: &[(&str, &[u8])], timestamp: u64) {
        let bytes = packed_row(key, headers, timestamp);
        let map = on_the_wire(&encode(Row::at(&bytes, 0).expect("a row")).unwrap_or_default());
        let decoded = decode(&map);
        assert_eq!(decoded.key.as_deref(), key);
        assert_eq!(decoded.timestamp.unwrap_or(0), timestamp);
        assert_eq!(decoded.headers().collect::<Vec<_>>(), headers);
    }

    #[test]
    fn what_nats_can_carry_stands_for_itself() {
        let bytes = packed_row(Some(b"k"), &[("b", b"1"), ("a", b"2"), ("b", b"3")], 0);
        let map = encode(Row::at(&bytes, 0).expect("a row")).expect("some");
        assert_eq!(map.get_all("b").map(HeaderValue::as_str).collect::<Vec<_>>(), ["1", "3"]);
        assert_eq!((map.get(KEY).map(HeaderValue::as_str), map.get(PACKED)), (Some("k"), None));
        assert_eq!(map.get(ORDER).map(HeaderValue::as_str), Some("101"));
    }

    #[test]
    fn what_the_server_acts_upon_never_leaves_as_such() {
        let bytes = packed_row(None, &[("Nats-Rollup", b"all"), ("nats-ttl", b"1s"), ("longshore-key", b"forged")], 0);
        let map = encode(Row::at(&bytes, 0).expect("a row")).expect("some");
        assert_eq!(map.len(), 1, "{map:?}");
        check(None, &[("Nats-Rollup", b"all"), ("nats-ttl", b"1s"), ("longshore-key", b"forged")], 0);
    }

    proptest! {
        #[test]
        fn messages_arrive_byte_for_byte(
            key in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..5)),
            headers in proptest::collection::vec(("[a-cA-Z: ]{0,3}", prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..4),
                "[ a-z]{0,4}".prop_map(String::into_bytes),
            ]), 0..6),
            timestamp in 0u64..3,
        ) {
            let headers: Vec<(&str, &[u8])> = headers.iter().map(|(n, v)| (n.as_str(), v.as_slice())).collect();
            check(key.as_deref(), &headers, timestamp);
        }

        #[test]
        fn foreign_headers_never_panic(order in ".{0,6}", packed in ".{0,12}") {
            let mut map = HeaderMap::new();
            map.insert("a", "1");
            map.insert(ORDER, order.replace(char::is_control, "").as_str());
            map.insert(PACKED, packed.replace(char::is_control, "").as_str());
            prop_assert!(decode(&map).headers().count() <= 1);
        }
    }
}
