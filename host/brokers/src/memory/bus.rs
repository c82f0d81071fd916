//! Buses by name: brokers that several tables of a configuration share.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

use longshore_core::{BrokerError, Connect, Roles};

use super::backend::Shared;
use super::config::Config;
use super::faults::around;
use super::tables::MemoryTables;
use crate::local::{Broker, Local, Signals};

type Bus = Local<Shared>;

static BUSES: LazyLock<Mutex<HashMap<String, Weak<Bus>>>> = LazyLock::new(Mutex::default);

/// The bus that `config` names, or one of its own. A bus lives as long as somebody has its roles; the first who connects sets its limits.
pub(super) fn connect(config: Config, connect: Connect) -> Result<Roles, BrokerError> {
    let bus = match config.bus()? {
        None => start(&config, connect)?,
        Some(name) => {
            let mut buses = BUSES.lock().unwrap_or_else(PoisonError::into_inner);
            buses.retain(|_, bus| bus.strong_count() > 0);
            match buses.get(name).and_then(Weak::upgrade) {
                Some(bus) => bus,
                None => {
                    let bus = start(&config, connect)?;
                    buses.insert(name.to_owned(), Arc::downgrade(&bus));
                    bus
                }
            }
        }
    };
    Ok(around(bus.roles(), &config.faults))
}

fn start(config: &Config, connect: Connect) -> Result<Arc<Bus>, BrokerError> {
    let signals = Signals::default();
    let broker = Broker::new(MemoryTables::default(), config.limits(), connect.topics, signals.clone())?;
    Ok(Local::start(Shared::new(broker), connect.clock, signals, config.tidy_interval.get()))
}
