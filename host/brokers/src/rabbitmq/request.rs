//! Requests: RabbitMQ's own address for answers, on a channel for each request. <https://www.rabbitmq.com/docs/direct-reply-to>

use std::time::Duration;

use futures::StreamExt;
use lapin::Channel;
use lapin::options::{BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::FieldTable;
use longshore_core::{Batch, BrokerError, Fix, Outbox, PublishError, Receipt};

use super::names::REPLY_TO;
use super::publisher::Routes;
use super::server::Server;
use super::{lane, trouble};

/// Publishes the one message of `outbox` and waits for the answer to it.
pub(super) async fn request(server: &Server, outbox: &Outbox, timeout: Duration) -> Result<Batch, PublishError> {
    match tokio::time::timeout(timeout, ask(server, outbox)).await {
        Ok(answer) => answer,
        Err(_) => Err(PublishError::Timeout),
    }
}

async fn ask(server: &Server, outbox: &Outbox) -> Result<Batch, PublishError> {
    let open = server.publishing.get().await.map_err(broker)?;
    server.refuse_if_blocked(&open).map_err(broker)?;
    let mut letter = Routes::new(server, &open).letter(outbox, 0).await.map_err(PublishError::from)?;
    letter.properties = letter.properties.with_reply_to(REPLY_TO.into());
    let channel = open.channel().await.map_err(broker)?;
    let failed = |error: lapin::Error| broker(trouble::told("asking", &error));
    let mut answers = listen(&channel).await.map_err(failed)?;
    let options = BasicPublishOptions { mandatory: true, ..Default::default() };
    let sent = channel.basic_publish(letter.exchange, letter.key, options, letter.payload, letter.properties).await.map_err(failed)?;
    let confirmation = sent.await.map_err(failed)?;
    if confirmation.is_nack() {
        return Err(PublishError::Unavailable("the server refused the request".into()));
    }
    if let Some(returned) = confirmation.take_message() {
        let topic = outbox.row(0).topic();
        return Err(PublishError::Invalid(format!("topic {topic:?}: no queue is bound for it ({})", returned.reply_text)));
    }
    match answers.next().await {
        Some(Ok(delivery)) => {
            let mut batch = Batch::default();
            let received = super::envelope::unpack(&delivery.properties, delivery.routing_key.as_str(), false);
            lane::push(&mut batch, &received, &delivery.data, Receipt { position: 1, token: &[] });
            Ok(batch)
        }
        Some(Err(error)) => Err(failed(error)),
        None => Err(PublishError::Unavailable("the connection was lost while an answer was waited for".into())),
    }
}

async fn listen(channel: &Channel) -> Result<lapin::Consumer, lapin::Error> {
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let options = BasicConsumeOptions { no_ack: true, ..Default::default() };
    channel.basic_consume(REPLY_TO.into(), "".into(), options, FieldTable::default()).await
}

fn broker(error: BrokerError) -> PublishError {
    match error.fix {
        Fix::GiveUp | Fix::Repair => PublishError::Invalid(error.what),
        Fix::Retry | Fix::Reconnect => PublishError::Unavailable(error.what),
    }
}
