//! Beginnings of sessions that are refused.

use super::handshakes::{Outcome, Way, begin, payloads, switch, turns};
use super::peer::{Turn, err, greeting, greeting_with, ok, packet};

/// A beginning, and what is said of it.
type Bad = (&'static str, Way, Vec<Turn>, &'static str);

fn bad_greetings() -> Vec<Bad> {
    let native = "mysql_native_password";
    let cut = |bytes: Vec<u8>, end: usize| Turn {
        bytes: bytes[..end].to_vec(),
        is_last: true,
        ..Turn::default()
    };
    let without = |bit: u32| Turn::of(greeting_with(native, !(1 << bit)));
    vec![
        (
            "an error",
            Way::Clear,
            vec![Turn::of(packet(0, b"\xff\x10\x04Too many connections"))],
            "Too many connections",
        ),
        (
            "an error with another number",
            Way::Clear,
            vec![Turn::of(packet(9, &err(1130, "not allowed")))],
            "not allowed",
        ),
        (
            "an empty greeting",
            Way::Clear,
            vec![Turn::of(packet(0, b""))],
            "none that is known",
        ),
        (
            "a number that is not zero",
            Way::Clear,
            vec![Turn::of(
                [&greeting(native)[..3], &[1], &greeting(native)[4..]].concat(),
            )],
            "out of order",
        ),
        (
            "half a greeting",
            Way::Clear,
            vec![cut(greeting(native), 30)],
            "unexpected end of file",
        ),
        (
            "no greeting",
            Way::Clear,
            vec![Turn {
                is_last: true,
                ..Turn::default()
            }],
            "unexpected end of file",
        ),
        (
            "a greeting without an end",
            Way::Clear,
            vec![Turn::of(vec![0xff, 0xff, 0x3f, 0])],
            "longer than any",
        ),
        ("an old protocol", Way::Clear, vec![without(9)], "before MySQL 4.1"),
        ("no TLS", Way::Tls, vec![without(11)], "does not have this capability"),
        (
            "bytes before TLS",
            Way::Tls,
            vec![Turn::of([greeting(native), packet(3, &ok(0))].concat())],
            "unencrypted bytes before TLS",
        ),
        (
            "one byte before TLS",
            Way::Tls,
            vec![Turn::of([greeting(native), vec![0]].concat())],
            "unencrypted bytes before TLS",
        ),
        (
            "clear bytes in the place of TLS",
            Way::Tls,
            vec![Turn::of(greeting(native)), Turn::of(packet(3, &ok(0)))],
            "corrupt message",
        ),
    ]
}

fn bad_authentications() -> Vec<Bad> {
    let native = "mysql_native_password";
    vec![
        (
            "an empty packet",
            Way::Clear,
            turns(native, &[vec![]]),
            "none that is known",
        ),
        (
            "half an OK",
            Way::Clear,
            turns(native, &[vec![0, 0, 0]]),
            "none that is known",
        ),
        (
            "an OK with another number",
            Way::Clear,
            vec![Turn::of(greeting(native)), Turn::of(packet(1, &ok(0)))],
            "out of order",
        ),
        (
            "a refusal",
            Way::Clear,
            turns(native, &[err(1045, "Access denied")]),
            "Access denied",
        ),
        (
            "the oldest password",
            Way::Clear,
            turns(native, &[vec![0xfe]]),
            "`old_mysql_password` plugin",
        ),
        (
            "the oldest password, by name",
            Way::Clear,
            turns(native, &[switch("mysql_old_password", b"12345678\0")]),
            "`old_mysql_password` plugin",
        ),
        (
            "a clear password",
            Way::Clear,
            turns(native, &[switch("mysql_clear_password", b"")]),
            "mysql_clear_password must be",
        ),
        (
            "a clear password over a unix socket",
            Way::Unix,
            turns(native, &[switch("mysql_clear_password", b"")]),
            "mysql_clear_password must be",
        ),
        (
            "an unknown plugin",
            Way::Clear,
            turns(native, &[switch("dialog", b"Password?")]),
            "`dialog`",
        ),
        (
            "a short challenge",
            Way::Clear,
            turns(native, &[switch(native, b"short\0")]),
            "none that is known",
        ),
        (
            "more data that nobody needs",
            Way::Clear,
            turns(native, &[b"\x01\x04".to_vec()]),
            "none that is known",
        ),
        (
            "more data without an end",
            Way::Clear,
            turns("caching_sha2_password", &[b"\x01".to_vec()]),
            "none that is known",
        ),
        (
            "a file that is asked for",
            Way::Clear,
            turns(native, &[b"\xfb/etc/passwd".to_vec()]),
            "none that is known",
        ),
        (
            "switches without an end",
            Way::Clear,
            turns(native, &vec![switch(native, b"ABCDEFGHIJKLMNOPQRST\0"); 100]),
            "none that is known",
        ),
    ]
}

#[test]
fn what_is_no_beginning_is_refused_without_a_word() {
    for (name, way, turns, expected) in [bad_greetings(), bad_authentications()].concat() {
        let Outcome { error, seen } = begin(turns, way);
        let error = error.unwrap_or_else(|| panic!("{name}: a session"));
        assert!(error.contains(expected), "{name}: {error}");
        assert!(!error.contains("secret"), "{name}: {error}");
        assert!(!seen.sent.ends_with(b"\x01\0\0\0\x01"), "{name}: a word at the end");
        assert!(
            !seen.sent.windows(6).any(|window| window == b"secret"),
            "{name}: the password"
        );
        assert!(payloads_count(&seen.sent, way) <= 9, "{name}");
    }
}

fn payloads_count(sent: &[u8], way: Way) -> usize {
    if way == Way::Tls { 0 } else { payloads(sent).len() }
}
