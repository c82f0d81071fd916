//! `#[handler]`: checks the signature and exports the function.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{Error, FnArg, ItemFn, Result, Type, spanned::Spanned};

use crate::signature::{function, refuse};

const EXAMPLE: &str = "fn handle(message: &Message) -> Result<(), Failure>";

pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> TokenStream {
    match checked(arguments, item.clone()) {
        Ok(function) => export(&function),
        Err(error) => refuse(&error, &item),
    }
}

fn checked(arguments: TokenStream, item: TokenStream) -> Result<ItemFn> {
    let function = function("handler", EXAMPLE, arguments, item)?;
    let inputs = &function.sig.inputs;
    match inputs.first() {
        None => Err(Error::new_spanned(&function.sig, format!("a handler takes a message: `{EXAMPLE}`"))),
        Some(FnArg::Receiver(this)) => Err(Error::new_spanned(this, format!("a handler is a function of its own: `{EXAMPLE}`"))),
        Some(FnArg::Typed(_)) if inputs.len() > 1 => {
            let text = format!("a handler takes one message at a time, and nothing else: `{EXAMPLE}`");
            Err(Error::new_spanned(inputs, text))
        }
        Some(FnArg::Typed(message)) => match &*message.ty {
            Type::Reference(reference) if reference.mutability.is_none() => Ok(function),
            other => Err(Error::new_spanned(other, format!("a handler borrows its message, as `&Message`: `{EXAMPLE}`"))),
        },
    }
}

fn export(function: &ItemFn) -> TokenStream {
    let name = &function.sig.ident;
    // Wrong types are reported where the user wrote them.
    let argument = match function.sig.inputs.first() {
        Some(FnArg::Typed(message)) => quote_spanned!(message.ty.span()=> message),
        _ => quote!(message),
    };
    let call = quote_spanned!(function.sig.output.span()=> ::longshore_sdk::IntoOutcome::into_outcome(#name(#argument)));
    quote! {
        #function

        const _: () = {
            struct Exported;

            impl ::longshore_sdk::__private::Handler for Exported {
                fn handle(message: &::longshore_sdk::Message<'_>) -> ::core::result::Result<(), ::longshore_sdk::Failure> {
                    #call
                }
            }

            ::longshore_sdk::__private::export_handler!(Exported);
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text of the error that a function of this signature gets.
    fn refused(source: &str) -> String {
        let item: TokenStream = source.parse().unwrap();
        checked(TokenStream::new(), item).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn good_signatures_are_taken() {
        for source in [
            "fn handle(message: &Message) -> Result<(), Failure> { Ok(()) }",
            "pub fn handle<'a>(_: &'a Message<'a>) {}",
            "fn any_name(message: &longshore_sdk::Message<'_>) -> Result<Outgoing, std::io::Error> { todo!() }",
        ] {
            assert_eq!(refused(source), "", "{source}");
        }
    }

    #[test]
    fn a_wrong_signature_is_told_what_is_expected() {
        let table = [
            ("fn handle() {}", "takes a message: `fn handle(message: &Message) -> Result<(), Failure>`"),
            ("fn handle(message: Message) {}", "borrows its message, as `&Message`"),
            ("fn handle(message: &mut Message) {}", "borrows its message, as `&Message`"),
            ("fn handle(message: &Message, other: u32) {}", "one message at a time"),
            ("fn handle(&self) {}", "a function of its own"),
            ("async fn handle(message: &Message) {}", "is not async"),
            ("unsafe fn handle(message: &Message) {}", "is not unsafe"),
            ("fn handle<T>(message: &Message) {}", "is not generic"),
            ("struct Handler;", "goes on a function: `fn handle(message: &Message)"),
        ];
        for (source, expected) in table {
            let text = refused(source);
            assert!(text.contains(expected), "{source}: {text}");
        }
    }

    #[test]
    fn arguments_are_refused() {
        let item = "fn handle(message: &Message) {}".parse().unwrap();
        let text = expand("topic".parse().unwrap(), item).to_string();
        assert!(text.contains("`#[handler]` takes no arguments"), "{text}");
        assert!(text.contains("fn handle"), "the function is kept: {text}");
    }
}
