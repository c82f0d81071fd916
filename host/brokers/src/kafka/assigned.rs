//! What members of a group say of themselves and are told, in the form of Kafka's own consumers.
//! <https://kafka.apache.org/protocol#The_Messages_JoinGroup>, <https://kafka.apache.org/protocol#The_Messages_SyncGroup>
#![expect(unsafe_code, reason = "one C function of librdkafka that its Rust side does not have: a text that is copied and freed at once")]

use std::ffi::CStr;

use rdkafka::ClientContext;
use rdkafka::bindings::{rd_kafka_mem_free, rd_kafka_memberid};
use rdkafka::client::Client;

/// The name that the brokers gave a consumer when it joined.
pub(super) fn member_id<C: ClientContext>(client: &Client<C>) -> Option<String> {
    // SAFETY: the client outlives the call; what it answers is null or a text of ours, which is freed by the function for that.
    unsafe {
        let text = rd_kafka_memberid(client.native_ptr());
        if text.is_null() {
            return None;
        }
        let id = CStr::from_ptr(text).to_string_lossy().into_owned();
        rd_kafka_mem_free(client.native_ptr(), text.cast());
        Some(id)
    }
}

/// The topics in a member's subscription; `None` where it tells none, as it does while the group rebalances.
pub(super) fn topics(bytes: &[u8]) -> Option<Vec<String>> {
    let mut reader = Reader(bytes);
    let _version = reader.take(2)?;
    (0..reader.count()?).map(|_| reader.text()).collect()
}

/// The partitions in a member's assignment, by topic; `None` where it is of another form.
pub(super) fn partitions(bytes: &[u8]) -> Option<Vec<(String, Vec<i32>)>> {
    // Who was given nothing yet says nothing.
    if bytes.is_empty() {
        return Some(Vec::new());
    }
    let mut reader = Reader(bytes);
    let _version = reader.take(2)?;
    let topics = reader.count()?;
    (0..topics).map(|_| Some((reader.text()?, (0..reader.count()?).map(|_| reader.number()).collect::<Option<_>>()?))).collect()
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<i32> {
        Some(i32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    fn count(&mut self) -> Option<i32> {
        self.number().filter(|count| *count >= 0)
    }

    fn text(&mut self) -> Option<String> {
        let length = u16::from_be_bytes(self.take(2)?.try_into().ok()?);
        String::from_utf8(self.take(usize::from(length))?.to_vec()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_member_subscribes_to_is_read() {
        let bytes = b"\0\x03\0\0\0\x02\0\x01a\0\x02bc\xff\xff\xff\xff";
        assert_eq!(topics(bytes), Some(vec!["a".into(), "bc".into()]));
        assert_eq!(topics(b""), None);
        assert_eq!(topics(b"\0\x01\0\0\0\x09\0\x01a"), None);
    }

    #[test]
    fn what_a_member_was_given_is_read() {
        let bytes = b"\0\x00\0\0\0\x01\0\x01a\0\0\0\x02\0\0\0\x05\0\0\0\x00\xff\xff\xff\xff";
        assert_eq!(partitions(bytes), Some(vec![("a".into(), vec![5, 0])]));
        assert_eq!(partitions(b""), Some(Vec::new()));
        assert_eq!(partitions(b"\0\x01\0\0\0\x09\0\x01a"), None);
    }
}
