//! A session with servers that say what tests tell them.

mod bad_beginnings;
mod commands;
mod fuzz;
mod handshakes;
mod peer;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::sink::mysql::wire::authentication::Account;
use crate::sink::mysql::wire::conn::{Conn, Timeouts};
use peer::{Peer, Seen, Turn, greeting, ok, packet};

const ACCOUNT: Account<'_> = Account {
    user: "user",
    password: Some("secret"),
    database: "database",
};
const TIMEOUTS: Timeouts = Timeouts {
    read: Duration::from_mins(1),
    write: Duration::from_secs(30),
};
const CONNECT: Duration = Duration::from_secs(5);

/// Begins a session with what comes behind the greeting and the OK.
fn session(turns: Vec<Turn>) -> (Conn, Arc<Mutex<Seen>>) {
    let mut all = vec![Turn::of(greeting("mysql_native_password")), Turn::of(packet(2, &ok(0)))];
    all.extend(turns);
    let (peer, seen) = Peer::new(all);
    let deadline = crate::sink::mysql::wire::transport::Transport::now(&peer) + CONNECT;
    let mut conn = Conn::begin(Box::new(peer), ACCOUNT, None, false, deadline).expect("a session");
    conn.set_timeouts(TIMEOUTS);
    conn.set_deadline(None);
    (conn, seen)
}

fn look<R>(seen: &Arc<Mutex<Seen>>, at: impl FnOnce(&mut Seen) -> R) -> R {
    at(&mut seen.lock().expect("no test panics in here"))
}
