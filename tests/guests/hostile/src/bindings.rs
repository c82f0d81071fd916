//! The generated bindings of the world `batched`, and its export.

#![expect(unsafe_code, reason = "generated")]

use crate::Hostile;

wit_bindgen::generate!({ path: "../../../wit", world: "batched" });

export!(Hostile);
