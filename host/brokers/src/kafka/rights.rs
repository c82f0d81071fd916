//! What our user may do, as the brokers tell it. The client's library asks for that and its Rust side does not: so here, and nowhere else, its
//! C functions are called.
#![expect(unsafe_code, reason = "C functions of librdkafka, each on what its own constructor gave and nobody else has freed")]

use std::collections::BTreeMap;
use std::ffi::{CString, c_char};
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::bindings::{
    rd_kafka_AclOperation_t, rd_kafka_AdminOptions_destroy, rd_kafka_AdminOptions_new,
    rd_kafka_AdminOptions_set_include_authorized_operations, rd_kafka_AdminOptions_t,
    rd_kafka_ConsumerGroupDescription_authorized_operations, rd_kafka_ConsumerGroupDescription_error, rd_kafka_DescribeConsumerGroups,
    rd_kafka_DescribeConsumerGroups_result_groups, rd_kafka_DescribeTopics, rd_kafka_DescribeTopics_result_topics,
    rd_kafka_TopicCollection_destroy, rd_kafka_TopicCollection_of_topic_names, rd_kafka_TopicDescription_authorized_operations,
    rd_kafka_TopicDescription_error, rd_kafka_TopicDescription_topic_id, rd_kafka_Uuid_least_significant_bits,
    rd_kafka_Uuid_most_significant_bits, rd_kafka_admin_op_t, rd_kafka_error_code, rd_kafka_error_destroy, rd_kafka_error_t,
    rd_kafka_event_DescribeConsumerGroups_result, rd_kafka_event_DescribeTopics_result, rd_kafka_event_destroy, rd_kafka_event_error,
    rd_kafka_event_t, rd_kafka_queue_destroy, rd_kafka_queue_new, rd_kafka_queue_poll, rd_kafka_queue_t, rd_kafka_t,
};
use rdkafka::client::Client;
use rdkafka::error::RDKafkaErrorCode as Code;

/// Something that may be done.
pub(super) type Right = rd_kafka_AclOperation_t;
pub(super) const READ: Right = Right::RD_KAFKA_ACL_OPERATION_READ;
pub(super) const WRITE: Right = Right::RD_KAFKA_ACL_OPERATION_WRITE;
pub(super) const DESCRIBE_CONFIGS: Right = Right::RD_KAFKA_ACL_OPERATION_DESCRIBE_CONFIGS;

/// All that may be done to something that is there.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Rights {
    /// These numbers of [`Right`].
    Only(Vec<u32>),
    /// The brokers do not tell.
    Untold,
}

impl Rights {
    pub(super) fn lack(&self, right: Right) -> bool {
        matches!(self, Rights::Only(all) if !all.contains(&(right as u32)))
    }
}

/// What brokers tell of a topic that is there.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) rights: Rights,
    /// What tells it from an earlier or later topic of that name; 0 where the brokers are too old to know.
    pub(super) id: u128,
}

/// What may be done to each of these topics, or why that is not told: it is not there, or may not be looked at. Blocks.
pub(super) fn of_topics<C: ClientContext>(
    client: &Client<C>,
    topics: &[String],
    patience: Duration,
) -> Result<BTreeMap<String, Result<Told, Code>>, Code> {
    let names = c_strings(topics)?;
    let mut pointers: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
    let send = |client, options, queue| {
        // SAFETY: the names live until the end of this function, and the call copies the collection of them.
        unsafe {
            let collection = rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len());
            rd_kafka_DescribeTopics(client, collection, options, queue);
            rd_kafka_TopicCollection_destroy(collection);
        }
    };
    let answer = ask(client, rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS, patience, send)?;
    let mut count = 0;
    // SAFETY: the event is of that kind, which its being without error says, and owns all that is read here. Topics come in the order asked for.
    let all = unsafe {
        let told = rd_kafka_DescribeTopics_result_topics(rd_kafka_event_DescribeTopics_result(answer.0), &raw mut count);
        list(told, count).into_iter().map(|topic| {
            if topic.is_null() {
                return Ok(Told { rights: Rights::Untold, id: 0 });
            }
            let mut count = 0;
            let rights = rd_kafka_TopicDescription_authorized_operations(topic, &raw mut count);
            let rights = told_of(rd_kafka_TopicDescription_error(topic), rights, count)?;
            let id = rd_kafka_TopicDescription_topic_id(topic);
            let half = |bits: i64| u128::from(bits.cast_unsigned());
            let halves = |id| (half(rd_kafka_Uuid_most_significant_bits(id)), half(rd_kafka_Uuid_least_significant_bits(id)));
            let (high, low) = if id.is_null() { (0, 0) } else { halves(id) };
            Ok(Told { rights, id: high << 64 | low })
        })
    };
    Ok(topics.iter().cloned().zip(all).collect())
}

/// The same of a group, which need not be there. Blocks.
pub(super) fn of_group<C: ClientContext>(client: &Client<C>, group: &str, patience: Duration) -> Result<Rights, Code> {
    let names = c_strings(&[group.to_owned()])?;
    let mut pointers: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
    let send = |client, options, queue| {
        // SAFETY: the names live until the end of this function, and the call copies them.
        unsafe { rd_kafka_DescribeConsumerGroups(client, pointers.as_mut_ptr(), pointers.len(), options, queue) }
    };
    let answer = ask(client, rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS, patience, send)?;
    let mut count = 0;
    // SAFETY: as above.
    unsafe {
        let told = rd_kafka_DescribeConsumerGroups_result_groups(rd_kafka_event_DescribeConsumerGroups_result(answer.0), &raw mut count);
        let Some(group) = list(told, count).pop().filter(|group| !group.is_null()) else { return Ok(Rights::Untold) };
        let mut count = 0;
        let rights = rd_kafka_ConsumerGroupDescription_authorized_operations(group, &raw mut count);
        told_of(rd_kafka_ConsumerGroupDescription_error(group), rights, count)
    }
}

/// An answer, freed with this.
struct Answer(*mut rd_kafka_event_t);

impl Drop for Answer {
    fn drop(&mut self) {
        // SAFETY: it came from a queue, and nobody else has it.
        unsafe { rd_kafka_event_destroy(self.0) }
    }
}

/// Sends a request and waits for its answer, on a queue of its own.
fn ask<C: ClientContext>(
    client: &Client<C>,
    kind: rd_kafka_admin_op_t,
    patience: Duration,
    send: impl FnOnce(*mut rd_kafka_t, *const rd_kafka_AdminOptions_t, *mut rd_kafka_queue_t),
) -> Result<Answer, Code> {
    let (native, millis) = (client.native_ptr(), i32::try_from(patience.as_millis()).unwrap_or(i32::MAX));
    // SAFETY: the client outlives this call; queue and options are made and freed here, and the request holds the queue by its own count.
    let answer = unsafe {
        let (queue, options) = (rd_kafka_queue_new(native), rd_kafka_AdminOptions_new(native, kind));
        let refused = rd_kafka_AdminOptions_set_include_authorized_operations(options, 1);
        if refused.is_null() {
            send(native, options, queue);
        }
        rd_kafka_AdminOptions_destroy(options);
        let answer = if refused.is_null() { rd_kafka_queue_poll(queue, millis) } else { std::ptr::null_mut() };
        rd_kafka_queue_destroy(queue);
        if !refused.is_null() {
            rd_kafka_error_destroy(refused);
            return Err(Code::UnsupportedFeature);
        }
        answer
    };
    if answer.is_null() {
        return Err(Code::OperationTimedOut);
    }
    let answer = Answer(answer);
    // SAFETY: it is not null.
    match Code::from(unsafe { rd_kafka_event_error(answer.0) }) {
        Code::NoError => Ok(answer),
        code => Err(code),
    }
}

/// The elements of a list that the answer owns.
///
/// # Safety
/// There are `count` of them, or the pointer is null.
unsafe fn list<T>(first: *mut *const T, count: usize) -> Vec<*const T> {
    if first.is_null() {
        return Vec::new();
    }
    // SAFETY: the caller's word.
    unsafe { std::slice::from_raw_parts(first, count) }.to_vec()
}

/// # Safety
/// The answer that owns both still lives, and there are `count` rights, or the pointer is null.
unsafe fn told_of(error: *const rd_kafka_error_t, rights: *const Right, count: usize) -> Result<Rights, Code> {
    // SAFETY: the caller's word; a null error is none.
    match Code::from(unsafe { rd_kafka_error_code(error) }) {
        Code::NoError if rights.is_null() => Ok(Rights::Untold),
        // SAFETY: the caller's word. They are read as numbers: a later library may know more of them.
        Code::NoError => Ok(Rights::Only(unsafe { std::slice::from_raw_parts(rights.cast::<u32>(), count) }.to_vec())),
        code => Err(code),
    }
}

fn c_strings(names: &[String]) -> Result<Vec<CString>, Code> {
    names.iter().map(|name| CString::new(name.as_str())).collect::<Result<_, _>>().map_err(|_| Code::InvalidArgument)
}
