//! An SMTP server that answers as scripted and keeps everything it was told (RFC 5321, RFC 3207,
//! RFC 4954 with PLAIN and LOGIN).

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio_rustls::TlsAcceptor;

use super::mail::Mail;
use super::pki::Authority;
use super::thread::Server;

/// When the conversation is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::enum_variant_names, reason = "the command is called so")]
pub(crate) enum Tls {
    /// Never.
    None,
    /// After `STARTTLS`, and no mail before it.
    StartTls,
    /// From the first byte.
    Implicit,
}

/// What happens to one mail, from `MAIL FROM` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It is taken.
    Accept,
    /// This code answers `RCPT TO`.
    AtRcpt(u16),
    /// This code answers the end of the data.
    AfterData(u16),
    /// It is taken, but the connection breaks before the answer.
    TakenUnanswered,
    /// The connection breaks at `MAIL FROM`.
    HangUp,
    /// It is taken, and the client waits for the answer as long as it lives.
    TakenSilently,
}

/// One mail that somebody tried to hand over.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    /// The envelope's sender.
    pub(crate) from: String,
    /// The envelope's recipients.
    pub(crate) to: Vec<String>,
    /// The mail, if it came to that.
    pub(crate) mail: Option<Mail>,
    /// What happened to it.
    pub(crate) turn: Turn,
    /// Whether the conversation was encrypted.
    pub(crate) encrypted: bool,
    /// Who logged in, by which mechanism.
    pub(crate) login: Option<(String, &'static str)>,
}

impl Attempt {
    /// Whether the server took it.
    pub(crate) fn taken(&self) -> bool {
        matches!(self.turn, Turn::Accept | Turn::TakenUnanswered | Turn::TakenSilently)
    }
}

#[derive(Default)]
struct Book {
    script: VecDeque<Turn>,
    attempts: Vec<Attempt>,
    said: Vec<String>,
}

struct Rules {
    tls: Tls,
    login: Option<(String, String)>,
    mechanisms: &'static str,
    acceptor: TlsAcceptor,
    book: Mutex<Book>,
}

/// A running SMTP server.
pub(crate) struct Smtp {
    server: Server,
    rules: Arc<Rules>,
    /// The certificate authority that clients must trust, as PEM.
    pub(crate) ca: String,
}

/// How a server is started.
pub(crate) struct Options {
    /// When it encrypts.
    pub(crate) tls: Tls,
    /// The user and password it demands.
    pub(crate) login: Option<(&'static str, &'static str)>,
    /// The mechanisms it offers: `PLAIN LOGIN`, or one of them.
    pub(crate) mechanisms: &'static str,
    /// What happens to the first mails; those after them are taken.
    pub(crate) script: Vec<Turn>,
}

impl Default for Options {
    fn default() -> Self {
        Self { tls: Tls::None, login: None, mechanisms: "PLAIN LOGIN", script: Vec::new() }
    }
}

impl Smtp {
    /// Starts one.
    pub(crate) fn start(options: Options) -> Self {
        let Options { tls, login, mechanisms, script } = options;
        let authority = Authority::new();
        let rules = Arc::new(Rules {
            tls,
            login: login.map(|(user, password)| (user.to_owned(), password.to_owned())),
            mechanisms,
            acceptor: TlsAcceptor::from(authority.server),
            book: Mutex::new(Book { script: script.into(), ..Book::default() }),
        });
        let shared = Arc::clone(&rules);
        let server = Server::start("smtp", move |stream| {
            let rules = Arc::clone(&shared);
            async move {
                let note = match converse(&rules, Box::new(stream)).await {
                    Ok(()) => "(over)".to_owned(),
                    Err(error) => format!("(broken: {error})"),
                };
                book(&rules).said.push(note);
            }
        });
        Self { server, rules, ca: authority.pem }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address
    }

    /// What happens to the next mails that nothing was said about.
    pub(crate) fn then(&self, turns: impl IntoIterator<Item = Turn>) {
        book(&self.rules).script.extend(turns);
    }

    /// When it encrypts.
    pub(crate) fn tls(&self) -> Tls {
        self.rules.tls
    }

    /// Every mail that somebody tried to hand over, in order of its end.
    pub(crate) fn attempts(&self) -> Vec<Attempt> {
        book(&self.rules).attempts.clone()
    }

    /// The mails that were taken.
    pub(crate) fn mails(&self) -> Vec<Mail> {
        self.attempts().into_iter().filter(Attempt::taken).filter_map(|a| a.mail).collect()
    }

    /// Everything said by clients (`C:`) and server (`S:`), for a failing test.
    pub(crate) fn transcript(&self) -> String {
        book(&self.rules).said.join("\n")
    }
}

fn book(rules: &Rules) -> MutexGuard<'_, Book> {
    rules.book.lock().expect("no holder panics")
}

trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// One connection.
struct Session<'a> {
    rules: &'a Rules,
    stream: Box<dyn Io>,
    /// Read, not yet used.
    unread: Vec<u8>,
    encrypted: bool,
    login: Option<(String, &'static str)>,
}

/// The mail that is being handed over.
struct Envelope {
    from: String,
    to: Vec<String>,
    turn: Turn,
}

async fn converse(rules: &Rules, stream: Box<dyn Io>) -> io::Result<()> {
    let mut session = Session { rules, stream, unread: Vec::new(), encrypted: false, login: None };
    if rules.tls == Tls::Implicit {
        session.encrypt().await?;
    }
    session.say("220 rig.test ESMTP").await?;
    let mut envelope: Option<Envelope> = None;
    loop {
        let Some(line) = session.line().await? else {
            return Ok(());
        };
        let word = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
        match word.as_str() {
            "EHLO" => session.greet().await?,
            "HELO" => session.say("250 rig.test").await?,
            "STARTTLS" if rules.tls == Tls::StartTls && !session.encrypted => {
                session.say("220 go ahead").await?;
                session.encrypt().await?;
            }
            "AUTH" => session.log_in(&line).await?,
            "NOOP" => session.say("250 fine").await?,
            "RSET" => {
                envelope = None;
                session.say("250 forgotten").await?;
            }
            "QUIT" => return session.say("221 bye").await,
            "MAIL" => {
                if rules.tls == Tls::StartTls && !session.encrypted {
                    session.say("530 5.7.0 must issue a STARTTLS command first").await?;
                    continue;
                }
                if rules.login.is_some() && session.login.is_none() {
                    session.say("530 5.7.0 authentication required").await?;
                    continue;
                }
                let turn = book(rules).script.pop_front().unwrap_or(Turn::Accept);
                let fresh = Envelope { from: address(&line), to: Vec::new(), turn };
                if turn == Turn::HangUp {
                    session.keep(fresh, None);
                    return Ok(());
                }
                envelope = Some(fresh);
                session.say("250 2.1.0 sender ok").await?;
            }
            "RCPT" => match envelope.as_mut() {
                None => session.say("503 5.5.1 MAIL first").await?,
                Some(mail) => {
                    mail.to.push(address(&line));
                    if let Turn::AtRcpt(code) = mail.turn {
                        session.keep(envelope.take().expect("just seen"), None);
                        session.say(&format!("{code} as scripted")).await?;
                    } else {
                        session.say("250 2.1.5 recipient ok").await?;
                    }
                }
            },
            "DATA" => match envelope.take() {
                Some(mail) if !mail.to.is_empty() => {
                    session.say("354 go on").await?;
                    let raw = session.data().await?;
                    let turn = mail.turn;
                    session.keep(mail, Some(Mail::new(&raw)));
                    match turn {
                        Turn::TakenUnanswered => return Ok(()),
                        Turn::TakenSilently => {
                            while session.line().await?.is_some() {}
                            return Ok(());
                        }
                        Turn::AfterData(code) => {
                            session.say(&format!("{code} as scripted")).await?;
                        }
                        _ => session.say("250 2.0.0 taken").await?,
                    }
                }
                _ => session.say("503 5.5.1 RCPT first").await?,
            },
            _ => session.say("500 5.5.1 what?").await?,
        }
    }
}

impl Session<'_> {
    async fn say(&mut self, line: &str) -> io::Result<()> {
        book(self.rules).said.push(format!("S: {line}"));
        self.stream.write_all(format!("{line}\r\n").as_bytes()).await?;
        self.stream.flush().await
    }

    async fn greet(&mut self) -> io::Result<()> {
        let mut lines = vec!["rig.test".to_owned(), "8BITMIME".to_owned(), "SMTPUTF8".to_owned()];
        if self.rules.tls == Tls::StartTls && !self.encrypted {
            lines.push("STARTTLS".to_owned());
        }
        if self.encrypted || self.rules.tls == Tls::None {
            lines.push(format!("AUTH {}", self.rules.mechanisms));
        }
        let last = lines.len() - 1;
        for (at, line) in lines.iter().enumerate() {
            let mark = if at == last { ' ' } else { '-' };
            self.say(&format!("250{mark}{line}")).await?;
        }
        Ok(())
    }

    /// Puts TLS under the conversation. What came in plain before it is dropped, as RFC 3207 demands.
    async fn encrypt(&mut self) -> io::Result<()> {
        self.unread.clear();
        let (placeholder, _) = tokio::io::duplex(1);
        let plain = std::mem::replace(&mut self.stream, Box::new(placeholder));
        self.stream = Box::new(self.rules.acceptor.accept(plain).await?);
        self.encrypted = true;
        Ok(())
    }

    async fn log_in(&mut self, line: &str) -> io::Result<()> {
        if !self.encrypted && self.rules.tls != Tls::None {
            return self.say("538 5.7.11 encryption required").await;
        }
        let mut words = line.split(' ').skip(1);
        let mechanism = words.next().unwrap_or_default().to_ascii_uppercase();
        let initial = words.next().map(str::to_owned);
        if !self.rules.mechanisms.split(' ').any(|offered| offered == mechanism) {
            return self.say("504 5.5.4 unknown mechanism").await;
        }
        let (given, name) = if mechanism == "PLAIN" {
            let answer = match initial {
                Some(answer) => answer,
                None => self.challenge("334 ").await?,
            };
            let parts: Vec<String> = decode(&answer).split('\0').map(str::to_owned).collect();
            let user = parts.get(1).cloned().unwrap_or_default();
            ((user, parts.get(2).cloned().unwrap_or_default()), "PLAIN")
        } else {
            let user = match initial {
                Some(answer) => answer,
                None => self.challenge("334 VXNlcm5hbWU6").await?,
            };
            let password = self.challenge("334 UGFzc3dvcmQ6").await?;
            ((decode(&user), decode(&password)), "LOGIN")
        };
        if self.rules.login.as_ref() == Some(&given) {
            self.login = Some((given.0, name));
            self.say("235 2.7.0 welcome").await
        } else {
            self.say("535 5.7.8 wrong credentials").await
        }
    }

    async fn challenge(&mut self, line: &str) -> io::Result<String> {
        self.say(line).await?;
        Ok(self.line().await?.unwrap_or_default())
    }

    fn keep(&self, envelope: Envelope, mail: Option<Mail>) {
        let Envelope { from, to, turn } = envelope;
        let login = self.login.clone();
        let attempt = Attempt { from, to, mail, turn, encrypted: self.encrypted, login };
        book(self.rules).attempts.push(attempt);
    }

    /// The next line without its end; `None` when the client has gone.
    async fn line(&mut self) -> io::Result<Option<String>> {
        let Some(bytes) = self.until(b"\r\n").await? else {
            return Ok(None);
        };
        let line = String::from_utf8_lossy(&bytes).into_owned();
        book(self.rules).said.push(format!("C: {line}"));
        Ok(Some(line))
    }

    /// The mail, dots unstuffed.
    async fn data(&mut self) -> io::Result<Vec<u8>> {
        let mut mail = Vec::new();
        loop {
            let line = self.until(b"\r\n").await?;
            let line = line.ok_or(io::ErrorKind::UnexpectedEof)?;
            if line == b"." {
                return Ok(mail);
            }
            mail.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
            mail.extend_from_slice(b"\r\n");
        }
    }

    async fn until(&mut self, end: &[u8]) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(at) = self.unread.windows(end.len()).position(|part| part == end) {
                let rest = self.unread.split_off(at + end.len());
                let mut line = std::mem::replace(&mut self.unread, rest);
                line.truncate(at);
                return Ok(Some(line));
            }
            let mut more = [0; 4096];
            let read = self.stream.read(&mut more).await?;
            if read == 0 {
                return Ok(None);
            }
            self.unread.extend_from_slice(&more[..read]);
        }
    }
}

/// The address between `<` and `>`.
fn address(line: &str) -> String {
    let inner = line.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    inner.map_or("", |(address, _)| address).to_owned()
}

fn decode(text: &str) -> String {
    let bytes = STANDARD.decode(text).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}
