//! The WIT package as Rust: host traits of all interfaces, and the types that the worlds' exports speak in.
//!
//! One world that nobody implements names them all, so that every interface is generated once. How a guest's export is called is not
//! here: `single.rs` and `batched.rs` lower borrowed data instead of the owned records that are generated.

wasmtime::component::bindgen!({
    path: "../../wit",
    inline: "
        package longshore:host;

        world everything {
            include longshore:messaging/imports@0.1.0;
            import longshore:messaging/consumer@0.1.0;
            export longshore:messaging/handler@0.1.0;
            export longshore:messaging/batch-handler@0.1.0;
            export longshore:messaging/program@0.1.0;
        }
    ",
    world: "longshore:host/everything",
    imports: {
        "longshore:messaging/publisher": async,
        "longshore:messaging/cache": async,
        "longshore:messaging/key-value": async,
        "longshore:messaging/delivery.details": trappable,
        "longshore:messaging/consumer.[method]delivery.message": trappable,
        "longshore:messaging/consumer.[method]delivery.settle": async | trappable,
        "longshore:messaging/consumer.[method]subscription.receive": async | trappable,
        "longshore:messaging/lock": async,
        "longshore:messaging/lock.[method]guard.fence": trappable,
        "longshore:messaging/lock.[method]guard.is-held": trappable,
    },
    exports: { default: async },
    with: {
        "longshore:messaging/cache.bucket": crate::caps::cache::Cached,
        "longshore:messaging/key-value.bucket": crate::caps::key_value::Kept,
        "longshore:messaging/lock.guard": crate::caps::lock::Guard,
        "longshore:messaging/consumer.subscription": crate::caps::consumer::Subscription,
        "longshore:messaging/consumer.delivery": crate::caps::consumer::Delivery,
    },
});

pub(crate) use exports::longshore::messaging::batch_handler;
pub(crate) use longshore::messaging::{cache, config, consumer, delivery, key_value, lock, logging, publisher, types};
