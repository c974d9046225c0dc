//! A TCP proxy between a MySQL client and its server that knows the protocol's packets, and fails
//! on demand. It cuts a connection before, within or after a chosen packet, holds a COMMIT back,
//! answers by errors of its own, and delays. A tool of the tests.
//!
//! ```text
//! fault-proxy HOST:PORT
//! ```
//!
//! It listens on a free port of 127.0.0.1 and passes every connection on to HOST:PORT. It ends when
//! its standard input does. It understands sessions without TLS and without compression. A client
//! may send several commands ahead if each is answered by one packet.
//!
//! | module | what it owns |
//! |---|---|
//! | [`packet`] | the framing |
//! | [`command`] | what a client says |
//! | [`session`] | the commands of a connection, its prepared statements, the answers |
//! | [`fault`] | what is armed, and when it strikes |
//! | [`forgery`] | answers that the server did not give |
//! | [`relay`] | a connection: sockets and threads |
//!
//! Lines on standard input, each of which is answered:
//!
//! | line | answer |
//! |---|---|
//! | `arm NAME …`, see [`fault`] | `armed NAME` |
//! | `disarm NAME` | `disarmed NAME`, or `missing NAME`: it had struck |
//! | `latency MS`: delays what each side says, from now on | `latency MS` |
//! | `cut`: closes all connections | `cut N` |
//!
//! Any other line is answered by `error` and why. Lines on standard output, beside answers:
//!
//! | line | when |
//! |---|---|
//! | `port N` | it listens |
//! | `struck NAME connection=N [answer=ok\|error\|none]` | it has struck, after that answer |
//! | `struck NAME connection=N code=N …` | an answer was forged; see [`forgery`] |
//! | `released NAME connection=N` | the packet that was held has been sent to the server |
//! | `answered NAME connection=N answer=ok\|error\|none` | the server answered it, or has gone |

mod command;
mod fault;
mod forgery;
mod packet;
mod relay;
mod session;

use std::io::{self, BufRead as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;

use anyhow::{Context as _, Result, bail};

use crate::fault::Fault;
use crate::relay::{Link, Shared};

type Links = Arc<Mutex<Vec<Weak<Link>>>>;

/// Writes a whole line at once. If nobody listens any more, standard input ends too.
fn say(line: &str) {
    let mut output = io::stdout().lock();
    let _ = writeln!(output, "{line}").and_then(|()| output.flush());
}

fn accept(listener: &TcpListener, target: &str, shared: &Arc<Shared>, links: &Links) -> Result<()> {
    for (number, client) in (1..).zip(listener.incoming()) {
        let client = client.context("cannot accept a connection")?;
        // Without its server the client's connection ends at once, as the server's own would.
        if let Ok(server) = TcpStream::connect(target) {
            let link = Link::start(number, client, server, Arc::clone(shared))?;
            let mut links = links.lock().unwrap_or_else(PoisonError::into_inner);
            links.retain(|link| link.strong_count() > 0);
            links.push(Arc::downgrade(&link));
        }
    }
    Ok(())
}

fn cut_all(links: &Links) -> usize {
    let links = links.lock().unwrap_or_else(PoisonError::into_inner);
    let living = links.iter().filter_map(Weak::upgrade);
    living.map(|link| link.cut()).count()
}

fn obey(line: &str, shared: &Shared, links: &Links) -> Result<String> {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    Ok(match word {
        "arm" => {
            let fault = Fault::parse(rest)?;
            let name = rest.split_ascii_whitespace().next().unwrap_or_default();
            shared.faults().arm(fault);
            format!("armed {name}")
        }
        "disarm" if shared.faults().disarm(rest) => format!("disarmed {rest}"),
        "disarm" => format!("missing {rest}"),
        "latency" => {
            shared.set_latency(rest.parse().context("not a number of milliseconds")?);
            format!("latency {rest}")
        }
        "cut" => format!("cut {}", cut_all(links)),
        _ => bail!("no such command"),
    })
}

fn run() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(target), None) = (arguments.next(), arguments.next()) else {
        bail!("usage: fault-proxy HOST:PORT");
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot listen on 127.0.0.1")?;
    let port = listener.local_addr().context("no port")?.port();
    let (shared, links) = (Arc::new(Shared::new(say)), Links::default());
    let (thread_shared, thread_links) = (Arc::clone(&shared), Arc::clone(&links));
    thread::spawn(move || {
        if let Err(error) = accept(&listener, &target, &thread_shared, &thread_links) {
            say(&format!("error: {error:#}"));
            std::process::exit(1);
        }
    });
    say(&format!("port {port}"));
    for line in io::stdin().lock().lines() {
        let line = line.context("cannot read the standard input")?;
        match obey(line.trim(), &shared, &links) {
            Ok(answer) => say(&answer),
            Err(error) => say(&format!("error: {line}: {error:#}")),
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "fault-proxy: {error:#}");
            ExitCode::FAILURE
        }
    }
}
