//! Receipts: how a delivery is named to the broker that made it.

/// Names one delivery to its broker. Plain data: a message has no ack method, only the lane's [`Acks`](crate::Acks) can settle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt<'a> {
    /// Offset, delivery tag, log position: ascending within a lane for messages that are new to it. A redelivery of an older message
    /// (a retry that is due) comes with its old position.
    pub position: u64,
    /// What else the broker needs (stream id, receipt handle, reply subject); empty where the position is enough.
    pub token: &'a [u8],
}

/// Many receipts in two buffers, so that none is allocated for itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Receipts {
    positions: Vec<u64>,
    token_ends: Vec<u32>,
    tokens: Vec<u8>,
}

impl Receipts {
    /// Appends one.
    pub fn push(&mut self, receipt: Receipt<'_>) {
        self.positions.push(receipt.position);
        self.tokens.extend_from_slice(receipt.token);
        self.token_ends.push(u32::try_from(self.tokens.len()).expect("tokens of one batch stay below 4 GiB"));
    }

    /// The receipt at `index`; panics beyond the end.
    pub fn get(&self, index: usize) -> Receipt<'_> {
        let from = if index == 0 { 0 } else { self.token_ends[index - 1] as usize };
        Receipt { position: self.positions[index], token: &self.tokens[from..self.token_ends[index] as usize] }
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Receipt<'_>> {
        (0..self.len()).map(|i| self.get(i))
    }

    /// Their positions alone.
    pub fn positions(&self) -> &[u64] {
        &self.positions
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.positions.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.positions.is_empty()
    }

    /// Forgets them and keeps the memory.
    pub fn clear(&mut self) {
        self.positions.clear();
        self.token_ends.clear();
        self.tokens.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receipts_come_back_as_they_were_pushed() {
        let all = [(7, &b"abc"[..]), (9, b""), (8, b"x")].map(|(position, token)| Receipt { position, token });
        let mut receipts = Receipts::default();
        all.iter().for_each(|r| receipts.push(*r));
        assert_eq!(receipts.iter().collect::<Vec<_>>(), all);
    }
}
