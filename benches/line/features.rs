//! What the parts of the line cost: the same load on configurations that differ by one part. A figure of
//! a part is the difference of two medians of rounds in turns.

use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::TlsAcceptor;

use super::generator::Event;
use super::ledger::{Ledger, Matching};
use super::outcome::Result;
use super::receiver::Receiver;
use super::report::{Row, Section, Unit, median};
use super::subject::Subject;
use super::{meter, say, w1, work};

/// Workflows that look at every event and say no, where verdicts are measured.
const SAY_NO: usize = 10;

/// One configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Variant {
    /// An event that no workflow is for.
    Stored,
    /// Ten workflows say no to it.
    Refused,
    /// Half of them start a run of one step that does nothing outside.
    Run,
    /// W1: half of them become a webhook.
    Webhook,
    /// The same, signed.
    Signed,
    /// The same, over TLS, unsigned.
    Tls,
}

const VARIANTS: [(Variant, &str); 6] = [
    (Variant::Stored, "no workflow for it"),
    (Variant::Refused, "10 workflows say no"),
    (Variant::Run, "half start a run that ends at once"),
    (Variant::Webhook, "half send a webhook (W1)"),
    (Variant::Signed, "half send a signed webhook"),
    (Variant::Tls, "half send a webhook over TLS"),
];

#[derive(Clone, Copy, Debug)]
struct Found {
    rate: f64,
    cpu: f64,
    /// Bytes of keys and values an event: counted, so exact.
    stored: f64,
}

/// So many rounds of each, with full load for so long.
pub(crate) async fn run(rounds: usize, length: Duration) -> Result<Section> {
    let mut found: Vec<Vec<Found>> = vec![Vec::new(); VARIANTS.len()];
    for round in 1..=rounds {
        for ((variant, what), found) in VARIANTS.iter().zip(&mut found) {
            say(&format!("features, round {round} of {rounds}: {what}"));
            found.push(measure(*variant, length).await?);
        }
    }
    let mut section = Section::new("What the parts cost, by difference");
    let middle =
        |at: usize, get: fn(&Found) -> f64| median(found[at].iter().map(get)).unwrap_or(0.0);
    for (at, (variant, what)) in VARIANTS.iter().enumerate() {
        let name = |unit: &str| format!("features_{variant:?}_{unit}").to_lowercase();
        let rate = middle(at, |found| found.rate);
        section.row(Row::new(&name("rate"), &format!("{what}: events/s"), Unit::Count, rate));
        let cpu = middle(at, |found| found.cpu * 1e6);
        section.row(Row::new(&name("cpu"), &format!("{what}: CPU an event"), Unit::Micros, cpu));
        let stored = middle(at, |found| found.stored);
        let what = format!("{what}: keys and values an event");
        section.row(Row::new(&name("stored"), &what, Unit::Bytes, stored));
    }
    // Half of the events have what is measured, or ten of it.
    let parts: [(&str, &str, usize, usize, f64); 5] = [
        ("verdict", "a verdict of no", 1, 0, 1.0 / SAY_NO as f64),
        ("run", "a run with its trace", 2, 0, 2.0),
        ("webhook", "a webhook, its run not counted", 3, 2, 2.0),
        ("signature", "a signature", 4, 3, 2.0),
        ("tls", "TLS, on a connection that is kept", 5, 3, 2.0),
    ];
    for (name, what, with, without, times) in parts {
        let cpu = |at| middle(at, |found| found.cpu * 1e6);
        let stored = |at| middle(at, |found| found.stored);
        let cost = (cpu(with) - cpu(without)) * times;
        section.row(Row::new(
            &format!("part_{name}_cpu"),
            &format!("{what}: CPU"),
            Unit::Micros,
            cost,
        ));
        let cost = (stored(with) - stored(without)) * times;
        section.row(Row::new(
            &format!("part_{name}_stored"),
            &format!("{what}: keys and values"),
            Unit::Bytes,
            cost,
        ));
    }
    section.note(format!(
        "{rounds} rounds of {length:.0?} under full load; differences below a few µs are noise"
    ));
    Ok(section)
}

async fn measure(variant: Variant, length: Duration) -> Result<Found> {
    let authority = (variant == Variant::Tls).then(Authority::new).transpose()?;
    let acceptor = authority.as_ref().map(|authority| authority.acceptor.clone());
    let receiver = Receiver::start(acceptor).await?;
    let url = match variant {
        Variant::Tls => receiver.url().replace("http://", "https://"),
        _ => receiver.url(),
    };
    let rules = match variant {
        Variant::Stored => work::always("other", "other.type", "  - stop: seen\n"),
        Variant::Refused => (0..SAY_NO).map(says_no).collect::<Vec<_>>().join("---\n"),
        Variant::Run => work::rule("http://127.0.0.1/")
            .replace(&work::step("http://127.0.0.1/"), "  - stop: seen\n"),
        Variant::Webhook | Variant::Signed | Variant::Tls => work::rule(&url),
    };
    let more = match variant {
        Variant::Signed => "  secret: hook\n",
        Variant::Tls => "  ca: ca.pem\n",
        _ => "",
    };
    let mut subject = Subject::adjutant(&rules, more)?;
    subject.write("credentials/hook", "a secret of this benchmark only")?;
    if let Some(authority) = &authority {
        subject.write("ca.pem", &authority.pem)?;
    }
    subject.start()?;
    let comes_back = matches!(variant, Variant::Webhook | Variant::Signed | Variant::Tls);
    let matching = if comes_back { Matching::Half } else { Matching::None };
    let event: Event =
        Arc::new(|ledger: &Ledger, seq| work::of(ledger.run, seq, work::KIND, Matching::Half, ""));
    let mut load = subject.load();
    load.event = event;
    let warm = receiver.ledgers.open(matching);
    load.closed(&warm, Duration::from_millis(500)).await;
    w1::settle(&warm).await;
    let ledger = receiver.ledgers.open(matching);
    let cpu = meter::cpu(subject.pid());
    load.closed(&ledger, length).await;
    w1::settle(&ledger).await;
    let events = ledger.len().max(1) as f64;
    let lost = ledger.audit().lost;
    if lost > 0 {
        return Err(format!("{variant:?}: {lost} webhooks did not come").into());
    }
    let cpu = (meter::cpu(subject.pid()) - cpu) / events;
    subject.stop()?;
    let stored = subject.live()? / (warm.len() + ledger.len()).max(1) as f64;
    Ok(Found { rate: w1::rates(&ledger).sustained, cpu, stored })
}

/// A workflow that must look at the event to say no: its condition is not one on a constant.
fn says_no(number: usize) -> String {
    format!(
        "workflow: no-{number}\ntriggers:\n  - event: {}\n    where: event.data.score + {number} > 1000\nsteps:\n  \
         - stop: seen\n",
        work::KIND
    )
}

/// A certificate authority of this run's own, and a server under it.
struct Authority {
    pem: String,
    acceptor: TlsAcceptor,
}

impl Authority {
    fn new() -> Result<Self> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "a benchmark's own authority");
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let key = KeyPair::generate()?;
        let certificate =
            CertificateParams::new(vec!["127.0.0.1".to_owned()])?.signed_by(&key, &issuer)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)?;
        Ok(Self { pem: issuer.pem(), acceptor: TlsAcceptor::from(Arc::new(server)) })
    }
}
