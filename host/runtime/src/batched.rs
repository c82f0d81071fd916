//! The world `batched`: one call lowers a run of packed rows as it stands.

use bytes::Bytes;
use longshore_core::{Call, Order};
use wasmtime::Store;
use wasmtime::component::{ComponentType, Instance, Lower, TypedFunc};

use crate::bindings::batch_handler::{Answer, Order as WitOrder};
use crate::module::Entry;
use crate::state::State;

/// `batch-handler.handle`.
pub(crate) type BatchedFunc = TypedFunc<(Batch,), (Answer,)>;

/// The WIT's `batch`, with rows that are shared instead of copied into a list of its own.
#[derive(ComponentType, Lower)]
#[component(record)]
pub(crate) struct Batch {
    #[component(name = "order")]
    order: WitOrder,
    #[component(name = "count")]
    count: u32,
    #[component(name = "rows")]
    rows: Bytes,
}

/// Keeps the call's batch alive while a guest reads its rows.
struct Rows(Call);

impl AsRef<[u8]> for Rows {
    fn as_ref(&self) -> &[u8] {
        self.0.rows()
    }
}

pub(crate) fn func(store: &mut Store<State>, instance: &Instance, entry: &Entry) -> wasmtime::Result<BatchedFunc> {
    instance.get_typed_func(store, entry.func)
}

pub(crate) fn count(call: &Call) -> u32 {
    u32::try_from(call.len()).expect("a call is bounded far below 2^32 messages")
}

impl Batch {
    /// The call's rows, lowered into the guest from where they are.
    pub(crate) fn of(call: &Call) -> Self {
        Batch { order: call.subscription.order.into(), count: count(call), rows: Bytes::from_owner(Rows(call.clone())) }
    }
}

impl From<Order> for WitOrder {
    fn from(order: Order) -> Self {
        match order {
            Order::None => WitOrder::None,
            Order::Key => WitOrder::Key,
            Order::Lane => WitOrder::Lane,
        }
    }
}
