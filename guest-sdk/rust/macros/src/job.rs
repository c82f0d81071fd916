//! `#[job]`: checks the signature and exports the function.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{Error, ItemFn, Result, spanned::Spanned};

use crate::signature::{function, refuse};

const EXAMPLE: &str = "fn run() -> Result<(), Failure>";

pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> TokenStream {
    match checked(arguments, item.clone()) {
        Ok(function) => export(&function),
        Err(error) => refuse(&error, &item),
    }
}

fn checked(arguments: TokenStream, item: TokenStream) -> Result<ItemFn> {
    let function = function("job", EXAMPLE, arguments, item)?;
    if function.sig.inputs.is_empty() {
        return Ok(function);
    }
    let text = format!("a job takes nothing, it asks for messages with `consumer::Subscription`: `{EXAMPLE}`");
    Err(Error::new_spanned(&function.sig.inputs, text))
}

fn export(function: &ItemFn) -> TokenStream {
    let name = &function.sig.ident;
    let call = quote_spanned!(function.sig.output.span()=> ::longshore_sdk::IntoEnd::into_end(#name()));
    quote! {
        #function

        const _: () = {
            struct Exported;

            impl ::longshore_sdk::__private::Job for Exported {
                fn run() -> ::core::result::Result<(), ::std::string::String> {
                    #call
                }
            }

            ::longshore_sdk::__private::export_job!(Exported);
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(source: &str) -> String {
        let item: TokenStream = source.parse().unwrap();
        checked(TokenStream::new(), item).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn a_wrong_signature_is_told_what_is_expected() {
        assert_eq!(refused("fn run() -> Result<(), Failure> { Ok(()) }"), "");
        assert!(refused("fn run(message: &Message) {}").contains("takes nothing"));
        assert!(refused("async fn run() {}").contains("is not async"));
        assert!(refused("const RUN: u32 = 1;").contains("goes on a function: `fn run() -> Result<(), Failure>`"));
    }
}
