//! Looking whether streams and consumers are there and fit, and whether the user may do what is needed. Nothing is changed.

use std::collections::BTreeMap;
use std::time::Duration;

use longshore_core::{BrokerError, Finding, Intent, Start};

use super::api::{self, Said};
use super::consumers::{self, Wanted, compare};
use super::keys::Subscription as Keys;
use super::retries;
use super::streams::Broker;
use crate::declare::Declare;
use crate::nats::names::{covers, filter};

/// Subjects that every host hears.
const HEARD: [&str; 3] = ["_INBOX.answer", "longshore-members.s.g", "longshore-purged.s"];

/// One subscription that is looked at.
struct Looking<'a> {
    broker: &'a Broker,
    intent: &'a Intent,
    own: Keys,
    declare: Declare,
    findings: Vec<Finding>,
    /// What has to be published.
    publish: Vec<String>,
}

impl Broker {
    /// What is in the way of a subscription.
    pub(super) async fn check_subscription(&self, intent: &Intent) -> Result<Vec<Finding>, BrokerError> {
        let own: Keys = intent.subscribe.own.read()?;
        let declare = own.declare.unwrap_or(self.declare);
        let mut looking = Looking { broker: self, intent, own, declare, findings: Vec::new(), publish: Vec::new() };
        let told = looking.look().await.err().map(in_the_way).transpose()?;
        let missing = match self.link.rights().await {
            Some(rights) => rights.missing(&looking.publish, &HEARD),
            None => None,
        };
        looking.findings.extend(told.into_iter().chain(missing));
        Ok(looking.findings)
    }

    /// What is in the way of publishing.
    pub(super) async fn check_publishing(&self, topic: &str) -> Result<Vec<Finding>, BrokerError> {
        let mut publish = vec![topic.to_owned(), format!("{}.STREAM.NAMES", self.js.prefix)];
        let mut findings = Vec::new();
        match self.streams_of(topic).await {
            Ok(streams) if !streams.is_empty() => {
                publish.push(format!("{}.STREAM.INFO.{}", self.js.prefix, streams[0]));
                findings.extend(self.forgets_soon(&streams[0]).await);
            }
            Ok(_) if self.declare == Declare::Create => publish.push(self.making(topic, None)),
            Ok(_) => findings.push(no_stream(topic)),
            Err(said) => findings.push(in_the_way(said)?),
        }
        if let Some(rights) = self.link.rights().await {
            findings.extend(rights.missing(&publish, &["_INBOX.answer"]));
        }
        Ok(findings)
    }

    /// Advice where a stream has forgotten an output's id by the time the output may come again. A missing right is told with the others.
    async fn forgets_soon(&self, stream: &str) -> Option<Finding> {
        let there = api::stream(&self.js, stream, None).await.ok().flatten()?;
        let window = Duration::from_nanos(there.config["duplicate_window"].as_u64()?);
        let lease = Keys::default().lease.get();
        let problem = format!(
            "stream {stream:?} of NATS remembers ids for {window:?}, and what a host had that died comes again after {lease:?} (`lease`): what was \
             published of it is kept twice then"
        );
        (window < lease).then(|| Finding::advice("", problem, format!("nats stream edit {stream} --dupe-window 2m")))
    }

    /// Where a stream is made for a topic.
    fn making(&self, topic: &str, stream: Option<&str>) -> String {
        format!("{}.STREAM.CREATE.{}", self.js.prefix, self.name_for(topic, stream))
    }
}

impl Looking<'_> {
    async fn look(&mut self) -> Result<(), Said> {
        let api = |what: &str| format!("{}.{what}", self.broker.js.prefix);
        self.publish.extend([api("STREAM.NAMES"), api(&format!("STREAM.INFO.{}", retries::STREAM))]);
        if api::stream(&self.broker.js, retries::STREAM, None).await?.is_none() {
            match self.declare {
                Declare::Create => self.publish.push(api(&format!("STREAM.CREATE.{}", retries::STREAM))),
                Declare::Passive | Declare::None => {
                    let problem = format!("there is no stream {:?} on NATS, which keeps retries", retries::STREAM);
                    let help = "nats stream add longshore-retries --subjects 'longshore-retries.>' --retention work --storage file \
                                --allow-direct, or write declare = \"create\"";
                    self.findings.push(Finding::mistake("declare", problem, help));
                }
            }
        }
        let mut streams: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for topic in &self.intent.subscribe.topics {
            let wanted = filter(topic);
            for stream in self.streams(&wanted, topic.is_wild()).await? {
                streams.entry(stream).or_default().push(wanted.clone());
            }
        }
        for (stream, wanted) in streams {
            self.consumers(&stream, &wanted).await?;
        }
        Ok(())
    }

    /// The streams that keep some of a topic.
    async fn streams(&mut self, wanted: &str, is_wild: bool) -> Result<Vec<String>, Said> {
        let Some(name) = self.own.stream.clone() else {
            let found = self.broker.streams_of(wanted).await?;
            if found.is_empty() && !is_wild {
                match self.declare {
                    Declare::Create => self.publish.push(self.broker.making(wanted, None)),
                    Declare::Passive | Declare::None => self.findings.push(no_stream(wanted)),
                }
            }
            return Ok(if is_wild { found } else { found.into_iter().take(1).collect() });
        };
        let Some(stream) = api::stream(&self.broker.js, &name, None).await? else {
            match self.declare {
                Declare::Create => self.publish.push(self.broker.making(wanted, Some(&name))),
                Declare::Passive | Declare::None => {
                    let help = format!("nats stream add {name} --subjects '{wanted}', or write declare = \"create\"");
                    self.findings.push(Finding::mistake("stream", format!("there is no stream {name:?} on NATS"), help));
                }
            }
            return Ok(Vec::new());
        };
        let subjects = stream.subjects();
        if !subjects.iter().any(|subject| covers(subject, wanted) || covers(wanted, subject)) {
            let problem = format!("stream {name:?} of NATS takes {}, and not {wanted}", subjects.join(", "));
            self.findings.push(Finding::mistake("stream", problem, "name the stream that takes it, or leave `stream` out"));
            return Ok(Vec::new());
        }
        Ok(vec![name])
    }

    /// The two consumers of the group on a stream.
    async fn consumers(&mut self, stream: &str, wanted: &[String]) -> Result<(), Said> {
        let prefix = self.broker.js.prefix.clone();
        let group = self.intent.subscribe.group.clone().unwrap_or_else(|| "longshore-broadcast".into());
        let Some(info) = api::stream(&self.broker.js, stream, None).await? else { return Ok(()) };
        let copies = retries::consumer(stream, &group);
        let (start, lease) = (self.intent.subscribe.start.clone(), self.own.lease.get());
        let (durable, declare) = match self.intent.subscribe.group {
            Some(_) => (true, self.declare),
            None => (false, Declare::Create),
        };
        let filters = consumers::filters(&info.subjects(), wanted);
        let main = Wanted { stream, name: &group, durable, filters, start: &start, lease, declare };
        self.consumer(&main).await?;
        let filters = vec![retries::filter(stream, &group)];
        self.consumer(&Wanted { stream: retries::STREAM, name: &copies, filters, start: &Start::Earliest, ..main }).await?;
        for (stream, consumer) in [(stream, &group), (retries::STREAM, &copies)] {
            let of = ["STREAM.INFO", "DIRECT.GET"].map(|what| format!("{prefix}.{what}.{stream}"));
            self.publish.extend(of.into_iter().chain([
                format!("{prefix}.CONSUMER.INFO.{stream}.{consumer}"),
                format!("{prefix}.CONSUMER.MSG.NEXT.{stream}.{consumer}"),
                format!("$JS.ACK.{stream}.{consumer}.1.1.1.1.0"),
            ]));
        }
        let members = [format!("longshore-members.{stream}.{group}"), "_INBOX.member".to_owned()];
        self.publish.extend(members.into_iter().chain([retries::subject(stream, &group, 1)]));
        Ok(())
    }

    async fn consumer(&mut self, wanted: &Wanted<'_>) -> Result<(), Said> {
        let Wanted { stream, name, declare, .. } = wanted;
        let named = format!("consumer {name:?} of stream {stream:?}");
        let making = format!("{}.CONSUMER.CREATE.{stream}.{name}", self.broker.js.prefix);
        let Some(there) = api::consumer(&self.broker.js, stream, name).await? else {
            match declare {
                Declare::Create if *wanted.start == Start::None => {
                    let problem = format!("there is no {named}, and start = \"none\" makes none");
                    self.findings.push(Finding::mistake("start", problem, "begin once with \"earliest\" or \"latest\""));
                }
                Declare::Create => self.publish.push(making),
                Declare::Passive | Declare::None => {
                    let help =
                        format!("nats consumer add {stream} {name} --pull --ack explicit --max-deliver=-1, or write declare = \"create\"");
                    self.findings.push(Finding::mistake("group", format!("there is no {named} on NATS"), help));
                }
            }
            return Ok(());
        };
        let fit = match compare(&there, wanted) {
            Ok(fit) => fit,
            Err(what) => {
                self.findings.push(Finding::mistake("group", format!("{named} {what}"), ""));
                return Ok(());
            }
        };
        let mut differences = fit.differences.join("; ");
        if fit.lease < self.intent.deadline && !differences.is_empty() && *declare != Declare::Create {
            differences.push_str(&format!(", shorter than the {:?} that a call may take", self.intent.deadline));
        }
        match declare {
            _ if differences.is_empty() => {}
            Declare::Create => self.publish.push(making),
            Declare::Passive => {
                let help = "change it with `nats consumer edit`, or write declare = \"create\"";
                self.findings.push(Finding::mistake("declare", format!("{named} {differences}"), help));
            }
            Declare::None => {
                let help = "change it with `nats consumer edit`; it is taken as it is, and what is held is extended in time";
                self.findings.push(Finding::advice("declare", format!("{named} {differences}"), help));
            }
        }
        Ok(())
    }
}

/// What the server refuses, unless it is trouble that may be over the next time.
fn in_the_way(said: Said) -> Result<Finding, BrokerError> {
    match said {
        Said::Trouble(words) => Err(BrokerError::retry(words)),
        said => Ok(Finding::mistake("", said.to_string(), "see the page of NATS for what is needed")),
    }
}

fn no_stream(topic: &str) -> Finding {
    let help = format!("nats stream add NAME --subjects '{topic}', or write declare = \"create\"");
    Finding::mistake("topic", format!("no stream of NATS takes {topic:?}"), help)
}
