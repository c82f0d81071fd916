//! The protocol of `echo`, in the world `single` and by nothing but generated bindings, as somebody without an SDK would write it.

mod bindings {
    #![expect(unsafe_code, reason = "generated")]

    use super::Echo;

    wit_bindgen::generate!({ path: "../../../wit", world: "single" });

    export!(Echo);
}

use bindings::{
    exports::longshore::messaging::handler::Guest,
    longshore::messaging::types::{Destination, Failure, Message, Outgoing},
};

struct Echo;

impl Guest for Echo {
    fn handle(message: Message) -> Result<Vec<Outgoing>, Failure> {
        let asked_to = || "asked to".to_owned();
        let payload = message.payload.clone().unwrap_or_default();
        match payload.as_slice() {
            b"fail" => return Err(Failure::Retry(asked_to())),
            b"reject" => return Err(Failure::Reject(asked_to())),
            b"discard" => return Err(Failure::Discard(asked_to())),
            b"snooze" => return Err(Failure::Snooze(50)),
            b"panic" => panic!("asked to"),
            b"reply" => return Ok(vec![outgoing(Destination::Reply, message)]),
            _ => {}
        }
        if let Some(first_good) = fail_until(&payload)
            && message.attempt < first_good
        {
            return Err(Failure::Retry(format!("attempt {} of {first_good}", message.attempt)));
        }
        let to = message.headers.iter().find(|(name, _)| name == "to");
        let to = to.map_or(Destination::Output, |(_, topic)| Destination::Topic(String::from_utf8_lossy(topic).into_owned()));
        Ok(vec![outgoing(to, message)])
    }
}

/// The first attempt that is to succeed, of a payload like `fail-until:3`.
fn fail_until(payload: &[u8]) -> Option<u32> {
    std::str::from_utf8(payload.strip_prefix(b"fail-until:")?).ok()?.trim().parse().ok()
}

fn outgoing(to: Destination, message: Message) -> Outgoing {
    Outgoing { to, key: message.key, payload: message.payload, headers: Vec::new(), delay: None }
}
