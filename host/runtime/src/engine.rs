//! The wasmtime engine and its pool of memory, set up as measured.
//!
//! The pool reserves address space (not memory) for every instance that can live at once, so that a new instance costs microseconds and
//! a thousand idle ones little. Where an operating system does not give that much address space, instances are allocated one by one:
//! slower to make, the same to use.

use std::path::PathBuf;

use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, WasmBacktraceDetails};

/// What the runtime as a whole is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Instances that can live at once, over all handlers and jobs.
    pub instances: u32,
    /// Bytes of linear memory that one instance can be allowed; no handler's limit may be above.
    pub max_memory: usize,
    /// Folder for compiled components; `None`: each start compiles anew.
    pub cache: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { instances: 1000, max_memory: 1 << 30, cache: None }
    }
}

/// The engine cannot be had on this machine.
#[derive(Debug, thiserror::Error)]
#[error("the WebAssembly engine cannot start: {0}")]
pub struct EngineError(pub(crate) String);

/// Stack of a guest; a deeper recursion traps.
const WASM_STACK: usize = 512 << 10;
/// Stack of the fiber that a guest runs on; host functions run on what is left of it.
const FIBER_STACK: usize = 2 << 20;
/// Memory of a slot that is zeroed in place when an instance ends instead of being given back to the operating system.
const MEMORY_KEPT: usize = 512 << 10;
/// The same for tables.
const TABLE_KEPT: usize = 64 << 10;
/// Address space behind each memory that is never mapped.
const GUARD: u64 = 64 << 10;
/// Core instances of one component: a Rust guest has 3, CPython about 40.
const CORE_INSTANCES: u32 = 64;
/// Memories of one component.
const MEMORIES: u32 = 2;
/// Tables of one component: its own, and one of the shim that every toolchain adds.
const TABLES: u32 = 4;
/// Bytes of the engine's own records about one instance.
const INSTANCE_SIZE: usize = 4 << 20;
/// Functions that a guest can call indirectly.
const TABLE_ELEMENTS: usize = 30_000;
/// Frames of a backtrace that are kept.
const FRAMES: usize = 12;

pub(crate) fn start(settings: &Settings) -> Result<Engine, EngineError> {
    let pooled = Engine::new(config(settings).allocation_strategy(InstanceAllocationStrategy::Pooling(pool(settings))));
    let refused = match pooled {
        Ok(engine) => return Ok(engine),
        Err(refused) => refused,
    };
    tracing::warn!(
        reason = %format_args!("{refused:#}"),
        "no pool for {} instances of up to {} MiB: instances are made one by one, which is slower; allow more address space (ulimit -v, \
         vm.max_map_count, vm.overcommit_memory) or fewer instances",
        settings.instances,
        settings.max_memory >> 20,
    );
    Engine::new(config(settings).allocation_strategy(InstanceAllocationStrategy::OnDemand)).map_err(|e| EngineError(format!("{e:#}")))
}

fn config(settings: &Settings) -> Config {
    let mut config = Config::new();
    config
        .concurrency_support(false)
        .epoch_interruption(true)
        .max_wasm_stack(WASM_STACK)
        .async_stack_size(FIBER_STACK)
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        .wasm_backtrace_max_frames(std::num::NonZeroUsize::new(FRAMES))
        .memory_reservation(settings.max_memory as u64)
        .memory_guard_size(GUARD)
        .memory_init_cow(true);
    config
}

fn pool(settings: &Settings) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(settings.instances)
        .total_core_instances(settings.instances.saturating_mul(CORE_INSTANCES))
        .total_memories(settings.instances.saturating_mul(MEMORIES))
        .total_tables(settings.instances.saturating_mul(TABLES))
        .total_stacks(settings.instances)
        .max_core_instances_per_component(CORE_INSTANCES)
        .max_memories_per_component(MEMORIES)
        .max_tables_per_component(TABLES)
        .max_component_instance_size(INSTANCE_SIZE)
        .max_core_instance_size(INSTANCE_SIZE)
        .max_memory_size(settings.max_memory)
        .table_elements(TABLE_ELEMENTS)
        .linear_memory_keep_resident(MEMORY_KEPT)
        .table_keep_resident(TABLE_KEPT)
        .pagemap_scan(Enabled::Auto);
    pool
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_that_cannot_be_reserved_is_done_without() {
        let settings = Settings { instances: 1_000_000, max_memory: 4 << 30, cache: None };
        let engine = start(&settings).expect("an engine without a pool");
        assert!(engine.pooling_allocator_metrics().is_none());
        let usual = start(&Settings::default()).expect("an engine");
        assert!(usual.pooling_allocator_metrics().is_some());
    }
}
