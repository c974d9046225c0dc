//! A server that speaks the MySQL protocol with bad intent: it answers without an end, slowly, by
//! lies about lengths, by nothing, by what nobody asked. A tool of the tests: whatever a server
//! does, a client must return in time, within its memory, and never believe that it has written
//! what it has not.
//!
//! ```text
//! hostile-server ACT [ARGUMENT…] [at PHASE]
//! hostile-server forge PORT
//! ```
//!
//! It listens on a free port of 127.0.0.1, and ends when its standard input does. It holds no
//! memory that grows with what a client sends.
//!
//! | module | what it owns |
//! |---|---|
//! | [`mode`] | the acts, as words |
//! | [`phase`] | the steps of a client's session |
//! | [`wire`] | packets and their parts |
//! | [`honest`] | what an honest server would say |
//! | [`session`] | one client |
//! | [`key`] | RSA keys of any length |
//! | [`forge`] | somebody on the way to a real server |
//! | [`output`] | what the server tells the test |
//!
//! Lines on standard output:
//!
//! | line | when |
//! |---|---|
//! | `port N` | it listens |
//! | `connection N` | a client has come |
//! | `struck` | it was hostile |
//! | `committed` | it answered a COMMIT by OK, honestly |
//! | `answered TEXT`, `encrypted N`, `got a file` | what a client gave away |

mod forge;
mod honest;
mod key;
mod mode;
mod output;
mod phase;
mod session;
mod wire;

use std::io::{self, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;

use anyhow::{Context as _, Result};

use crate::mode::Mode;
use crate::output::say;
use crate::wire::Session;

enum Program {
    Server(Arc<Mode>),
    Forger(u16),
}

fn accept(listener: &TcpListener, program: &Program) -> Result<()> {
    for (number, client) in (1..).zip(listener.incoming()) {
        let client = client.context("cannot accept a connection")?;
        client.set_nodelay(true)?;
        say(&format!("connection {number}"));
        match program {
            Program::Server(mode) => {
                let mode = Arc::clone(mode);
                // A client that goes is none of the server's matter.
                thread::spawn(move || session::serve(Session::new(client), &mode, number));
            }
            Program::Forger(port) => {
                let port = *port;
                thread::spawn(move || forge::relay(client, port));
            }
        }
    }
    Ok(())
}

fn run() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let program = match words.as_slice() {
        ["forge", port] => Program::Forger(port.parse().context("the port is no number")?),
        words => Program::Server(Arc::new(Mode::parse(words)?)),
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot listen")?;
    say(&format!("port {}", listener.local_addr()?.port()));
    thread::spawn(move || accept(&listener, &program));
    io::copy(&mut io::stdin().lock(), &mut io::sink())?;
    Ok(())
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "hostile-server: {error:#}");
            ExitCode::FAILURE
        }
    }
}
