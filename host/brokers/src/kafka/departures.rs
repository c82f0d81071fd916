//! The members of groups in this process: those who are there and can be asked to commit, and how many are still leaving.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::watch;

use super::member::Membership;

/// How long others wait for members to have left.
const PATIENCE: Duration = Duration::from_secs(10);

/// Who is there.
pub(super) struct Departures {
    members: Mutex<Vec<Weak<Membership>>>,
    leaving: watch::Sender<usize>,
}

impl Default for Departures {
    fn default() -> Self {
        Departures { members: Mutex::default(), leaving: watch::Sender::new(0) }
    }
}

impl Departures {
    pub(super) fn enter(&self, member: &Arc<Membership>) {
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        members.retain(|member| member.strong_count() > 0);
        members.push(Arc::downgrade(member));
    }

    pub(super) fn members(&self) -> Vec<Arc<Membership>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner).iter().filter_map(Weak::upgrade).collect()
    }

    pub(super) fn leaves(&self) {
        self.leaving.send_modify(|count| *count += 1);
    }

    pub(super) fn left(&self) {
        self.leaving.send_modify(|count| *count -= 1);
    }

    /// Ends once nobody is leaving, so that the cluster knows who is there.
    pub(super) async fn settled(&self) {
        let mut leaving = self.leaving.subscribe();
        let _ = tokio::time::timeout(PATIENCE, leaving.wait_for(|count| *count == 0)).await;
    }
}
