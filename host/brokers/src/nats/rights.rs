//! What the user may do, as the server tells it: `$SYS.REQ.USER.INFO`, which a restricted user has to be let ask.

use longshore_core::Finding;
use serde_json::Value;
use tokio::time::timeout;

use super::link::Link;
use super::names::covers;

/// Where the server answers.
const ASK: &str = "$SYS.REQ.USER.INFO";

/// Subjects with `*` and `>` that are allowed, all where there are none, but for those that are denied.
#[derive(Debug, Default, PartialEq, Eq)]
struct Subjects {
    allow: Vec<String>,
    deny: Vec<String>,
}

/// What a user may publish and subscribe to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Rights {
    publish: Subjects,
    subscribe: Subjects,
}

impl Link {
    /// The user's rights; `None` where the server does not tell.
    pub(super) async fn rights(&self) -> Option<Rights> {
        let asked = timeout(self.patience, self.client.request(ASK, Vec::new().into()));
        tokio::select! {
            answer = asked => {
                let told: Value = serde_json::from_slice(&answer.ok()?.ok()?.payload).ok()?;
                Some(Rights::read(told.get("data")?))
            }
            _ = self.heard.until_silent(ASK) => None,
        }
    }
}

impl Rights {
    fn read(user: &Value) -> Self {
        let subjects = |of: &str| {
            let list = |which: &str| {
                let list = user["permissions"][of][which].as_array();
                list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
            };
            Subjects { allow: list("allow"), deny: list("deny") }
        };
        Rights { publish: subjects("publish"), subscribe: subjects("subscribe") }
    }

    /// What is missing for all of this, if anything is.
    pub(super) fn missing(&self, publish: &[String], subscribe: &[&str]) -> Option<Finding> {
        let mut told = Vec::new();
        let lacking: Vec<&str> = publish.iter().map(String::as_str).filter(|subject| !self.publish.allows(subject)).collect();
        if !lacking.is_empty() {
            told.push(format!("publish to {}", lacking.join(", ")));
        }
        let lacking: Vec<&str> = subscribe.iter().copied().filter(|subject| !self.subscribe.allows(subject)).collect();
        if !lacking.is_empty() {
            told.push(format!("subscribe to {}", lacking.join(", ")));
        }
        let problem = format!("the user of NATS has no right to {}", told.join("; to "));
        (!told.is_empty()).then(|| Finding::mistake("", problem, "give it the permissions that the page of NATS lists"))
    }
}

impl Subjects {
    fn allows(&self, subject: &str) -> bool {
        let any = |list: &[String]| list.iter().any(|filter| covers(filter, subject));
        (self.allow.is_empty() || any(&self.allow)) && !any(&self.deny)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rights_are_what_is_allowed_and_not_denied() {
        let told =
            json!({ "user": "u", "permissions": { "publish": { "allow": ["orders.>", "$JS.API.INFO"], "deny": ["orders.secret"] } } });
        let rights = Rights::read(&told);
        let missing = |subject: &str| rights.missing(&[subject.to_owned()], &["_INBOX.>"]).map(|finding| finding.problem);
        assert_eq!(missing("orders.new"), None);
        for subject in ["orders.secret", "payments"] {
            assert!(missing(subject).is_some_and(|problem| problem.contains(subject)), "{subject}");
        }
        assert_eq!(Rights::read(&json!({ "user": "u" })), Rights::default());
        assert_eq!(Rights::default().missing(&["anything".into()], &["all.>"]), None);
    }
}
