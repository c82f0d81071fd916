//! The attributes `#[handler]` and `#[job]` of `longshore-sdk`, which exports them.

mod handler;
mod job;
mod signature;

use proc_macro::TokenStream;

/// Makes a function of one message the handler that this component exports.
///
/// ```text
/// #[longshore_sdk::handler]
/// fn handle(message: &Message) -> Result<(), Failure> { … }
/// ```
///
/// It returns `()`, or `Result<T, E>` where `T` is `()`, `Outgoing`, `Option<Outgoing>` or `Vec<Outgoing>` and `E` is `Failure` or any
/// error. The function stays as it is and can be called and tested natively. A crate has one handler.
#[proc_macro_attribute]
pub fn handler(arguments: TokenStream, item: TokenStream) -> TokenStream {
    handler::expand(arguments.into(), item.into()).into()
}

/// Makes a function the job that this component exports.
///
/// ```text
/// #[longshore_sdk::job]
/// fn run() -> Result<(), Failure> { … }
/// ```
///
/// It returns `()`, or `Result<(), E>` where `E` is anything that displays itself; the text goes to the log, and the host starts the job
/// again by its policy. The function stays as it is and can be called and tested natively. A crate has one job.
#[proc_macro_attribute]
pub fn job(arguments: TokenStream, item: TokenStream) -> TokenStream {
    job::expand(arguments.into(), item.into()).into()
}
