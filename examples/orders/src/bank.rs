//! The banks, of which one is flaky. A real handler would ask them over HTTP.

use std::{error::Error, fmt};

use serde::Serialize;

use crate::order::Order;

/// On which attempt the flaky bank answers.
const PATIENCE: u32 = 3;

#[derive(Serialize)]
pub struct Payment<'a> {
    pub order: &'a str,
    pub customer: &'a str,
    pub amount_cents: i64,
    pub currency: &'a str,
}

#[derive(Debug)]
pub struct NoAnswer {
    bank: String,
    attempt: u32,
}

pub fn charge(order: &Order, attempt: u32) -> Result<Payment<'_>, NoAnswer> {
    if order.bank == "flaky" && attempt < PATIENCE {
        return Err(NoAnswer { bank: order.bank.clone(), attempt });
    }
    Ok(Payment { order: &order.id, customer: &order.customer, amount_cents: order.amount_cents, currency: &order.currency })
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the bank {} did not answer (attempt {})", self.bank, self.attempt)
    }
}

impl Error for NoAnswer {}
