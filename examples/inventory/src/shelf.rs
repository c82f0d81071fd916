//! A shelf in a key-value bucket: how many of an item are left, which orders have a part of it, and the largest fence that wrote there.

use longshore_sdk::{Error, key_value};

/// A shelf as it was read.
pub struct Shelf {
    bucket: key_value::Bucket,
    item: String,
    /// The value that it was read from; a write counts only as long as it stands.
    found: Option<Vec<u8>>,
    fence: u64,
    pub left: u64,
    orders: Vec<String>,
}

impl Shelf {
    /// Reads it; one that nobody wrote to has `stock`.
    pub fn read(item: &str, stock: u64) -> Result<Self, Error> {
        let bucket = key_value::open("shelves")?;
        let found = bucket.get(item)?;
        let text = found.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
        let mut lines = text.lines();
        let mut number = |or| lines.next().map_or(Ok(or), |line| line.parse().map_err(|_| Error::Other(format!("no shelf: {line:?}"))));
        let (fence, left) = (number(0)?, number(stock)?);
        let orders = lines.map(str::to_owned).collect();
        Ok(Self { bucket, item: item.to_owned(), found, fence, left, orders })
    }

    /// Whether an order has its part already: it came before, and its host did not live to say so.
    pub fn has(&self, order: &str) -> bool {
        self.orders.iter().any(|known| known == order)
    }

    /// Takes `count` for an order. Refuses a fence smaller than one that wrote before, and whatever was read before another one's write.
    pub fn take(&self, fence: u64, order: &str, count: u64) -> Result<(), Error> {
        if fence < self.fence {
            return Err(Error::Conflict);
        }
        let left = self.left.checked_sub(count).ok_or_else(|| Error::Invalid("more than there is".to_owned()))?;
        let orders = self.orders.iter().map(String::as_str).chain([order]);
        let value = [fence.to_string(), left.to_string()].join("\n") + &orders.map(|order| format!("\n{order}")).collect::<String>();
        match self.bucket.compare_and_set(&self.item, self.found.as_deref(), value)? {
            true => Ok(()),
            false => Err(Error::Conflict),
        }
    }
}
