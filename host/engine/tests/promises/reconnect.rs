//! A broker that cannot be reached.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use longshore_core::{BoxFuture, BrokerError, Consumer, Fix, Lanes, Order, Subscribe};
use longshore_engine::{Activity, Gate, Metrics, Reconnect, Status, Subscription};
use longshore_testkit::scripted::Settling;
use tokio_util::sync::CancellationToken;

use crate::support::policy;
use crate::{all_done, at_once, broker};

/// A broker that is away, and how often it was asked.
#[derive(Default)]
struct Away(AtomicU32);

impl Consumer for Away {
    fn subscribe(&self, _: Subscribe) -> BoxFuture<'_, Result<Lanes, BrokerError>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Box::pin(std::future::ready(Err(BrokerError::reconnect("it is away"))))
    }
}

#[tokio::test(start_paused = true)]
async fn a_subscription_gives_up_once_it_has_connected_again_as_often_as_it_may() {
    for (attempts, expected) in [(Some(3), Some(4)), (None, None)] {
        let (home, away, status) = (broker(Settling::Mark), Arc::new(Away::default()), Arc::new(Status::default()));
        let mut policy = policy(&home, None, Order::None);
        policy.reconnect = Reconnect { attempts, ..Reconnect::default() };
        let subscription = Subscription {
            policy,
            handler: Arc::new(at_once(|call, _| all_done(call))),
            consumer: Arc::clone(&away) as Arc<dyn Consumer>,
            clock: home.history().clock(),
            metrics: Metrics::default(),
            status: Arc::clone(&status),
            gate: Arc::new(Gate::default()),
        };
        let run = subscription.run(CancellationToken::new(), CancellationToken::new());
        let ended = tokio::time::timeout(Duration::from_secs(3600), run).await.ok();
        match expected {
            Some(asked) => {
                assert_eq!(ended.expect("it gives up").expect_err("it failed").fix, Fix::Reconnect);
                assert_eq!(away.0.load(Ordering::Relaxed), asked, "the first time, and three more");
                assert_eq!(*status.activity().borrow(), Activity::Stopped(Some("it is away".into())));
            }
            None => assert!(ended.is_none() && away.0.load(Ordering::Relaxed) > 100, "it goes on without end"),
        }
    }
}
