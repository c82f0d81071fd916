//! Stores, locks and jobs, against the double of the host.

use std::time::Duration;

use longshore_sdk::{
    Error, Failure, Outgoing, cache,
    consumer::{self, Subscription},
    key_value, lock,
    testing::{self, Host},
};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn cached_values_expire_by_the_clock_of_the_test() -> Result<(), Error> {
    let host = Host::new();
    host.enter(|| {
        let bucket = cache::open("sessions")?;
        bucket.set("ada", "here", Some(SECOND * 2))?;
        assert!(!bucket.add("ada", "again", None)?);
        host.advance(SECOND);
        assert_eq!(bucket.ttl("ada")?, Some(SECOND));
        assert_eq!(cache::open("sessions")?.get("ada")?.as_deref(), Some(&b"here"[..]));
        assert_eq!(cache::open("others")?.get("ada")?, None);
        host.advance(SECOND);
        assert_eq!(bucket.get("ada")?, None);
        assert_eq!(bucket.set("ada", "", Some(Duration::ZERO)), Err(Error::Invalid("a ttl of 0".to_owned())));
        Ok(())
    })
}

#[test]
fn values_count_swap_and_go() -> Result<(), Error> {
    Host::new().enter(|| {
        let bucket = key_value::open("counts")?;
        assert_eq!((bucket.increment("n", 2)?, bucket.increment("n", -5)?), (2, -3));
        assert!(matches!(bucket.increment("n", i64::MAX), Err(Error::Invalid(_))));
        // What a host takes for no number, the double does not either.
        for text in ["+1", "", "1.5", "9007199254740993"] {
            bucket.set("odd", text)?;
            assert!(matches!(bucket.increment("odd", 0), Err(Error::Invalid(_))), "{text}");
        }
        bucket.set_many(&[("a:1", b"x"), ("a:2", b"y"), ("b:1", b"z")])?;
        assert!(matches!(bucket.increment("a:1", 1), Err(Error::Invalid(_))));
        assert!(bucket.compare_and_set("a:1", Some(b"x"), "new")?);
        assert!(!bucket.compare_and_set("a:1", None, "newer")?);
        assert_eq!(bucket.get_many(&["a:1", "none"])?, [Some(b"new".to_vec()), None]);
        assert_eq!(bucket.keys("a:*", None)?.keys, ["a:1", "a:2"]);
        assert_eq!(bucket.delete_matching("*:1")?, 2);
        assert_eq!((bucket.delete("a:2")?, bucket.delete("a:2")?), (true, false));
        Ok(())
    })
}

#[cfg(feature = "json")]
#[test]
fn values_are_json_where_that_is_asked_for() -> Result<(), Error> {
    Host::new().enter(|| {
        let (cached, kept) = (cache::open("sessions")?, key_value::open("carts")?);
        cached.set_json("ada", &vec![1, 2], Some(SECOND))?;
        kept.set_json("ada", "two")?;
        assert_eq!((cached.json::<Vec<u8>>("ada")?, kept.json::<String>("ada")?), (Some(vec![1, 2]), Some("two".to_owned())));
        assert_eq!((cached.json::<u8>("none")?, kept.json::<u8>("none")?), (None, None));
        assert!(matches!(kept.json::<u8>("ada"), Err(Error::Invalid(why)) if why.contains("\"ada\"")));
        Ok(())
    })
}

#[test]
fn a_missing_value_is_computed_once_and_only_where_nobody_else_does_it() -> Result<(), Error> {
    let host = Host::new();
    host.enter(|| {
        let pages = cache::open("pages")?;
        let failed = pages.get_or_compute("p", Some(SECOND), || Err(Error::Other("no".to_owned())));
        assert_eq!(failed, Err(Error::Other("no".to_owned())));
        assert!(!lock::held("cache:pages:p")?, "the next one may try");
        for made in ["first", "second"] {
            assert_eq!(pages.get_or_compute("p", Some(SECOND), || Ok::<_, Error>(made.into()))?, b"first");
        }
        host.advance(SECOND);
        let elsewhere = lock::acquire("cache:pages:p", SECOND, Duration::ZERO)?;
        let waited = pages.get_or_compute("p", None, || -> Result<Vec<u8>, Error> { unreachable!("somebody else does") });
        assert_eq!(waited, Err(Error::Timeout));
        drop(elsewhere);
        assert_eq!(pages.get_or_compute("p", None, || Ok::<_, Error>(b"anew".to_vec()))?, b"anew");
        Ok(())
    })
}

#[test]
fn a_lock_is_held_until_it_is_dropped_or_its_time_is_over() -> Result<(), Error> {
    let host = Host::new();
    host.enter(|| {
        let first = lock::acquire("charge", SECOND, Duration::ZERO)?;
        assert_eq!(lock::acquire("charge", SECOND, Duration::ZERO).err(), Some(Error::Conflict));
        assert_eq!(lock::acquire("charge", SECOND, SECOND).err(), Some(Error::Timeout));
        host.advance(SECOND);
        let second = lock::acquire("charge", SECOND, Duration::ZERO)?;
        assert!(second.fence() > first.fence());
        assert_eq!(first.release(), Err(Error::Conflict));
        assert!(lock::held("charge")?);
        drop(second);
        assert!(!lock::held("charge")?);
        Ok(())
    })
}

#[test]
fn a_kept_lock_lasts_until_the_call_ends_and_tells_when_it_is_lost() -> Result<(), Error> {
    let host = Host::new();
    host.enter(|| {
        let guard = lock::acquire("charge", SECOND, Duration::ZERO)?;
        guard.keep()?;
        host.advance(SECOND * 60);
        assert!(guard.is_held() && lock::held("charge")?);
        // As an operator, or a server that forgot it, would.
        host.lose_lock("charge");
        assert!(!guard.is_held() && !lock::held("charge")?);
        assert_eq!((guard.keep(), guard.renew(SECOND)), (Err(Error::Conflict), Err(Error::Conflict)));
        let next = lock::acquire("charge", SECOND, Duration::ZERO)?;
        assert!(next.fence() > guard.fence());
        drop(guard);
        assert!(next.is_held());
        assert!(matches!(next.renew(Duration::ZERO), Err(Error::Invalid(_))));
        Ok(())
    })
}

#[test]
fn a_name_that_is_refused_answers_its_error() {
    let denied = Error::Denied("sessions".to_owned());
    let host = Host::new().refuse("sessions", denied.clone());
    assert_eq!(host.enter(|| cache::open("sessions")).err(), Some(denied));
}

#[longshore_sdk::job]
fn copy() -> Result<(), Failure> {
    let source = Subscription::open("orders")?;
    while !consumer::stopping() {
        for delivery in source.receive(2, SECOND)? {
            let outcome = match delivery.message().payload() {
                b"bad" => Err(Failure::reject("bad")),
                payload => Ok(vec![Outgoing::to("copies").payload(payload)]),
            };
            delivery.settle(outcome)?;
        }
    }
    Ok(())
}

#[test]
fn a_job_receives_and_settles() {
    let order = |id: &str, payload: &str| testing::Message::new("orders").id(id).payload(payload);
    let host = Host::new().subscription("orders", [order("1", "good"), order("2", "bad"), order("3", "fine")]);
    assert_eq!(host.run_job(copy), Ok(()));
    let told: Vec<_> =
        host.settled().into_iter().map(|(id, done)| (id, done.outcome, done.outputs.first().map(testing::Output::text))).collect();
    let ok = |id: &str, text: &str| (id.to_owned(), Ok(()), Some(text.to_owned()));
    assert_eq!(told, [ok("1", "good"), ("2".to_owned(), Err(Failure::reject("bad")), None), ok("3", "fine")]);
}

#[test]
fn a_job_without_its_subscription_ends_with_the_error() {
    assert_eq!(Host::new().run_job(copy), Err("retry: not granted: orders".to_owned()));
}

#[test]
fn a_delivery_that_is_not_settled_comes_again() -> Result<(), Error> {
    let host = Host::new().subscription("orders", [testing::Message::new("orders").payload("x")]);
    host.enter(|| {
        let source = Subscription::open("orders")?;
        drop(source.receive(1, SECOND)?);
        assert_eq!(source.receive(1, SECOND)?[0].message().payload(), b"x");
        assert!(!consumer::stopping());
        Ok(())
    })
}
