//! `consume`: messages of a topic, one line of JSON each.

use longshore_admin::model::{Begin, Browse, MAX_PAGE, MAX_WAIT, Received, Take};

use super::App;
use super::failure::Failure;
use super::output::line;
use super::session::{Need, Session};

/// Messages that are shown where nothing says how many and where to begin, as `tail` does.
const TAIL: usize = 10;
/// How long a group is given to hand over what it has, milliseconds.
const GROUP_WAIT: u64 = 1000;

/// Prints messages.
///
/// Without --from-start, the newest ones (10, or --count). Without --group, nobody's position moves. With --group, what is printed is
/// acknowledged for the group; a queue begins with its oldest message anyway. With --follow it goes on until --count is reached.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The topic
    topic: String,
    /// Read as a member of this group, and acknowledge
    #[arg(long)]
    group: Option<String>,
    /// At most so many messages
    #[arg(long, short = 'n', value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Begin with the oldest message; with --group, only where the group is new
    #[arg(long)]
    from_start: bool,
    /// Wait for more
    #[arg(long, short)]
    follow: bool,
    /// The broker
    #[arg(long)]
    broker: Option<String>,
}

pub(super) async fn run(app: &App<'_>, args: Args) -> Result<(), Failure> {
    Session::with(app, Need::One(args.broker.as_deref()), async |session| match &args.group {
        Some(group) => take(session, &args, group).await,
        None => browse(session, &args).await,
    })
    .await
}

/// Counts down to the end.
struct Left(Option<u64>);

impl Left {
    fn page(&self) -> usize {
        self.0.map_or(MAX_PAGE, |left| usize::try_from(left).unwrap_or(MAX_PAGE).min(MAX_PAGE))
    }

    /// Prints them; false when there were enough.
    fn print(&mut self, messages: &[Received]) -> Result<bool, Failure> {
        messages.iter().try_for_each(|m| line(&m.message.to_string()))?;
        if let Some(left) = &mut self.0 {
            *left = left.saturating_sub(messages.len() as u64);
        }
        Ok(self.0 != Some(0))
    }
}

async fn browse(session: &Session, args: &Args) -> Result<(), Failure> {
    let mut left = Left(args.count);
    let mut ask = Browse {
        broker: args.broker.clone(),
        topic: args.topic.clone(),
        after: 0,
        newest: !args.from_start,
        limit: Some(if args.from_start { left.page() } else { left.page().min(args.count.map_or(TAIL, |_| MAX_PAGE)) }),
        wait_ms: 0,
    };
    loop {
        let messages = session.control.browse(ask.clone()).await?;
        if ask.newest && !args.follow && messages.is_empty() {
            // A topic that is not there is told as such.
            session.control.topic(args.broker.as_deref(), &args.topic).await?;
        }
        ask.after = messages.last().map_or(ask.after, |m| m.position);
        let more = left.print(&messages)?;
        let at_end = ask.newest || messages.is_empty();
        if !more || (at_end && !args.follow) {
            return Ok(());
        }
        ask = Browse { newest: false, limit: Some(left.page()), wait_ms: if args.follow { MAX_WAIT } else { 0 }, ..ask };
    }
}

async fn take(session: &Session, args: &Args, group: &str) -> Result<(), Failure> {
    let mut left = Left(args.count);
    loop {
        let ask = Take {
            broker: args.broker.clone(),
            topic: args.topic.clone(),
            group: group.into(),
            from: if args.from_start { Begin::Beginning } else { Begin::End },
            limit: Some(left.page()),
            wait_ms: if args.follow { MAX_WAIT } else { GROUP_WAIT },
        };
        let messages = session.control.take(ask).await?;
        let more = left.print(&messages)?;
        if !more || (messages.is_empty() && !args.follow) {
            return Ok(());
        }
    }
}
