//! One client: honest until the phase comes, hostile then.

use std::io;
use std::thread;
use std::time::Duration;

use fastrand::Rng;

use crate::honest::{answer, greeting};
use crate::key;
use crate::mode::{Act, Mode};
use crate::output::say;
use crate::phase::Phase;
use crate::wire::{
    AUTOCOMMIT, EOF, FULL_PAYLOAD_BYTES, MORE_RESULTS, Session, column, error, length, ok, packet, packets, text,
};

const NATIVE: &str = "mysql_native_password";
const SHA2: &str = "caching_sha2_password";
/// The code and the text of a COMMIT that was refused.
const COMMIT_REFUSED: (u16, &[u8]) = (1180, b"Got error 28 during COMMIT");

/// Whether the session goes on.
type Next = io::Result<bool>;

/// Serves a client until one of the two has gone.
pub fn serve(mut session: Session, mode: &Mode, number: u64) -> io::Result<()> {
    let seed = if let Act::Damage(seed) = mode.act { seed } else { 0 };
    let mut dice = Rng::with_seed(seed.wrapping_mul(0x9e37_79b9).wrapping_add(number));
    let plugin = if matches!(mode.act, Act::Key(_)) { SHA2 } else { NATIVE };
    let hello = packet(0, &greeting(plugin));
    if !step(&mut session, mode, Phase::Greeting, &[], 0, hello, &mut dice)? {
        return Ok(());
    }
    let (sequence, login) = session.read()?;
    let welcome = packet(sequence.wrapping_add(1), &ok(0, AUTOCOMMIT));
    if !step(
        &mut session,
        mode,
        Phase::Login,
        &login,
        sequence.wrapping_add(1),
        welcome,
        &mut dice,
    )? {
        return Ok(());
    }
    loop {
        let (_, command) = session.read()?;
        if command.first() == Some(&1) {
            return Ok(());
        }
        let phase = Phase::of_command(&command);
        let honest = answer(phase, &command);
        if !step(&mut session, mode, phase, &command, 1, honest, &mut dice)? {
            return Ok(());
        }
    }
}

/// Answers in one phase.
fn step(
    session: &mut Session,
    mode: &Mode,
    phase: Phase,
    command: &[u8],
    sequence: u8,
    honest: Vec<u8>,
    dice: &mut Rng,
) -> Next {
    if !mode.strikes(phase) {
        if phase == Phase::Commit {
            say("committed");
        }
        session.send(&honest)?;
        return Ok(true);
    }
    say("struck");
    match &mode.act {
        Act::Damage(_) => damage(session, phase, honest, dice),
        Act::Shift if phase == Phase::Begin => session.send(&honest.repeat(2)).map(|()| true),
        Act::Shift => {
            let (code, words) = COMMIT_REFUSED;
            session.send(&packet(1, &error(code, words)))?;
            Ok(true)
        }
        Act::Switch(name) => switch(session, name, sequence),
        Act::Key(bits) => offer_key(session, *bits, sequence),
        act => strike(session, act, command, sequence),
    }
}

fn strike(session: &mut Session, act: &Act, command: &[u8], sequence: u8) -> Next {
    match act {
        Act::Count(columns) => {
            session.send(&packet(sequence, &length(*columns)))?;
            session.keep_silent()?;
        }
        Act::Rows(bytes) => send_rows(session, *bytes, command, sequence)?,
        Act::Results => loop {
            session.send(&packet(sequence, &ok(0, AUTOCOMMIT | MORE_RESULTS)).repeat(1_000))?;
        },
        Act::Flood(bytes) => flood(session, *bytes, sequence)?,
        Act::Slow(pause) => drip(session, *pause, sequence)?,
        Act::Silent => session.keep_silent()?,
        Act::Raw(payload) => {
            session.send(&packet(sequence, payload))?;
            return Ok(true);
        }
        Act::Claim(bytes) => {
            let [low, middle, high, _] = bytes.to_le_bytes();
            session.send(&[low, middle, high, sequence, 0])?;
            session.keep_silent()?;
        }
        Act::Sequence(number) => {
            session.send(&packet(*number, &ok(1, AUTOCOMMIT)))?;
            return Ok(true);
        }
        Act::Oks(count) => {
            session.send(&packet(sequence, &ok(1, AUTOCOMMIT)).repeat(*count))?;
            return Ok(true);
        }
        Act::Refuse(code, bytes) => {
            session.send(&packet(sequence, &error(*code, &nasty_text(*bytes))))?;
            return Ok(true);
        }
        Act::Infile => {
            session.send(&packet(sequence, b"\xfb/etc/passwd"))?;
            // A file goes on in the count of this answer. A command that was sent ahead begins
            // anew.
            if let Ok((number, file)) = session.read()
                && number == sequence.wrapping_add(1)
                && !file.is_empty()
            {
                say("got a file");
            }
        }
        _ => {}
    }
    Ok(false)
}

/// Text that would do harm in a terminal or in a log.
fn nasty_text(bytes: usize) -> Vec<u8> {
    b"no \x1b]0;title\x07\x1b[31m\r\nforged line\0\xff"
        .iter()
        .copied()
        .cycle()
        .take(bytes)
        .collect()
}

fn drip(session: &mut Session, pause: Duration, sequence: u8) -> io::Result<()> {
    for byte in packet(sequence, &error(1064, &[b'A'; 5_000])) {
        session.send(&[byte])?;
        thread::sleep(pause);
    }
    Ok(())
}

/// As many columns as the honest answer has. So the rows are taken for real.
fn send_rows(session: &mut Session, bytes: usize, command: &[u8], sequence: u8) -> io::Result<()> {
    let honest = answer(Phase::of_command(command), command);
    let columns = honest
        .get(4)
        .copied()
        .filter(|count| (1..20).contains(count))
        .unwrap_or(1);
    let mut payloads = vec![vec![columns]];
    payloads.extend((0..columns).map(|_| column(b"c")));
    payloads.push(EOF.to_vec());
    session.send(&packets(sequence, &payloads))?;
    let mut next = sequence.wrapping_add(columns).wrapping_add(2);
    let long = text(&vec![b'x'; bytes]);
    let row = [long, b"\x010".repeat(usize::from(columns) - 1)].concat();
    loop {
        let mut many = Vec::new();
        while many.len() < 1 << 18 {
            many.extend(packet(next, &row));
            next = next.wrapping_add(1);
        }
        session.send(&many)?;
    }
}

fn flood(session: &mut Session, bytes: u64, sequence: u8) -> io::Result<()> {
    let mut part = packet(sequence, &vec![b'A'; FULL_PAYLOAD_BYTES]);
    if let Some(kind) = part.get_mut(4) {
        *kind = if sequence == 0 { 0x0a } else { 0xff };
    }
    let (mut sent, mut next) = (0, sequence);
    while sent < bytes {
        if let Some(number) = part.get_mut(3) {
            *number = next;
        }
        session.send(&part)?;
        sent += FULL_PAYLOAD_BYTES as u64;
        next = next.wrapping_add(1);
    }
    session.keep_silent()
}

fn switch(session: &mut Session, name: &str, mut sequence: u8) -> Next {
    let request = match name {
        "old" => vec![0xfe],
        "endless" => [b"\xfe", NATIVE.as_bytes(), b"\0abcdefghijklmnopqrst\0"].concat(),
        "more" => vec![0x01, 0x03],
        name => [b"\xfe", name.as_bytes(), b"\0abcdefghijklmnopqrst\0"].concat(),
    };
    loop {
        session.send(&packet(sequence, &request))?;
        if name == "more" {
            sequence = sequence.wrapping_add(1);
            continue;
        }
        let (last, answered) = session.read()?;
        if name == "mysql_clear_password" || name == "dialog" || name == "old" {
            say(&format!(
                "answered {}",
                String::from_utf8_lossy(&answered).escape_debug()
            ));
        }
        sequence = last.wrapping_add(1);
        if name != "endless" {
            session.send(&packet(sequence, &error(1045, b"no")))?;
            return Ok(false);
        }
    }
}

/// Asks for full authentication, and offers a key to encrypt the password by.
fn offer_key(session: &mut Session, bits: usize, sequence: u8) -> Next {
    session.send(&packet(sequence, &[0x01, 0x04]))?;
    let (asked, _) = session.read()?;
    session.send(&packet(asked.wrapping_add(1), &[&[0x01][..], &key::pem(bits)].concat()))?;
    let (last, encrypted) = session.read()?;
    say(&format!("encrypted {}", encrypted.len()));
    session.send(&packet(last.wrapping_add(1), &error(1045, b"no")))?;
    Ok(false)
}

/// Does harm to an honest answer. COMMIT has none but a refusal, and rows are executed by none: so
/// no client may ever believe that it has written.
fn damage(session: &mut Session, phase: Phase, honest: Vec<u8>, dice: &mut Rng) -> Next {
    let is_last = matches!(phase, Phase::Begin | Phase::Prepare | Phase::Execute | Phase::Commit);
    let mut bytes = match phase {
        Phase::Execute | Phase::Commit => packet(1, &error(COMMIT_REFUSED.0, COMMIT_REFUSED.1)),
        _ => honest,
    };
    // Most answers are whole. Otherwise no session would come far.
    if dice.u8(..4) > 0 && phase != Phase::Execute {
        return session.send(&bytes).map(|()| phase != Phase::Commit);
    }
    let at = dice.usize(..=bytes.len());
    match dice.u8(..6) {
        0 => {
            bytes.truncate(at);
            session.send(&bytes)?;
            return Ok(false);
        }
        1 if !is_last => bytes.extend_from_within(at..),
        2 if !is_last => bytes.rotate_left(at),
        3 => {
            // The header's length, its number, or the first byte of what follows.
            if let Some(byte) = bytes.get_mut(dice.usize(..4)) {
                *byte = dice.u8(..);
            }
        }
        4 => bytes.extend(std::iter::repeat_with(|| dice.u8(1..)).take(at)),
        _ => {
            let first = if is_last { 5 } else { 0 };
            for _ in 0..dice.u8(1..8) {
                let place = dice.usize(first.min(bytes.len())..=bytes.len());
                if let Some(byte) = bytes.get_mut(place) {
                    *byte = dice.u8(..);
                }
            }
        }
    }
    session.send(&bytes)?;
    Ok(phase != Phase::Commit)
}
