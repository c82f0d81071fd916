//! What both attributes ask of their function, and how they say so.

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;
use syn::{Error, GenericParam, ItemFn, Result, Safety, Signature};

/// The function that an attribute stands on, or what is wrong with it. `example` is how it should look.
pub(crate) fn function(attribute: &str, example: &str, arguments: TokenStream, item: TokenStream) -> Result<ItemFn> {
    if !arguments.is_empty() {
        return Err(Error::new_spanned(arguments, format!("`#[{attribute}]` takes no arguments")));
    }
    let function: ItemFn = syn::parse2(item.clone())
        .map_err(|_| Error::new(first_span(&item), format!("`#[{attribute}]` goes on a function: `{example}`")))?;
    plain(attribute, &function.sig)?;
    Ok(function)
}

/// Neither async nor generic nor unsafe: the host calls it as it is.
fn plain(attribute: &str, signature: &Signature) -> Result<()> {
    if let Some(keyword) = &signature.asyncness {
        let text = format!("a {attribute} is not async: calls to the host wait by themselves, and block nobody else");
        return Err(Error::new_spanned(keyword, text));
    }
    if let Safety::Unsafe(keyword) = &signature.safety {
        return Err(Error::new_spanned(keyword, format!("a {attribute} is not unsafe: the host can call it at any time")));
    }
    let generic = signature.generics.params.iter().find(|parameter| !matches!(parameter, GenericParam::Lifetime(_)));
    if let Some(parameter) = generic {
        return Err(Error::new_spanned(parameter, format!("a {attribute} is not generic: the host would not know for what to call it")));
    }
    Ok(())
}

/// The error, and after it the item as it was, so that its uses do not add errors of their own.
pub(crate) fn refuse(error: &Error, item: &TokenStream) -> TokenStream {
    let mut tokens = error.to_compile_error();
    item.to_tokens(&mut tokens);
    tokens
}

fn first_span(item: &TokenStream) -> Span {
    item.clone().into_iter().next().map_or_else(Span::call_site, |token| token.span())
}
