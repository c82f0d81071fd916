//! Dead letters over all brokers: found, listed, given back, removed.
//!
//! A dead letter is a message with `longshore-dead-*` headers on a topic like any other. They are looked for on the topics that the
//! configuration's policies name, and on every topic whose newest message is one.

mod facts;
mod filter;
mod walk;

use std::collections::HashMap;

use longshore_admin::control::{Answer, DeadLetterControl};
use longshore_admin::model::{Count, DeadLetter, DeadLetterFilter, Redrive, Redriven};
use longshore_admin::{ControlError, Kind};
use longshore_core::{DeadLetterPolicy, Message, Outbox, Publisher, headers};
use tokio::time::timeout;

use super::asked::Asked;
use super::groups::DeadByGroup;
use super::{HostControl, page};
use filter::Filter;
use walk::Walk;

/// Dead letters of a list where nothing is said.
const PAGE: usize = 100;
/// Dead letters of one change.
const MAX_CHANGE: usize = 1000;
/// Dead letters that are changed in one step.
const STEP: usize = 100;

impl DeadLetterControl for HostControl {
    fn dead_letters(&self, filter: DeadLetterFilter) -> Answer<'_, Vec<DeadLetter>> {
        Box::pin(async move {
            let (limit, mut found) = (page(filter.limit, PAGE)?, Vec::new());
            let filter = Filter::new(filter)?;
            for broker in self.brokers_with_dead_letters(&filter)? {
                found.extend(Walk::down(self, broker).collect(&filter, limit).await?);
            }
            found.sort_by_key(|letter| std::cmp::Reverse((facts::failed_at(letter), letter.position)));
            found.truncate(limit);
            Ok(found)
        })
    }

    fn count_dead_letters(&self, filter: DeadLetterFilter) -> Answer<'_, Count> {
        Box::pin(async move {
            let (filter, mut count) = (Filter::new(filter)?, 0);
            for broker in self.brokers_with_dead_letters(&filter)? {
                Walk::down(self, broker)
                    .each(&filter, |_| {
                        count += 1;
                        true
                    })
                    .await?;
            }
            Ok(Count { count })
        })
    }

    fn dead_letter<'a>(&'a self, broker: Option<&'a str>, id: &'a str) -> Answer<'a, DeadLetter> {
        Box::pin(async move {
            let (broker, id) = (broker.map(Into::into), Some(id.to_owned()));
            let mut found = self.dead_letters(DeadLetterFilter { broker, id: id.clone(), ..DeadLetterFilter::default() }).await?;
            match (found.pop(), found.is_empty()) {
                (None, _) => Err(missing(id.as_deref())),
                (Some(one), true) => Ok(one),
                (Some(one), false) => {
                    let ids: Vec<_> = found.iter().chain([&one]).map(|letter| format!("{} on {}", letter.id, letter.broker)).collect();
                    let message = format!("there are {} dead letters of that message: ask for one of {}", ids.len(), ids.join(", "));
                    Err(ControlError::new(Kind::Conflict, message))
                }
            }
        })
    }

    fn redrive(&self, redrive: Redrive) -> Answer<'_, Redriven> {
        Box::pin(async move {
            let (limit, mut done, mut stayed) = (change(redrive.filter.limit)?, Redriven::default(), false);
            let filter = Filter::new(redrive.filter)?;
            for broker in self.brokers_with_dead_letters(&filter)? {
                let left = limit - usize::try_from(done.count).unwrap_or(limit).min(limit);
                let (letters, skipped) = self.to_redrive(broker, &filter, redrive.to.is_some(), left).await?;
                done.skipped += skipped;
                stayed |= !letters.is_empty();
                done.count += match &redrive.to {
                    None => give_back(broker, &letters).await?,
                    Some(to) => copy_to(broker, &letters, to).await?,
                };
            }
            match (filter.id(), done) {
                (Some(id), Redriven { count: 0, skipped: 0 }) if stayed => Err(stays(id)),
                (Some(id), Redriven { count: 0, skipped: 0 }) => Err(missing(Some(id))),
                (Some(id), Redriven { count: 0, .. }) => Err(loops(id)),
                _ => Ok(done),
            }
        })
    }

    fn discard(&self, filter: DeadLetterFilter) -> Answer<'_, Count> {
        Box::pin(async move {
            let (limit, mut count) = (change(filter.limit)?, 0);
            let filter = Filter::new(filter)?;
            for broker in self.brokers_with_dead_letters(&filter)? {
                let left = limit - usize::try_from(count).unwrap_or(limit).min(limit);
                let letters = Walk::up(self, broker).collect(&filter, left).await?;
                count += remove(broker, &letters).await?;
            }
            match filter.id() {
                Some(id) if count == 0 => Err(missing(Some(id))),
                _ => Ok(Count { count }),
            }
        })
    }
}

impl HostControl {
    /// The broker that the filter names, else all that can show dead letters; where none can, that is told.
    fn brokers_with_dead_letters(&self, filter: &Filter) -> Result<Vec<&Asked>, ControlError> {
        if let Some(name) = filter.broker() {
            let broker = self.broker(Some(name))?;
            broker.topics()?;
            broker.dead_letters()?;
            return Ok(vec![broker]);
        }
        let refusal = |broker: &Asked| broker.dead_letters().err().filter(|e| e.kind == Kind::Unsupported);
        let keep: Vec<&Asked> = self.brokers.iter().filter(|broker| refusal(broker).is_none()).collect();
        match self.brokers.iter().find_map(refusal) {
            Some(refused) if keep.is_empty() => Err(refused),
            _ => Ok(keep),
        }
    }

    /// How many dead letters each group has on each topic that they came from; nothing where more than `most` would have to be read.
    pub(super) async fn dead_by_group(&self, broker: &Asked, most: u64) -> Result<Option<DeadByGroup>, ControlError> {
        broker.dead_letters()?;
        if Walk::down(self, broker).length().await? > most {
            return Ok(None);
        }
        let mut counts = HashMap::new();
        let count = |letter: DeadLetter| {
            *counts.entry((letter.facts.topic, letter.facts.group)).or_default() += 1;
            true
        };
        Walk::down(self, broker).each(&Filter::default(), count).await?;
        Ok(Some(counts))
    }

    /// What may be redriven, oldest first, and how many may not, because a loop ends somewhere.
    async fn to_redrive(
        &self,
        broker: &Asked,
        filter: &Filter,
        anywhere: bool,
        limit: usize,
    ) -> Result<(Vec<DeadLetter>, u64), ControlError> {
        let (mut letters, mut skipped) = (Vec::new(), 0);
        let pick = |letter: DeadLetter| {
            match anywhere || letter.facts.redrives.unwrap_or(0) < self.max_redrives(&letter.facts.subscription) {
                true => letters.push(letter),
                false => skipped += 1,
            }
            letters.len() < limit
        };
        if limit > 0 {
            Walk::up(self, broker).each(filter, pick).await?;
        }
        Ok((letters, skipped))
    }

    fn max_redrives(&self, subscription: &str) -> u32 {
        let policy = self.subscriptions.iter().find(|s| s.name == subscription).map(|s| s.dead_letter.max_redrives);
        policy.unwrap_or_else(|| DeadLetterPolicy::default().max_redrives)
    }
}

fn change(limit: Option<usize>) -> Result<usize, ControlError> {
    page(limit, MAX_CHANGE)
}

fn missing(id: Option<&str>) -> ControlError {
    ControlError::not_found(format!("there is no dead letter {:?}; `longshore dlq list` shows what there is", id.unwrap_or_default()))
}

fn loops(id: &str) -> ControlError {
    let message =
        format!("dead letter {id:?} was redriven `max-redrives` times already: mend the handler, or redrive it `--to` another topic");
    ControlError::new(Kind::Conflict, message)
}

/// The broker found nothing in it that says whose it is, or nobody is there to take it.
fn stays(id: &str) -> ControlError {
    let message = format!(
        "dead letter {id:?} cannot be given back: its headers do not say to which group of which topic, or that group is gone; \
        redrive it `--to` a topic"
    );
    ControlError::new(Kind::Conflict, message)
}

/// Runs of letters on one topic, none longer than a step.
fn steps(letters: &[DeadLetter]) -> impl Iterator<Item = &[DeadLetter]> {
    letters.chunk_by(|a, b| a.topic == b.topic).flat_map(|run| run.chunks(STEP))
}

fn positions(step: &[DeadLetter]) -> Vec<u64> {
    step.iter().map(|letter| letter.position).collect()
}

async fn give_back(broker: &Asked, letters: &[DeadLetter]) -> Result<u64, ControlError> {
    let (role, mut count) = (broker.dead_letters()?, 0);
    for step in steps(letters) {
        count += role.redrive(&step[0].topic, &positions(step)).await.map_err(|e| broker.told(e))?;
    }
    Ok(count)
}

async fn remove(broker: &Asked, letters: &[DeadLetter]) -> Result<u64, ControlError> {
    let (role, mut count) = (broker.dead_letters()?, 0);
    for step in steps(letters) {
        count += role.remove(&step[0].topic, &positions(step)).await.map_err(|e| broker.told(e))?;
    }
    Ok(count)
}

/// Publishes copies without the facts, under the original ids, and removes each letter once its copy is confirmed.
async fn copy_to(broker: &Asked, letters: &[DeadLetter], to: &str) -> Result<u64, ControlError> {
    let (publisher, mut count) = (broker.publisher()?, 0);
    for step in steps(letters) {
        let confirmed = publish_copies(broker, publisher.as_ref(), step, to).await?;
        count += remove(broker, &confirmed).await?;
        if let Some(left) = step.len().checked_sub(confirmed.len()).filter(|left| *left > 0) {
            let message = format!("{left} of {} copies to {to:?} were not confirmed; their dead letters stay", step.len());
            return Err(broker.told(ControlError::new(Kind::Failed, message)));
        }
    }
    Ok(count)
}

/// What tells a copy from the message that died and from copies of other deaths, and is the same however often the redrive is begun.
fn origin(letter: &DeadLetter) -> String {
    format!("{}@{}", letter.id, facts::failed_at(letter))
}

async fn publish_copies(broker: &Asked, publisher: &dyn Publisher, step: &[DeadLetter], to: &str) -> Result<Vec<DeadLetter>, ControlError> {
    let mut outbox = Outbox::default();
    for letter in step {
        let (line, from) = (&letter.message, origin(letter));
        let kept = line.headers.iter().filter(|(name, _)| *name != headers::REDRIVEN_FROM);
        let message = Message {
            id: &letter.facts.id,
            topic: to,
            key: line.key.as_ref().map(|k| k.0.as_slice()),
            payload: line.payload.as_ref().map(|p| p.0.as_slice()),
            headers: kept.chain(std::iter::once((headers::REDRIVEN_FROM, from.as_bytes()))),
            timestamp: line.timestamp.unwrap_or_default(),
            attempt: 1,
        };
        outbox.push(&message, 0, 0);
    }
    let answers = match timeout(broker.config.publish_timeout, publisher.publish(&outbox)).await {
        Ok(answers) => answers.map_err(|e| broker.told(e))?,
        Err(_) => return Err(broker.told(ControlError::new(Kind::Timeout, "copies were not confirmed in time; their dead letters stay"))),
    };
    if let Some(error) = answers.iter().find_map(|a| a.as_ref().err()) {
        tracing::warn!(broker = broker.config.name, topic = to, "a dead letter could not be copied: {error}");
    }
    Ok(step.iter().zip(answers).filter(|(_, answer)| answer.is_ok()).map(|(letter, _)| letter.clone()).collect())
}
