//! Flag `dedup-inbox`: a lane remembers what was done, from the settlement on and for the window, and lends a key to one delivery at a time.

use std::sync::Arc;
use std::time::Duration;

use longshore_core::{Claimant, Claimed, DedupTimes, Flag, Inbox, InboxClaim, InboxEntry, InboxKey, Subscribe};
use tokio::time::Instant;

use super::bench::{SOON, next, wish};
use super::{Bench, Hand, Test, suite};

pub(super) const TESTS: &[Test] = suite!(Flag::DedupInbox =>
    what_is_done_is_remembered_with_its_settlement,
    what_is_not_done_is_free_with_its_settlement,
    of_two_claims_of_one_key_the_first_has_it,
    a_claim_that_is_extended_stays,
    a_claim_that_is_over_is_not_extended,
    what_is_given_back_is_free,
    what_was_done_is_forgotten_after_its_window,
    a_lane_that_ends_without_a_word_blocks_nobody_for_long,
);
pub(super) const ROUNDS: &[Test] = suite!(Flag::DedupInbox, Some(Flag::Transactions), |_| true =>
    a_round_that_is_refused_remembers_nothing,
);
pub(super) const DURABLE: &[Test] = suite!(Flag::Durable, Some(Flag::DedupInbox), |_| true =>
    what_was_done_is_remembered_after_a_crash,
);

/// Long enough for every test but those that wait for it.
const LONG: Duration = Duration::from_secs(60);

fn key(n: u8) -> InboxKey {
    InboxKey([n; 16])
}

/// The claim of key `n` by delivery `seq`.
fn claim(n: u8, seq: u64) -> InboxClaim {
    InboxClaim { key: key(n), claimant: Claimant::new(7, 1, seq) }
}

async fn hand(bench: &Bench<'_>, topic: &str, times: DedupTimes) -> Hand {
    let subscribe = Subscribe { dedup: Some(times), ..wish(&[topic], bench.group("g")) };
    let mut lanes = bench.try_subscribe(&subscribe).await.expect("the broker takes the subscription");
    let lane = next(&mut lanes).await;
    Hand::new(lane, Some(lanes))
}

async fn usual(bench: &Bench<'_>, topic: &str) -> Hand {
    hand(bench, topic, DedupTimes { window: LONG, lease: LONG }).await
}

fn inbox(hand: &Hand) -> Arc<dyn Inbox> {
    hand.lane.inbox.clone().expect("a lane of a subscription that asks for it has an inbox")
}

fn ask(hand: &Hand, claims: &[InboxClaim]) -> impl Future<Output = Vec<Claimed>> + Send + use<> {
    let (inbox, claims) = (inbox(hand), claims.to_vec());
    async move { inbox.claim(&claims).await.expect("the inbox answers") }
}

/// Says that a message of the round had that claim.
fn ends(hand: &mut Hand, index: usize, claim: InboxClaim, done: bool) {
    let position = hand.got.receipt(index).position;
    hand.round.inbox.push(InboxEntry { claim, position, done });
}

/// Asks until the answer is `wanted`.
async fn becomes(inbox: Arc<dyn Inbox>, claim: InboxClaim, wanted: Claimed) {
    let began = Instant::now();
    while inbox.claim(&[claim]).await.expect("the inbox answers") != [wanted] {
        assert!(began.elapsed() < SOON, "it is not {wanted:?} within {SOON:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn what_is_done_is_remembered_with_its_settlement(bench: Bench<'_>) {
    let topic = bench.topic("t");
    bench.publish(&topic, &["a"]).await;
    let mut hand = usual(&bench, &topic).await;
    hand.fetch(1).await;
    assert_eq!(ask(&hand, &[claim(1, 1)]).await, [Claimed::Ours]);
    assert_eq!(ask(&hand, &[claim(1, 2)]).await, [Claimed::Taken], "not settled, not remembered");
    ends(&mut hand, 0, claim(1, 1), true);
    hand.done(0).settle().await;
    assert_eq!(ask(&hand, &[claim(1, 2), claim(2, 3)]).await, [Claimed::Done, Claimed::Ours]);
    hand.close().await;
    let again = usual(&bench, &topic).await;
    assert_eq!(ask(&again, &[claim(1, 4)]).await, [Claimed::Done], "for whoever has the lane next, too");
}

async fn what_is_not_done_is_free_with_its_settlement(bench: Bench<'_>) {
    let topic = bench.topic("t");
    bench.publish(&topic, &["a", "b"]).await;
    let mut hand = usual(&bench, &topic).await;
    hand.fetch(2).await;
    assert_eq!(ask(&hand, &[claim(1, 1), claim(2, 2)]).await, [Claimed::Ours; 2]);
    ends(&mut hand, 0, claim(1, 1), false);
    ends(&mut hand, 1, claim(2, 2), false);
    hand.again(0, Duration::from_secs(60), 2, 1).done(1).settle().await;
    assert_eq!(ask(&hand, &[claim(1, 3), claim(2, 4)]).await, [Claimed::Ours; 2]);
}

async fn of_two_claims_of_one_key_the_first_has_it(bench: Bench<'_>) {
    let topic = bench.topic("t");
    bench.publish(&topic, &["a"]).await;
    let hand = usual(&bench, &topic).await;
    let asked = [claim(1, 1), claim(2, 2), claim(1, 3)];
    assert_eq!(ask(&hand, &asked).await, [Claimed::Ours, Claimed::Ours, Claimed::Taken]);
}

async fn a_claim_that_is_extended_stays(bench: Bench<'_>) {
    let topic = bench.topic("t");
    bench.publish(&topic, &["a"]).await;
    let lease = Duration::from_millis(600);
    let hand = hand(&bench, &topic, DedupTimes { window: LONG, lease }).await;
    assert_eq!(ask(&hand, &[claim(1, 1)]).await, [Claimed::Ours]);
    let (began, inbox) = (Instant::now(), inbox(&hand));
    while began.elapsed() < lease * 2 {
        assert_eq!(inbox.extend(&[claim(1, 1), claim(1, 2)]).await, Ok(vec![true, false]), "{:?} after the first", began.elapsed());
        assert_eq!(ask(&hand, &[claim(1, 2)]).await, [Claimed::Taken]);
        tokio::time::sleep(lease / 6).await;
    }
}

async fn a_claim_that_is_over_is_not_extended(bench: Bench<'_>) {
    let topic = bench.topic("t");
    bench.publish(&topic, &["a"]).await;
    let mut hand = usual(&bench, &topic).await;
    hand.fetch(1).await;
    assert_eq!(ask(&hand, &[claim(1, 1), claim(2, 2)]).await, [Claimed::Ours; 2]);
    ends(&mut hand, 0, claim(1, 1), true);
    hand.done(0).settle().await;
    let inbox = inbox(&hand);
    inbox.release(&[claim(2, 2)]).await.expect("the inbox answers");
    assert_eq!(inbox.extend(&[claim(1, 1), claim(2, 2)]).await, Ok(vec![false, false]), "an extension that comes late takes nothing");
    assert_eq!(ask(&hand, &[claim(1, 3), claim(2, 4)]).await, [Claimed::Done, Claimed::Ours]);
}

async fn what_is_given_back_is_free(bench: Bench<'_>) {
    let topic = bench.topic("t");
    bench.publish(&topic, &["a"]).await;
    let hand = usual(&bench, &topic).await;
    assert_eq!(ask(&hand, &[claim(1, 1), claim(2, 2)]).await, [Claimed::Ours; 2]);
    inbox(&hand).release(&[claim(1, 1), claim(2, 9)]).await.expect("the inbox answers");
    let answers = ask(&hand, &[claim(1, 3), claim(2, 4)]).await;
    assert_eq!(answers, [Claimed::Ours, Claimed::Taken], "nobody gives back what is another's");
}

async fn what_was_done_is_forgotten_after_its_window(bench: Bench<'_>) {
    let topic = bench.topic("t");
    bench.publish(&topic, &["a"]).await;
    let window = Duration::from_millis(800);
    let mut hand = hand(&bench, &topic, DedupTimes { window, lease: LONG }).await;
    hand.fetch(1).await;
    ask(&hand, &[claim(1, 1)]).await;
    ends(&mut hand, 0, claim(1, 1), true);
    let before = Instant::now();
    hand.done(0).settle().await;
    let answer = ask(&hand, &[claim(1, 2)]).await;
    assert!(answer == [Claimed::Done] || before.elapsed() >= window, "{answer:?} within the window");
    becomes(inbox(&hand), claim(1, 2), Claimed::Ours).await;
    assert!(before.elapsed() >= window, "forgotten after {:?}", before.elapsed());
}

async fn a_lane_that_ends_without_a_word_blocks_nobody_for_long(bench: Bench<'_>) {
    let topic = bench.topic("t");
    bench.publish(&topic, &["a"]).await;
    let times = DedupTimes { window: LONG, lease: Duration::from_millis(500) };
    let first = hand(&bench, &topic, times).await;
    assert_eq!(ask(&first, &[claim(1, 1)]).await, [Claimed::Ours]);
    drop(first);
    let second = hand(&bench, &topic, times).await;
    becomes(inbox(&second), claim(1, 2), Claimed::Ours).await;
}

async fn a_round_that_is_refused_remembers_nothing(bench: Bench<'_>) {
    let topic = bench.topic("t");
    bench.publish(&topic, &["a"]).await;
    let mut hand = usual(&bench, &topic).await;
    hand.fetch(1).await;
    ask(&hand, &[claim(1, 1)]).await;
    let mut outbox = longshore_core::Outbox::default();
    super::bench::push(&mut outbox, "not a topic*", None, "x", 0);
    ends(&mut hand, 0, claim(1, 1), true);
    hand.done(0).outputs(outbox);
    assert!(hand.try_settle().await.is_err(), "no topic has such a name");
    assert_eq!(ask(&hand, &[claim(1, 2)]).await, [Claimed::Taken], "it is not done");
    assert_eq!(inbox(&hand).extend(&[claim(1, 1)]).await, Ok(vec![true]));
}

async fn what_was_done_is_remembered_after_a_crash(bench: Bench<'_>) {
    let topic = bench.topic("t");
    bench.publish(&topic, &["a"]).await;
    let mut hand = usual(&bench, &topic).await;
    hand.fetch(1).await;
    ask(&hand, &[claim(1, 1)]).await;
    ends(&mut hand, 0, claim(1, 1), true);
    hand.done(0).settle().await;
    drop(hand);
    let bench = bench.crash().await;
    let hand = usual(&bench, &topic).await;
    assert_eq!(ask(&hand, &[claim(1, 2)]).await, [Claimed::Done]);
}
