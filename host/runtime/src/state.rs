//! What the store of one instance holds: its limits, what it was granted, and what it is busy with.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use longshore_core::{Clock, GrantedStores, Outlets};
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::guest_log::GuestLog;
use crate::job::Subscriptions;
use crate::limits::MemoryLimit;
use crate::wasi;

/// WASI resources that one instance can hold.
const RESOURCES: usize = 10_000;

/// What every instance of a handler or job is given, the same for all of them.
pub(crate) struct Granted {
    pub(crate) name: Arc<str>,
    pub(crate) outlets: Outlets,
    pub(crate) stores: GrantedStores,
    pub(crate) config: HashMap<String, String>,
    /// Bounds the wait for the confirm of a `send`.
    pub(crate) publish_timeout: Duration,
    pub(crate) clock: Clock,
    /// What a job may pull from; nothing for handlers.
    pub(crate) subscriptions: Option<Subscriptions>,
}

/// The data of a store.
pub(crate) struct State {
    pub(crate) granted: Arc<Granted>,
    pub(crate) memory: MemoryLimit,
    pub(crate) log: GuestLog,
    pub(crate) resources: ResourceTable,
    /// Which of them are leases that the current call was granted.
    pub(crate) guards: Vec<u32>,
    /// How many leases of earlier calls the guest has not dropped; their handles stay until it does.
    pub(crate) forgotten: usize,
    /// Made when the guest first asks for it, which most never do: it seeds two generators of random numbers.
    wasi: Option<WasiCtx>,
}

impl State {
    pub(crate) fn new(granted: Arc<Granted>, memory: usize) -> Self {
        let log = GuestLog::new(granted.name.clone(), granted.subscriptions.is_some());
        let mut resources = ResourceTable::new();
        resources.set_max_capacity(RESOURCES);
        State { wasi: None, memory: MemoryLimit::new(memory), granted, log, resources, guards: Vec::new(), forgotten: 0 }
    }

    /// Whether what the guest never dropped will soon be in the way of what it asks for.
    pub(crate) fn is_crowded(&self) -> bool {
        self.forgotten > RESOURCES / 2
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: self.wasi.get_or_insert_with(|| wasi::context(&self.log)), table: &mut self.resources }
    }
}
