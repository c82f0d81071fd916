//! What `#[handler]` and `#[job]` expand to: the functions that the host calls, around the user's.

use crate::{Failure, Message};

/// A handler, as the attribute makes it of a function.
pub trait Handler {
    /// Handles one message; what it published before is part of the answer if this is `Ok`.
    ///
    /// # Errors
    /// What the function failed with.
    fn handle(message: &Message<'_>) -> Result<(), Failure>;
}

/// A job, as the attribute makes it of a function.
pub trait Job {
    /// Runs to its end.
    ///
    /// # Errors
    /// The text of what the function failed with.
    fn run() -> Result<(), String>;
}

#[cfg(target_family = "wasm")]
mod component {
    use std::{
        panic::{self, PanicHookInfo},
        sync::Once,
    };

    use super::{Handler, Job};
    use crate::{
        Failure,
        batch::{self, Order},
        bindings::{
            batched::{
                exports::longshore::messaging::batch_handler::{self, Answer, Batch},
                longshore::messaging::types::{FailureResult, LaterResult},
            },
            job::exports::longshore::messaging::program,
        },
        error,
        time::millis,
    };

    impl<H: Handler> batch_handler::Guest for H {
        fn handle(batch: Batch) -> Answer {
            log_panics();
            let order = match batch.order {
                batch_handler::Order::None => Order::None,
                batch_handler::Order::Key => Order::Key,
                batch_handler::Order::Lane => Order::Lane,
            };
            let answer = batch::answer(order, batch.count, &batch.rows, H::handle);
            Answer {
                handled: answer.handled,
                failures: answer.failures.into_iter().map(|(index, failure)| (index, lower(failure))).collect(),
                outputs: answer.outputs,
            }
        }
    }

    impl<J: Job> program::Guest for J {
        fn run() -> Result<(), String> {
            log_panics();
            J::run()
        }
    }

    fn lower(failure: Failure) -> FailureResult {
        match failure {
            Failure::Retry(reason) => FailureResult::Retry(reason),
            Failure::RetryAfter(after, reason) => FailureResult::RetryAfter(LaterResult { after: millis(after), reason }),
            Failure::Reject(reason) => FailureResult::Reject(reason),
            Failure::Discard(reason) => FailureResult::Discard(reason),
            Failure::Snooze(after) => FailureResult::Snooze(millis(after)),
        }
    }

    /// A panic ends in a trap, of which the host sees no more than where it was: what it said goes to the log first, with the message
    /// that was being handled.
    fn log_panics() {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| panic::set_hook(Box::new(log_panic)));
    }

    fn log_panic(panic: &PanicHookInfo<'_>) {
        let said = panic.payload_as_str().unwrap_or("something that is no text");
        match panic.location() {
            Some(place) => error!(at = place, "panic: {said}"),
            None => error!("panic: {said}"),
        }
    }
}

/// Name and version of the crate that this expands in, on two lines, in a custom section that the host shows them from.
#[doc(hidden)]
#[macro_export]
macro_rules! __export_identity {
    () => {
        #[cfg(target_family = "wasm")]
        const _: () = {
            const IDENTITY: &str = ::core::concat!(::core::env!("CARGO_PKG_NAME"), "\n", ::core::env!("CARGO_PKG_VERSION"));

            #[used]
            #[unsafe(link_section = "longshore-crate")]
            static SECTION: [u8; IDENTITY.len()] = *IDENTITY.as_bytes().first_chunk().expect("as long as itself");
        };
    };
}

/// Makes `$handler`, which has the trait [`Handler`], what the component exports. Natively there is nothing to export; the constant keeps
/// the compiler from taking the handler for unused.
#[doc(hidden)]
#[macro_export]
macro_rules! __export_handler {
    ($handler:ident) => {
        #[cfg(target_family = "wasm")]
        $crate::__private::export_batched_world!($handler with_types_in $crate::__private::batched);
        $crate::__private::export_identity!();
        #[cfg(not(target_family = "wasm"))]
        const _: fn(&$crate::Message<'_>) -> ::core::result::Result<(), $crate::Failure> =
            <$handler as $crate::__private::Handler>::handle;
    };
}

/// Makes `$job`, which has the trait [`Job`], what the component exports; natively as [`__export_handler`].
#[doc(hidden)]
#[macro_export]
macro_rules! __export_job {
    ($job:ident) => {
        #[cfg(target_family = "wasm")]
        $crate::__private::export_job_world!($job with_types_in $crate::__private::job);
        $crate::__private::export_identity!();
        #[cfg(not(target_family = "wasm"))]
        const _: fn() -> ::core::result::Result<(), ::std::string::String> = <$job as $crate::__private::Job>::run;
    };
}
