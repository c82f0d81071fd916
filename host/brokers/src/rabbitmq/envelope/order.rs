//! The order of headers, which an AMQP table does not keep: the place of each header in the table, a byte each.

use std::borrow::Cow;

/// Headers whose order is kept; more are in the order of the table.
const MOST: usize = 256;

/// Of each header, in the message's order, the place that it has in the table (by name, equal names as they come); `None` where that is the
/// same.
pub(super) fn of<'h>(headers: impl Iterator<Item = (&'h str, &'h [u8])>) -> Option<Vec<u8>> {
    let names: Vec<&str> = headers.map(|(name, _)| name).collect();
    if names.is_sorted() || names.len() > MOST {
        return None;
    }
    let mut sorted: Vec<usize> = (0..names.len()).collect();
    sorted.sort_by_key(|at| names[*at]);
    let mut places = vec![0; names.len()];
    for (place, at) in sorted.into_iter().enumerate() {
        places[at] = u8::try_from(place).expect("there are at most 256");
    }
    Some(places)
}

/// Puts what came in the table's order into the message's. Foreign bytes change nothing.
pub(super) fn restore(headers: &mut Vec<(&str, Cow<'_, [u8]>)>, order: &[u8]) {
    let mut seen = vec![false; headers.len()];
    let is_order = order.len() == headers.len()
        && order.iter().all(|place| seen.get_mut(usize::from(*place)).is_some_and(|seen| !std::mem::replace(seen, true)));
    if is_order {
        let mut table: Vec<_> = std::mem::take(headers).into_iter().map(Some).collect();
        headers.extend(order.iter().filter_map(|place| table[usize::from(*place)].take()));
    }
}
