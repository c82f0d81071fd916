//! A job: receives from the subscription that `config.subscription` names until there is nothing for a while or it is to stop, and
//! publishes each payload in capitals to the topic `config.to`.

use std::time::Duration;

use longshore_sdk::{
    Failure, OrFail, Outgoing, config,
    consumer::{self, Subscription},
};

/// How many it asks for at once, and how long it waits for the first.
const MANY: u32 = 100;
const WAIT: Duration = Duration::from_millis(200);

#[longshore_sdk::job]
fn run() -> Result<(), Failure> {
    let source = Subscription::open(&config::get("subscription").or_reject("no config.subscription")?)?;
    let to = config::get("to").or_reject("no config.to")?;
    while !consumer::stopping() {
        let deliveries = source.receive(MANY, WAIT)?;
        if deliveries.is_empty() {
            break;
        }
        for delivery in deliveries {
            let capitals = delivery.message().payload().to_ascii_uppercase();
            let outgoing = Outgoing::to(&to).key_of(delivery.message()).payload(capitals);
            delivery.settle(Ok(vec![outgoing]))?;
        }
    }
    Ok(())
}
