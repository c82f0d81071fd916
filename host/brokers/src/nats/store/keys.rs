//! Keys as NATS can have them: letters, digits, `-`, `_`, `/` and single dots in between stand for themselves; any other byte of UTF-8 is `=`
//! and two hexadecimal digits, so that every key has one name and every name one key. Pure.

/// Longest name, bytes. A subject is on a line of the protocol, of which the server takes 4 KiB unless it is set up otherwise, and closes the
/// connection over a longer one; the rest is for names of the bucket and the address of the answer.
pub(super) const LONGEST: usize = 3400;
/// What names begin with that NATS keeps for itself (ADR-8).
const RESERVED: &str = "_kv";

/// The name of a key.
pub(super) fn encode(key: &str) -> String {
    let bytes = key.as_bytes();
    let mut name = String::with_capacity(key.len());
    for (i, byte) in bytes.iter().enumerate() {
        let stands = match byte {
            b'.' => i > 0 && i + 1 < bytes.len() && bytes[i - 1] != b'.',
            b'_' => i > 0 || !key.starts_with(RESERVED),
            byte => byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'/'),
        };
        if stands {
            name.push(char::from(*byte));
        } else {
            name.push_str(&format!("={byte:02X}"));
        }
    }
    name
}

/// The key of a name; `None` for a name that [`encode`] gives to no key, which somebody else made.
pub(super) fn decode(name: &str) -> Option<String> {
    let mut pieces = name.split('=');
    let mut bytes = pieces.next()?.as_bytes().to_vec();
    for piece in pieces {
        let (digits, rest) = piece.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).ok().filter(|key| encode(key) == name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_nats_takes_stands_for_itself() {
        for (key, name) in [
            ("user.1/name-x_Y", "user.1/name-x_Y"),
            ("a b", "a=20b"),
            ("a:1", "a=3A1"),
            ("=41", "=3D41"),
            ("ä", "=C3=A4"),
            (".", "=2E"),
            ("..", "=2E=2E"),
            ("a..b.", "a.=2Eb=2E"),
            ("_kv.x", "=5Fkv.x"),
            ("_k", "_k"),
            (">", "=3E"),
        ] {
            assert_eq!((encode(key).as_str(), decode(name).as_deref()), (name, Some(key)));
        }
        for foreign in ["=41", "a=2", "a=", "=3a", "=+1", "=FF", "a b", "=ä"] {
            assert_eq!(decode(foreign), None, "{foreign}");
        }
    }

    proptest! {
        #[test]
        fn every_key_has_a_name_of_its_own(key in "\\PC{0,20}|[._kv=]{1,8}") {
            let name = encode(&key);
            prop_assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_/=.".contains(&b)));
            prop_assert!(key.is_empty() || name.split('.').all(|token| !token.is_empty()));
            prop_assert_eq!(decode(&name), Some(key));
        }
    }
}
