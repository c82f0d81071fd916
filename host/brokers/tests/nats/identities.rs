//! Users who prove who they are by a signature: with an nkey, and with credentials as `nsc` writes them.

use std::fmt::Write;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use longshore_core::{BrokerError, Fix, Roles};
use longshore_testkit::servers::{Nats, NatsOptions};
use nkeys::KeyPair;
use serde_json::{Value, json};

use super::support::connect;
use crate::work::publish;

/// A claim about `subject` that `issuer` signs: <https://docs.nats.io/running-a-nats-service/nats_admin/security/jwt>.
fn claim(issuer: &KeyPair, subject: &KeyPair, mut what: Value) -> String {
    what["version"] = json!(2);
    let claims = json!({ "jti": "test", "iat": 1_700_000_000, "iss": issuer.public_key(), "sub": subject.public_key(), "name": "test", "nats": what });
    let header = json!({ "typ": "JWT", "alg": "ed25519-nkey" });
    let signed = format!("{}.{}", BASE64.encode(header.to_string()), BASE64.encode(claims.to_string()));
    let signature = issuer.sign(signed.as_bytes()).expect("a whole key signs");
    format!("{signed}.{}", BASE64.encode(signature))
}

/// A server that believes an operator, with an account that has JetStream, and the file with a user's credentials.
fn server_of_an_operator() -> Option<(Nats, tempfile::TempDir, PathBuf)> {
    let (operator, system, account, user) = (KeyPair::new_operator(), KeyPair::new_account(), KeyPair::new_account(), KeyPair::new_user());
    let limits = json!({
        "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1, "leaf": -1,
        "mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1,
    });
    let of_account = |key: &KeyPair, limits: &Value| claim(&operator, key, json!({ "type": "account", "limits": limits }));
    let plain = json!({ "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1, "leaf": -1 });
    let mut lines = format!("operator: \"{}\"\n", claim(&operator, &operator, json!({ "type": "operator" })));
    writeln!(lines, "resolver: MEMORY\nsystem_account: {}", system.public_key()).expect("a string takes all");
    let accounts = [(&system, of_account(&system, &plain)), (&account, of_account(&account, &limits))];
    let preloaded = accounts.map(|(key, jwt)| format!("{}: \"{jwt}\"", key.public_key())).join(", ");
    writeln!(lines, "resolver_preload: {{ {preloaded} }}").expect("a string takes all");
    let nats = Nats::start(&NatsOptions::default().line(&lines))?;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("user.creds");
    let jwt = claim(&account, &user, json!({ "type": "user", "subs": -1, "data": -1, "payload": -1 }));
    let seed = user.seed().expect("a whole key has a seed");
    let text = format!(
        "-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n-----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
    );
    std::fs::write(&file, text).expect("a writable folder");
    Some((nats, folder, file))
}

async fn lets_in(config: Value) {
    let roles: Roles = connect(config, Vec::new()).await.expect("it lets in");
    publish(&roles, "t", &["a"]).await.expect("published");
}

async fn refuses(config: Value, words: &[&str]) {
    let error: BrokerError = connect(config, Vec::new()).await.err().expect("it is refused");
    assert_eq!(error.fix, Fix::GiveUp, "{error}");
    words.iter().for_each(|word| assert!(error.what.contains(word), "{error}"));
}

#[tokio::test]
async fn an_nkey_lets_in_and_another_does_not() {
    let (ours, theirs) = (KeyPair::new_user(), KeyPair::new_user());
    let Some(nats) = Nats::start(&NatsOptions::default().nkey(&ours.public_key())) else { return };
    let with = |key: &KeyPair| json!({ "url": nats.url(), "nkey": key.seed().expect("a whole key") });
    lets_in(with(&ours)).await;
    refuses(with(&theirs), &["does not let us in", "nkey"]).await;
}

#[tokio::test]
async fn credentials_let_in_and_damaged_ones_do_not() {
    let Some((nats, folder, file)) = server_of_an_operator() else { return };
    let with = |file: &PathBuf| json!({ "url": nats.url(), "credentials-file": file });
    lets_in(with(&file)).await;
    let text = std::fs::read_to_string(&file).expect("the file");
    let damaged = folder.path().join("damaged.creds");
    std::fs::write(&damaged, "nothing").expect("a writable folder");
    refuses(with(&damaged), &["credentials-file", "damaged.creds"]).await;
    let (other, file) = (KeyPair::new_user(), folder.path().join("other.creds"));
    let seed = text.lines().find(|line| line.starts_with("SU")).expect("a seed");
    std::fs::write(&file, text.replace(seed, &other.seed().expect("a whole key"))).expect("a writable folder");
    refuses(with(&file), &["does not let us in"]).await;
}
