//! Beginnings of sessions, good and bad.

use std::sync::Arc;
use std::time::Duration;

use mysql_common::io::ParseBuf;
use mysql_common::packets::HandshakeResponse;
use mysql_common::scramble::{create_response_for_ed25519, scramble_native, scramble_sha256};
use rustls::pki_types::ServerName;

use super::peer::{Peer, Seen, Turn, greeting, ok, packet, packets};
use super::{ACCOUNT, CONNECT};
use crate::dsn::{Tls, Verify};
use crate::sink::mysql::tls;
use crate::sink::mysql::wire::conn::Conn;
use crate::sink::mysql::wire::stream::Encryption;
use crate::sink::mysql::wire::transport::Transport as _;

const CHALLENGE: &[u8] = b"12345678abcdefghijkl";

/// How the client is connected.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Way {
    Clear,
    Unix,
    Tls,
}

pub struct Outcome {
    pub error: Option<String>,
    pub seen: Seen,
}

pub fn begin(turns: Vec<Turn>, way: Way) -> Outcome {
    let (peer, seen) = Peer::new(turns);
    let deadline = peer.now() + CONNECT;
    let nobody = Tls {
        ca: None,
        identity: None,
        verify: Verify::None,
    };
    let encryption = (way == Way::Tls).then(|| Encryption {
        config: tls::client_config(&nobody).expect("no files"),
        name: ServerName::try_from("localhost").expect("a name"),
    });
    let begun = Conn::begin(Box::new(peer), ACCOUNT, encryption, way == Way::Unix, deadline);
    let error = begun.err().map(|error| error.to_string());
    let seen = Arc::try_unwrap(seen)
        .expect("the session is gone")
        .into_inner()
        .expect("whole");
    Outcome { error, seen }
}

/// The payloads that the client sent.
pub fn payloads(sent: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let (mut rest, mut found) = (sent, Vec::new());
    while let [first, second, third, number, after @ ..] = rest {
        let length = u32::from_le_bytes([*first, *second, *third, 0]) as usize;
        found.push((*number, after[..length].to_vec()));
        rest = &after[length..];
    }
    found
}

pub fn switch(plugin: &str, challenge: &[u8]) -> Vec<u8> {
    [b"\xfe", plugin.as_bytes(), b"\0", challenge].concat()
}

fn key() -> Vec<u8> {
    [b"\x01", include_bytes!("public_key.pem").as_slice()].concat()
}

/// Turns of one packet each, with the right numbers: the client speaks between.
pub fn turns(plugin: &str, answers: &[Vec<u8>]) -> Vec<Turn> {
    let mut turns = vec![Turn::of(greeting(plugin))];
    for (number, answer) in (2..).step_by(2).zip(answers) {
        turns.push(Turn::of(packet(number, answer)));
    }
    turns
}

#[test]
fn each_way_to_authenticate_has_its_words() {
    let long = [vec![7; 31], vec![0]].concat();
    let native = scramble_native(CHALLENGE, b"secret").expect("a password").to_vec();
    let sha2 = scramble_sha256(CHALLENGE, b"secret").expect("a password").to_vec();
    let signed = create_response_for_ed25519(b"secret", &long).to_vec();
    let other: &[u8] = b"ABCDEFGHIJKLMNOPQRST\0";
    let switched = scramble_native(&other[..20], b"secret").expect("a password").to_vec();
    let fast = b"\x01\x03".to_vec();
    let full = b"\x01\x04".to_vec();
    let clear_password = b"secret\0".to_vec();
    for (name, way, turns, first, answers) in [
        (
            "native",
            Way::Clear,
            turns("mysql_native_password", &[ok(0)]),
            &native,
            vec![],
        ),
        (
            "any other in the greeting",
            Way::Clear,
            turns("client_ed25519", &[ok(0)]),
            &native,
            vec![],
        ),
        (
            "a switch to native",
            Way::Clear,
            turns(
                "caching_sha2_password",
                &[switch("mysql_native_password", other), ok(0)],
            ),
            &sha2,
            vec![switched.clone()],
        ),
        (
            "a challenge that ends with zero",
            Way::Clear,
            turns("mysql_native_password", &[switch("client_ed25519", &long), ok(0)]),
            &native,
            vec![signed.clone()],
        ),
        (
            "two switches",
            Way::Clear,
            turns(
                "mysql_native_password",
                &[
                    switch("client_ed25519", &long),
                    switch("mysql_native_password", other),
                    ok(0),
                ],
            ),
            &native,
            vec![signed, switched],
        ),
        (
            "a cached password",
            Way::Clear,
            vec![
                Turn::of(greeting("caching_sha2_password")),
                Turn::of(packets(2, &[&fast, &ok(0)])),
            ],
            &sha2,
            vec![],
        ),
        (
            "a password that is not cached, over a unix socket",
            Way::Unix,
            turns("caching_sha2_password", &[full.clone(), ok(0)]),
            &sha2,
            vec![clear_password.clone()],
        ),
    ] {
        let Outcome { error, seen } = begin(turns, way);
        assert_eq!(error, None, "{name}");
        let said = payloads(&seen.sent);
        let response = ParseBuf(&said[0].1)
            .parse::<HandshakeResponse<'_>>(())
            .expect("a response");
        assert_eq!(response.user(), b"user", "{name}");
        assert_eq!(response.db_name(), Some(b"database".as_slice()), "{name}");
        assert_eq!(response.scramble_buf(), first.as_slice(), "{name}");
        // What is neither needed nor safe is not offered.
        for bit in [7, 16, 17, 18, 5] {
            assert_eq!(response.capabilities().bits() & (1 << bit), 0, "{name}: bit {bit}");
        }
        let numbers: Vec<u8> = said.iter().map(|(number, _)| *number).collect();
        let mut expected: Vec<u8> = (1..).step_by(2).take(said.len() - 1).collect();
        // COM_QUIT begins anew.
        expected.push(0);
        assert_eq!(numbers, expected, "{name}");
        let middle: Vec<Vec<u8>> = said[1..said.len() - 1]
            .iter()
            .map(|(_, payload)| payload.clone())
            .collect();
        assert_eq!(middle, answers, "{name}");
        assert_eq!(
            said.last().map(|(_, quit)| quit.as_slice()),
            Some(b"\x01".as_slice()),
            "{name}"
        );
    }
}

#[test]
fn a_password_in_the_clear_is_encrypted_by_the_servers_key() {
    let full = b"\x01\x04".to_vec();
    let seen = begin(
        turns("caching_sha2_password", &[full.clone(), key(), ok(0)]),
        Way::Clear,
    )
    .seen;
    let said = payloads(&seen.sent);
    assert_eq!(said[1].1, [2], "the key is asked for");
    assert_eq!(said[2].1.len(), 256, "the password is encrypted");
    assert!(!seen.sent.windows(6).any(|window| window == b"secret"));
    for broken in [b"\x01".to_vec(), b"\x01no key".to_vec(), vec![], key()[..200].to_vec()] {
        let Outcome { error, seen } = begin(
            turns("caching_sha2_password", &[full.clone(), broken, ok(0)]),
            Way::Clear,
        );
        assert!(
            error.as_ref().is_some_and(|error| error.contains("RSA key")),
            "{error:?}"
        );
        assert_eq!(payloads(&seen.sent).len(), 2, "no password, and no word at the end");
    }
}

#[test]
fn parsec_signs_what_the_server_asks_within_bounds() {
    let salt = |hardness: u8| [b"\x01P".as_slice(), &[hardness], &[5; 18]].concat();
    let challenge = [1; 32];
    for (hardness, is_taken) in [(0, true), (3, true), (8, true), (9, false), (20, false), (255, false)] {
        let answers = [switch("parsec", &challenge), salt(hardness), ok(0)];
        let Outcome { error, seen } = begin(turns("mysql_native_password", &answers), Way::Clear);
        assert_eq!(error.is_none(), is_taken, "{hardness}: {error:?}");
        let said = payloads(&seen.sent);
        assert_eq!(said[1].1, b"", "the salt is asked for");
        assert_eq!(
            said.get(2).map(|(_, signed)| signed.len()),
            is_taken.then_some(96),
            "{hardness}"
        );
    }
}

#[test]
fn all_that_it_takes_to_connect_has_one_deadline() {
    let slow = |bytes: Vec<u8>| Turn {
        bytes,
        byte_time: Duration::from_millis(499),
        ..Turn::default()
    };
    for (name, turns) in [
        ("a greeting", vec![slow(greeting("mysql_native_password"))]),
        (
            "an OK",
            vec![Turn::of(greeting("mysql_native_password")), slow(packet(2, &ok(0)))],
        ),
        (
            "silence",
            vec![Turn::of(greeting("mysql_native_password")), Turn::default()],
        ),
    ] {
        for way in [Way::Clear, Way::Unix] {
            let Outcome { error, seen } = begin(turns.clone(), way);
            assert_eq!(
                error.as_deref().map(|error| error.contains("timed out")),
                Some(true),
                "{name}: {error:?}"
            );
            assert_eq!(seen.elapsed, CONNECT, "{name}");
        }
    }
    // The beginning of a TLS record that never ends.
    let record = slow(vec![0x16, 3, 3, 0x3f, 0]);
    for last in [record, Turn::default()] {
        let Outcome { error, seen } = begin(
            vec![Turn::of(greeting("mysql_native_password")), last, Turn::default()],
            Way::Tls,
        );
        assert!(
            error.as_ref().is_some_and(|error| error.contains("timed out")),
            "{error:?}"
        );
        assert_eq!(seen.elapsed, CONNECT);
    }
}
