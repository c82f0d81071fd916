//! What a double of the host remembers, and which one the code under test talks to.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, VecDeque},
    rc::Rc,
    time::{Duration, SystemTime},
};

use super::{Done, Message, Output, locks::Locks, stores::Entries};
use crate::{Error, delivery::Details, log::Level};

/// Some day in 2026, when every clock starts.
const START: Duration = Duration::from_secs(1_767_225_600);

/// A logged line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Index of the message that it is about.
    pub origin: u32,
    /// How much it matters.
    pub level: Level,
    /// Its text.
    pub message: String,
    /// Names and values of its fields.
    pub fields: Vec<(String, String)>,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) now: Cell<SystemTime>,
    pub(super) config: RefCell<BTreeMap<String, String>>,
    pub(super) details: RefCell<Details>,
    pub(super) refused: RefCell<BTreeMap<String, Error>>,
    pub(super) answers: RefCell<VecDeque<Message>>,
    pub(super) sent: RefCell<Vec<Output>>,
    pub(super) logged: RefCell<Vec<Line>>,
    pub(super) caches: RefCell<BTreeMap<String, Rc<Entries>>>,
    pub(super) key_values: RefCell<BTreeMap<String, Rc<Entries>>>,
    pub(super) locks: RefCell<Locks>,
    pub(super) subscriptions: RefCell<BTreeMap<String, VecDeque<Message>>>,
    pub(super) settled: RefCell<Vec<(String, Done)>>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            now: Cell::new(SystemTime::UNIX_EPOCH + START),
            config: RefCell::default(),
            details: RefCell::default(),
            refused: RefCell::default(),
            answers: RefCell::default(),
            sent: RefCell::default(),
            logged: RefCell::default(),
            caches: RefCell::default(),
            key_values: RefCell::default(),
            locks: RefCell::default(),
            subscriptions: RefCell::default(),
            settled: RefCell::default(),
        }
    }
}

impl State {
    /// The error that calls with this name answer, if the test wants one.
    pub(super) fn check(&self, name: &str) -> Result<(), Error> {
        self.refused.borrow().get(name).cloned().map_or(Ok(()), Err)
    }
}

thread_local! {
    static CURRENT: RefCell<Option<Rc<State>>> = const { RefCell::new(None) };
}

/// The host that was entered; one that is forgotten at once where there is none.
pub(super) fn current() -> Rc<State> {
    CURRENT.with_borrow(Option::clone).unwrap_or_default()
}

/// While this lives, its state is the one that is talked to.
pub(super) struct Entered {
    before: Option<Rc<State>>,
}

impl Entered {
    pub(super) fn new(state: &Rc<State>) -> Self {
        Self { before: CURRENT.replace(Some(Rc::clone(state))) }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.set(self.before.take());
    }
}
