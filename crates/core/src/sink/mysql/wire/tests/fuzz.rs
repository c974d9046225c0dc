//! Whatever bytes a server sends: no panic, an end in time, bounded memory, no false success.
//!
//! A session has its greeting, a query with rows, a statement that is prepared and executed ahead
//! of its answer, and COMMIT. What the server says is damaged at random. `WRITE_BUFFER_WIRE_CASES`
//! says how many cases are run, and `WRITE_BUFFER_WIRE_SEED` where they begin.

use std::time::{Duration, Instant};

use fastrand::Rng;
use mysql::Row;

use super::peer::{EOF, Peer, Turn, column, err, greeting, ok, packet, packets, text_row};
use super::{ACCOUNT, CONNECT, TIMEOUTS, look};
use crate::sink::mysql::parameters::Parameter;
use crate::sink::mysql::wire::command::Command;
use crate::sink::mysql::wire::conn::Conn;
use crate::sink::mysql::wire::transport::Transport as _;

/// All calls of a session together: connecting, sending 5 commands, 5 answers, and a byte each.
const TIME_MAX: Duration = Duration::from_secs(5 + 5 * 30 + 5 * 60 + 11 * 2);

/// What an honest server says, one packet an entry, and one list a turn.
fn honest(rng: &mut Rng) -> Vec<Vec<Vec<u8>>> {
    let native = "mysql_native_password";
    // The RSA key is slow in a debug build.
    let login = match rng.u8(..40) {
        21..30 => vec![vec![greeting(native)], vec![packet(2, &ok(0))]],
        0..20 => vec![
            vec![greeting("caching_sha2_password")],
            vec![packet(2, b"\x01\x03"), packet(3, &ok(0))],
        ],
        20 => vec![
            vec![greeting("caching_sha2_password")],
            vec![packet(2, b"\x01\x04")],
            vec![packet(
                4,
                &[b"\x01", include_bytes!("public_key.pem").as_slice()].concat(),
            )],
            vec![packet(6, &ok(0))],
        ],
        _ => vec![
            vec![greeting(native)],
            vec![packet(2, &[b"\xfeclient_ed25519\0".as_slice(), &[7; 32]].concat())],
            vec![packet(4, &ok(0))],
        ],
    };
    let split = |payloads: &[&[u8]]| {
        let numbers = 1..;
        numbers
            .zip(payloads)
            .map(|(number, payload)| packets(number, &[payload]))
            .collect::<Vec<_>>()
    };
    let commands = [
        split(&[
            &[2],
            &column(),
            &column(),
            EOF,
            &text_row(&["a", "b"]),
            &text_row(&["c", "d"]),
            EOF,
        ]),
        split(&[
            b"\0\x05\0\0\0\x01\0\x02\0\0\0\0",
            &column(),
            &column(),
            EOF,
            &column(),
            EOF,
        ]),
        split(&[&[1], &column(), EOF, &text_row(&["a"]), EOF]),
        split(&[&ok(1)]),
        split(&[&ok(0)]),
    ];
    login.into_iter().chain(commands).collect()
}

/// Damages what is said.
fn damage(turns: &mut [Vec<Vec<u8>>], rng: &mut Rng) {
    let at = rng.usize(..turns.len());
    let turn = &mut turns[at];
    let which = rng.usize(..turn.len().max(1));
    match rng.u8(..12) {
        // Bytes.
        0..=2 => {
            if let Some(packet) = turn.get_mut(which).filter(|packet| !packet.is_empty()) {
                for _ in 0..rng.usize(1..4) {
                    let byte = rng.usize(..packet.len());
                    let any = rng.u8(..);
                    let bytes = [0, 1, 3, 4, 0x7f, 0x80, 0xfb, 0xfc, 0xfd, 0xfe, 0xff, any];
                    packet[byte] = bytes[rng.usize(..bytes.len())];
                }
            }
        }
        // Ends.
        3 => {
            if let Some(packet) = turn.get_mut(which) {
                packet.truncate(rng.usize(..=packet.len()));
            }
        }
        4 => {
            if let Some(packet) = turn.get_mut(which) {
                packet.extend(std::iter::repeat_with(|| rng.u8(..)).take(8));
            }
        }
        // The same with a header that fits.
        5 => {
            if let Some(packet) = turn.get_mut(which).filter(|packet| packet.len() >= 4) {
                packet.truncate(rng.usize(4..=packet.len()));
                if rng.bool() {
                    let more = rng.usize(..300);
                    packet.extend(std::iter::repeat_with(|| rng.u8(..)).take(more));
                }
                let length = u32::try_from(packet.len() - 4).expect("short").to_le_bytes();
                packet[..3].copy_from_slice(&length[..3]);
            }
        }
        // Packets repeated, left out, in another order, invented.
        6 => {
            if let Some(packet) = turn.get(which).cloned() {
                turn.insert(which, packet);
            }
        }
        7 => {
            if which < turn.len() {
                turn.remove(which);
            }
        }
        8 => rng.shuffle(turn),
        9 => {
            let number = rng.u8(..4);
            turn.insert(
                which,
                packet(
                    number,
                    &if rng.bool() {
                        ok(1)
                    } else {
                        err(rng.u16(..), "an error")
                    },
                ),
            );
        }
        10 => {
            let length = rng.usize(..64);
            turn.insert(which, std::iter::repeat_with(|| rng.u8(..)).take(length).collect());
        }
        // Turns.
        _ => {
            let other = rng.usize(..turns.len());
            turns.swap(at, other);
        }
    }
}

/// Has a session. Returns what the server said behind COMMIT, if that went well.
fn run(turns: Vec<Turn>) -> Option<Vec<u8>> {
    let all: Vec<u8> = turns.iter().flat_map(|turn| turn.bytes.iter().copied()).collect();
    let (peer, seen) = Peer::new(turns);
    let deadline = peer.now() + CONNECT;
    let committed = converse(peer, deadline);
    look(&seen, |seen| {
        assert!(seen.elapsed <= TIME_MAX, "it took {:?}", seen.elapsed);
        committed.map(|()| all[seen.delivered_before_commit..].to_vec())
    })
}

/// `None`: something before COMMIT, or COMMIT itself, failed.
fn converse(peer: Peer, deadline: Instant) -> Option<()> {
    let mut conn = Conn::begin(Box::new(peer), ACCOUNT, None, false, deadline).ok()?;
    conn.set_timeouts(TIMEOUTS);
    conn.set_deadline(None);
    let rows: Vec<Row> = conn.query("SELECT 1").ok()?;
    assert!(rows.len() <= super::super::ROWS_MAX);
    conn.send(Command::Prepare("SELECT ?, ?")).ok()?;
    conn.receive_prepared().ok()?;
    let _: Vec<Row> = conn.query("SELECT 2").ok()?;
    let parameters = [Parameter::Int(1), Parameter::Null];
    conn.send(Command::Execute(5, &parameters)).ok()?;
    conn.receive().ok()?;
    conn.query_drop("COMMIT").ok()
}

/// The judge: an OK with the number that follows that of COMMIT.
fn is_ok(answer: &[u8]) -> bool {
    let [first, second, third, 1, payload @ ..] = answer else {
        return false;
    };
    let length = u32::from_le_bytes([*first, *second, *third, 0]) as usize;
    payload.len() >= length && length >= 7 && payload.first() == Some(&0)
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .map_or(default, |value| value.parse().expect("a number"))
}

#[test]
fn no_bytes_of_a_server_do_harm() {
    let cases = setting("WRITE_BUFFER_WIRE_CASES", 10_000);
    let seed = setting("WRITE_BUFFER_WIRE_SEED", 1);
    let (mut committed, mut refused) = (0, 0);
    for case in seed..seed + cases {
        let mut rng = Rng::with_seed(case);
        let mut turns = honest(&mut rng);
        // Some cases are left as they are: they must succeed.
        let damages = rng.usize(..4);
        for _ in 0..damages {
            damage(&mut turns, &mut rng);
        }
        let count = turns.len();
        let turns: Vec<Turn> = turns
            .into_iter()
            .enumerate()
            .map(|(at, packets)| Turn {
                bytes: packets.concat(),
                byte_time: if rng.u8(..20) == 0 {
                    Duration::from_millis(rng.u64(..2_000))
                } else {
                    Duration::ZERO
                },
                is_flood: rng.bool(),
                is_last: at + 1 == count,
            })
            .collect();
        let is_slow = turns.iter().any(|turn| !turn.byte_time.is_zero());
        let ended = std::panic::catch_unwind(|| run(turns));
        let Ok(committed_by) = ended else {
            panic!("case {case} panics: WRITE_BUFFER_WIRE_SEED={case} WRITE_BUFFER_WIRE_CASES=1");
        };
        if let Some(answer) = committed_by {
            assert!(is_ok(&answer), "case {case}: committed by {answer:?}");
            committed += 1;
        } else {
            let is_honest = damages == 0 && !is_slow;
            assert!(!is_honest, "case {case}: an honest server was refused");
            refused += 1;
        }
    }
    if cases >= 1_000 {
        assert!(
            committed > cases / 10 && refused > cases / 10,
            "{committed} and {refused}"
        );
    }
}
