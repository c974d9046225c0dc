//! One connection: two threads, one a direction, that pass packets on until a side ends or a fault
//! strikes.
//!
//! Invariants: a fault is reported after it has happened, so whoever reads the report may rely on
//! it. If one side has ended, the other gets all that was sent before, and is closed.
//!
//! Bounds: two threads a connection. Each ends when its socket does.

use std::io::{self, BufWriter, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::fault::{Action, Faults, Side, Strike};
use crate::forgery::PING;
use crate::packet::{Packet, PacketReader};
use crate::session::{Answer, Forged, Session};

const WRITE_BUFFER_BYTES: usize = 64 * 1024;

/// What all connections share: the faults, and the way to report.
pub struct Shared {
    faults: Mutex<Faults>,
    latency_ms: AtomicU64,
    report: fn(&str),
}

impl Shared {
    /// No fault is armed, and nothing is delayed.
    pub fn new(report: fn(&str)) -> Self {
        Self {
            faults: Mutex::default(),
            latency_ms: AtomicU64::new(0),
            report,
        }
    }

    /// The faults, to arm and disarm.
    pub fn faults(&self) -> MutexGuard<'_, Faults> {
        lock(&self.faults)
    }

    /// Delays what each side says by this time, from now on.
    pub fn set_latency(&self, latency_ms: u64) {
        self.latency_ms.store(latency_ms, Ordering::Relaxed);
    }
}

/// A panic of another thread is reported by that thread. What it held is plain data.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What waits for the server's answer.
#[derive(Debug, PartialEq, Eq)]
enum Awaited {
    Nothing,
    /// The fault strikes when the answer is there.
    Cut(String),
    /// The fault has struck: the client is gone, and the answer ends the server's side.
    Held(String),
}

struct State {
    session: Session,
    awaited: Awaited,
    /// The position of that answer among those to come, from 1.
    awaited_at: usize,
    /// The side that spoke last: only the first packet of a turn is delayed, as by a network that
    /// keeps its order.
    speaker: Option<Side>,
}

/// A connection's two sockets, and what is known of it.
pub struct Link {
    number: u64,
    client: TcpStream,
    server: TcpStream,
    state: Mutex<State>,
    shared: Arc<Shared>,
}

impl Link {
    /// Passes packets on between a client and a server, in threads of its own.
    ///
    /// # Errors
    ///
    /// A thread or a socket that cannot be had.
    pub fn start(number: u64, client: TcpStream, server: TcpStream, shared: Arc<Shared>) -> io::Result<Arc<Self>> {
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let state = State {
            session: Session::default(),
            awaited: Awaited::Nothing,
            awaited_at: 0,
            speaker: None,
        };
        let link = Arc::new(Self {
            number,
            client,
            server,
            state: Mutex::new(state),
            shared,
        });
        for side in [Side::Client, Side::Server] {
            let thread_link = Arc::clone(&link);
            let body = move || thread_link.run(side);
            if let Err(error) = thread::Builder::new().spawn(body) {
                link.cut();
                return Err(error);
            }
        }
        Ok(link)
    }

    /// Closes both sides.
    pub fn cut(&self) {
        // If a side is closed already, that is what is wanted.
        let _ = self.client.shutdown(Shutdown::Both);
        let _ = self.server.shutdown(Shutdown::Both);
    }

    fn run(&self, side: Side) {
        let passed = match side {
            Side::Client => self.pass_commands(),
            Side::Server => self.pass_answers(),
        };
        if side == Side::Server {
            self.give_up_answer();
        }
        // An error of a socket is its end, and that is what the other side sees.
        if passed.unwrap_or(true) {
            self.cut();
        }
    }

    fn report(&self, event: &str, name: &str, more: &str) {
        (self.shared.report)(&format!("{event} {name} connection={}{more}", self.number));
    }

    fn delay(&self, side: Side) {
        let is_first = lock(&self.state).speaker.replace(side) != Some(side);
        let latency_ms = self.shared.latency_ms.load(Ordering::Relaxed);
        if is_first && latency_ms > 0 {
            thread::sleep(Duration::from_millis(latency_ms));
        }
    }

    /// Passes on what the client sends, to its end or a fault. Returns whether the connection is to
    /// be closed.
    fn pass_commands(&self) -> io::Result<bool> {
        let mut reader = PacketReader::new(&self.client);
        let mut output = BufWriter::with_capacity(WRITE_BUFFER_BYTES, &self.server);
        let mut passed_bytes = 0;
        while let Some(packet) = reader.next_packet()? {
            self.delay(Side::Client);
            if let Some((strike, bytes)) = self.stream_strike(Side::Client, passed_bytes, &packet) {
                reader.pass(&packet, bytes, &mut output)?;
                output.flush()?;
                self.cut_and_report(&strike.name, "");
                return Ok(false);
            }
            let total_bytes = packet.total_bytes();
            if let Some(strike) = self.command_strike(&packet) {
                let bytes = match strike.action {
                    Action::CutBefore => 0,
                    Action::CutAt(bytes) => bytes.min(total_bytes - 1),
                    Action::CutAfter | Action::CutAfterAnswer | Action::Hold(_) => total_bytes,
                    Action::Answer(forgery) if forgery.is_carried_out => total_bytes,
                    Action::Answer(_) => {
                        output.write_all(PING)?;
                        0
                    }
                };
                if let Action::Hold(time) = strike.action {
                    output.flush()?;
                    self.hold(&strike.name, time);
                }
                reader.pass(&packet, bytes, &mut output)?;
                output.flush()?;
                match strike.action {
                    Action::CutBefore | Action::CutAt(_) | Action::CutAfter => {
                        self.cut_and_report(&strike.name, "");
                        return Ok(false);
                    }
                    Action::Hold(_) => {
                        self.report("released", &strike.name, "");
                        return Ok(false);
                    }
                    Action::CutAfterAnswer | Action::Answer(_) => {}
                }
            } else {
                reader.pass(&packet, total_bytes, &mut output)?;
            }
            passed_bytes += total_bytes as u64;
            if !reader.has_more() {
                output.flush()?;
            }
        }
        output.flush()?;
        Ok(true)
    }

    /// Passes on what the server sends, to its end or a fault. Returns whether the connection is to
    /// be closed.
    fn pass_answers(&self) -> io::Result<bool> {
        let mut reader = PacketReader::new(&self.server);
        let mut output = BufWriter::with_capacity(WRITE_BUFFER_BYTES, &self.client);
        let mut passed_bytes = 0;
        while let Some(packet) = reader.next_packet()? {
            let forged = lock(&self.state).session.forged().cloned();
            match self.take_answer(&packet) {
                (Awaited::Nothing, _) => {}
                (Awaited::Cut(name), answer) => {
                    self.cut_and_report(&name, &format!(" answer={}", answer.name()));
                    return Ok(false);
                }
                (Awaited::Held(name), answer) => {
                    self.cut();
                    self.report("answered", &name, &format!(" answer={}", answer.name()));
                    return Ok(false);
                }
            }
            self.delay(Side::Server);
            if let Some(forged) = forged {
                output.write_all(&forged.forgery.packet(packet.sequence()))?;
                output.flush()?;
                self.report_forged(&forged);
                if forged.forgery.is_cut {
                    return Ok(true);
                }
                continue;
            }
            let struck = self.stream_strike(Side::Server, passed_bytes, &packet);
            let bytes = struck.as_ref().map_or(packet.total_bytes(), |(_, bytes)| *bytes);
            reader.pass(&packet, bytes, &mut output)?;
            passed_bytes += bytes as u64;
            if let Some((strike, _)) = struck {
                output.flush()?;
                self.cut_and_report(&strike.name, "");
                return Ok(false);
            }
            if !reader.has_more() {
                output.flush()?;
            }
        }
        output.flush()?;
        Ok(true)
    }

    fn report_forged(&self, forged: &Forged) {
        if forged.forgery.is_cut {
            self.cut();
        }
        self.report("struck", &forged.name, &forged.forgery.report(&forged.command));
    }

    fn cut_and_report(&self, name: &str, more: &str) {
        self.cut();
        self.report("struck", name, more);
    }

    fn stream_strike(&self, side: Side, passed_bytes: u64, packet: &Packet) -> Option<(Strike, usize)> {
        let end = passed_bytes + packet.total_bytes() as u64;
        self.shared.faults().stream(side, passed_bytes, end)
    }

    /// The fault that strikes at this packet of the client. The server's answer is awaited from
    /// here on, before it can come.
    fn command_strike(&self, packet: &Packet) -> Option<Strike> {
        if !packet.begins_command() {
            return None;
        }
        let mut state = lock(&self.state);
        let command = state.session.command(&packet.head);
        let mut strike = self.shared.faults().command(&command)?;
        state.awaited = match strike.action {
            Action::CutAfterAnswer => Awaited::Cut(strike.name.clone()),
            Action::Hold(_) => Awaited::Held(strike.name.clone()),
            Action::CutBefore | Action::CutAt(_) | Action::CutAfter => Awaited::Nothing,
            Action::Answer(ref mut forgery) => {
                // What follows belongs to the command: it can't become a ping.
                forgery.is_carried_out |= packet.is_continued();
                state.session.forge(&strike.name, *forgery);
                return Some(strike);
            }
        };
        state.awaited_at = state.session.unanswered();
        Some(strike)
    }

    fn take_answer(&self, packet: &Packet) -> (Awaited, Answer) {
        let mut state = lock(&self.state);
        let Some(answer) = state.session.answer(&packet.head) else {
            return (Awaited::Nothing, Answer::Ok);
        };
        state.awaited_at = state.awaited_at.saturating_sub(1);
        if state.awaited_at > 0 {
            return (Awaited::Nothing, answer);
        }
        (std::mem::replace(&mut state.awaited, Awaited::Nothing), answer)
    }

    /// Reports a fault whose answer will not come: the server has gone.
    fn give_up_answer(&self) {
        let awaited = std::mem::replace(&mut lock(&self.state).awaited, Awaited::Nothing);
        match awaited {
            Awaited::Nothing => {}
            Awaited::Cut(name) => self.cut_and_report(&name, " answer=none"),
            Awaited::Held(name) => self.report("answered", &name, " answer=none"),
        }
    }

    /// Ends the client's side, and waits.
    fn hold(&self, name: &str, time: Duration) {
        // It may have gone by itself.
        let _ = self.client.shutdown(Shutdown::Both);
        self.report("struck", name, "");
        thread::sleep(time);
    }
}
