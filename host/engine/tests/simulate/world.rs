//! One run: hosts on a scripted broker, and a director that breaks things. At the end all faults stop, and everything has to end well.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use longshore_core::Delivery;
use longshore_engine::Policy;
use longshore_testkit::scripted::{Broker, Event, Faults, Habits, History, Personality, Random, Settling};

use crate::handler::Drawn;
use crate::oracle::Oracle;
use crate::plan::{self, Plan};
use crate::support::Host;

/// How long everything may take to end once nothing fails any more: poison with all its attempts, one after another.
const CALM: u64 = 6 * 3600;
/// How long a host may take to end then.
const LAST: u64 = 30;

/// What became of a run.
pub(crate) struct Run {
    pub(crate) history: History,
    pub(crate) result: Result<(), String>,
}

struct World {
    plan: Plan,
    policy: Policy,
    random: Random,
    history: History,
    broker: Broker,
    far: Broker,
    hosts: Vec<Option<Host>>,
    chaos: Arc<AtomicBool>,
    appended: usize,
}

/// Runs one seed on a paused clock, on a broker with these habits if any are given.
pub(crate) fn run(seed: u64, like: Option<Habits>) -> Run {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
    runtime.block_on(async {
        let mut random = Random::new(seed);
        let plan = Plan::draw(&mut random, like);
        let oracle = Arc::new(Mutex::new(Oracle::default()));
        let watching = Arc::clone(&oracle);
        let history = History::checked(move |now, event| watching.lock().expect("the oracle does not panic").observe(now, event));
        let broker = Broker::new("home", plan.personality, &history, random.fork());
        let far = Broker::new("away", Personality::plain(Settling::Mark), &history, random.fork());
        let policy = plan.policy(&broker, &far, &mut random);
        oracle.lock().expect("nobody uses it yet").know(&plan, &policy);
        let mut world =
            World { plan, policy, random, history, broker, far, hosts: Vec::new(), chaos: Arc::new(AtomicBool::new(true)), appended: 0 };
        let result = world.play().await;
        let result = result.and_then(|()| oracle.lock().expect("the oracle does not panic").at_the_end());
        Run { history: world.history.clone(), result }
    })
}

impl World {
    async fn play(&mut self) -> Result<(), String> {
        self.hosts = (0..self.plan.hosts).map(|_| None).collect();
        (0..self.hosts.len()).for_each(|h| self.start(h));
        for _ in 0..self.plan.steps {
            let millis = match self.random.below(10) {
                0..6 => self.random.below(50),
                6..9 => self.random.below(3_000),
                _ => self.random.below(60_000),
            };
            tokio::time::sleep(Duration::from_millis(millis)).await;
            self.step().await;
            self.is_whole()?;
        }
        self.calm();
        if !self.broker.finished_within(CALM).await {
            self.is_whole()?;
            return Err(format!("these messages never ended: {:?}", self.broker.unfinished()));
        }
        self.is_whole()?;
        self.stop_all().await
    }

    /// Whether nothing is wrong so far.
    fn is_whole(&mut self) -> Result<(), String> {
        if let Some(what) = self.history.broken() {
            return Err(what);
        }
        for host in self.hosts.iter_mut().flatten() {
            if let Some(ended) = host.has_ended() {
                return Err(format!("a host ended by itself: {ended:?}"));
            }
        }
        Ok(())
    }

    fn note(&self, text: impl Into<String>) {
        self.history.record(Event::Note(text.into()));
    }

    fn start(&mut self, at: usize) {
        self.note(format!("host {at} starts"));
        let handler = Drawn { random: Mutex::new(self.random.fork()), chaos: Arc::clone(&self.chaos) };
        let mut policy = self.policy.clone();
        policy.seed = self.random.number();
        self.hosts[at] = Some(Host::start(at as u32, &self.broker, policy, handler));
    }

    async fn step(&mut self) {
        match self.random.below(100) {
            0..35 => self.append(),
            35..47 => {
                let (nth, lost) = (self.random.below(8) as usize, self.random.chance(50));
                self.broker.revoke(nth, lost);
            }
            47..57 => self.kill().await,
            57..65 => self.stop().await,
            65..73 => self.pause(),
            73..80 => self.broker.set_dead_letters_down(self.random.chance(50)),
            80..92 => {
                let mut faults = plan::faults(&mut self.random);
                // What was another's before it was settled must not be called; who settles after the call is used to it.
                faults.stall = if self.plan.delivery == Delivery::AtMostOnce { 30 } else { 0 };
                self.note(format!("{faults:?}"));
                self.broker.set_faults(faults);
                self.far.set_faults(faults);
            }
            _ => {
                for at in 0..self.hosts.len() {
                    if self.hosts[at].is_none() {
                        self.start(at);
                    }
                }
            }
        }
    }

    fn append(&mut self) {
        let to = (self.appended + 1 + self.random.below(10) as usize).min(self.plan.messages.len());
        for message in &self.plan.messages[self.appended..to] {
            self.broker.append(message);
        }
        self.appended = to;
    }

    async fn kill(&mut self) {
        let at = self.random.below(self.hosts.len() as u64) as usize;
        if let Some(host) = self.hosts[at].take() {
            self.note(format!("host {at} is killed"));
            host.kill().await;
        }
        if self.random.chance(70) {
            self.start(at);
        }
    }

    /// Drains a host, and perhaps aborts it after a while; one that is not done then is killed.
    async fn stop(&mut self) {
        let at = self.random.below(self.hosts.len() as u64) as usize;
        if let Some(mut host) = self.hosts[at].take() {
            self.note(format!("host {at} is drained"));
            host.drain();
            let grace = self.random.below(20);
            if host.ended(grace).await.is_none() {
                self.note(format!("host {at} is told to let go"));
                host.abort();
                if host.ended(LAST).await.is_none() {
                    self.note(format!("host {at} did not end"));
                    host.kill().await;
                }
            }
        }
        if self.random.chance(70) {
            self.start(at);
        }
    }

    fn pause(&mut self) {
        let at = self.random.below(self.hosts.len() as u64) as usize;
        let pause = self.random.chance(50);
        if let Some(host) = &self.hosts[at] {
            self.history.record(Event::Note(format!("host {at} {}", if pause { "pauses" } else { "goes on" })));
            if pause { host.gate.pause() } else { host.gate.resume() }
        }
    }

    /// Nothing fails any more, and everybody works.
    fn calm(&mut self) {
        self.note("all faults stop");
        self.chaos.store(false, Ordering::Relaxed);
        for broker in [&self.broker, &self.far] {
            broker.set_faults(Faults::default());
            broker.set_dead_letters_down(false);
        }
        while self.appended < self.plan.messages.len() {
            self.append();
        }
        for at in 0..self.hosts.len() {
            match &self.hosts[at] {
                Some(host) => host.gate.resume(),
                None => self.start(at),
            }
        }
    }

    async fn stop_all(&mut self) -> Result<(), String> {
        self.note("all hosts are drained");
        for mut host in self.hosts.drain(..).flatten() {
            host.drain();
            // A call that began before the faults stopped may be stuck.
            match host.ended(LAST + 200).await {
                Some(Ok(())) => {}
                other => return Err(format!("a host does not end when it is drained: {other:?}")),
            }
            if host.status.in_flight() != 0 || host.status.lanes() != 0 {
                return Err(format!("an ended host counts {} messages in {} lanes", host.status.in_flight(), host.status.lanes()));
            }
        }
        match self.broker.held().as_slice() {
            [] => Ok(()),
            held => Err(format!("these messages are still held: {held:?}")),
        }
    }
}
