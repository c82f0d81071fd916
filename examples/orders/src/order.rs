//! What a customer ordered.

use std::{error::Error, fmt};

use serde::Deserialize;

#[derive(Deserialize)]
pub struct Order {
    pub id: String,
    pub customer: String,
    pub bank: String,
    pub amount_cents: i64,
    pub currency: String,
}

/// An order that nobody can pay.
#[derive(Debug)]
pub struct BadAmount(i64);

impl Order {
    pub fn check(&self) -> Result<(), BadAmount> {
        if self.amount_cents > 0 { Ok(()) } else { Err(BadAmount(self.amount_cents)) }
    }
}

impl fmt::Display for BadAmount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an amount of {} cents", self.0)
    }
}

impl Error for BadAmount {}
