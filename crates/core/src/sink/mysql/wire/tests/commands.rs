//! Commands and their answers, by servers that keep the rules, and by others.

use std::time::Duration;

use mysql::Row;

use super::peer::{EOF, Turn, column, err, ok, packet, packets, text_row};
use super::{TIMEOUTS, look, session};
use crate::sink::mysql::wire::ANSWER_BYTES_MAX;
use crate::sink::mysql::wire::answer::Done;
use crate::sink::mysql::wire::command::Command;
use crate::sink::mysql::wire::conn::{Answer, Sent};

const QUIT: &[u8] = b"\x01\0\0\0\x01";

fn result(rows: &[&[&str]]) -> Vec<u8> {
    let count = vec![u8::try_from(rows.first().map_or(1, |row| row.len())).expect("few")];
    let mut payloads = vec![count.clone()];
    payloads.extend((0..count[0]).map(|_| column()));
    payloads.push(EOF.to_vec());
    payloads.extend(rows.iter().map(|row| text_row(row)));
    payloads.push(EOF.to_vec());
    packets(1, &payloads.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

#[test]
fn answers_are_read() {
    let (mut conn, seen) = session(vec![
        Turn::of(packet(1, &ok(3))),
        Turn::of(result(&[&["a", "b"], &["c", "d"]])),
        Turn::of(packet(1, &err(1064, "syntax"))),
        Turn::of(result(&[&["5"]])),
    ]);
    conn.query_drop("SET x").expect("an OK");
    let rows: Vec<(String, String)> = conn.query("SELECT 2").expect("rows");
    assert_eq!(rows, [("a".into(), "b".into()), ("c".into(), "d".into())]);
    let refused = conn.query_drop("SELEC").expect_err("an error");
    assert!(matches!(refused, mysql::Error::MySqlError(error) if error.code == 1064));
    assert_eq!(conn.query_first::<u64>("SELECT 5").expect("a row"), Some(5));
    drop(conn);
    assert!(look(&seen, |seen| seen.sent.ends_with(QUIT)), "a clean end is said");
}

#[test]
fn a_row_of_another_kind_is_an_error() {
    let (mut conn, _) = session(vec![Turn::of(result(&[&["a", "b"]])), Turn::of(result(&[&["a"]]))]);
    assert!(conn.query::<(String,)>("SELECT 2").is_err());
    assert!(conn.query::<u64>("SELECT 'a'").is_err());
    // Neither is one where there should be none, or none where there should be one.
    let (mut conn, _) = session(vec![Turn::of(result(&[&["a"]])), Turn::of(packet(1, &ok(0)))]);
    assert!(conn.query_drop("COMMIT").is_err(), "COMMIT has no result");
    assert!(conn.query_drop("COMMIT").is_err(), "the session is over");
    let (mut conn, _) = session(vec![Turn::of(packet(1, &ok(0)))]);
    assert!(
        conn.query_first::<u64>("SELECT last_transaction").is_err(),
        "no result is not no row"
    );
}

#[test]
fn an_answer_of_several_packets_is_one() {
    let long = "x".repeat(0xff_ffff + 5);
    let row = text_row(&[&long]);
    let (first, second) = row.split_at(0xff_ffff);
    let answer = |number: u8| {
        let row = [packet(4, first), packet(number, second)].concat();
        [packets(1, &[&[1], &column(), EOF]), row, packet(6, EOF)].concat()
    };
    let (mut conn, _) = session(vec![Turn::of(answer(5))]);
    let found: Option<String> = conn.query_first("SELECT").expect("a row");
    assert_eq!(found.map(|found| found == long), Some(true));
    let (mut conn, _) = session(vec![Turn::of(answer(4))]);
    let error = conn.query::<Row>("SELECT").expect_err("out of order").to_string();
    assert!(error.contains("out of order"), "{error}");
}

#[test]
fn an_answer_without_an_end_is_left_at_the_bound() {
    let row: Vec<u8> = (4..7)
        .flat_map(|number| packet(number, &vec![b'x'; 0xff_ffff]))
        .collect();
    let answer = [packets(1, &[&[1], &column(), EOF]), row].concat();
    let (mut conn, seen) = session(vec![Turn::of(answer)]);
    let before = look(&seen, |seen| seen.delivered);
    let error = conn.query::<Row>("SELECT").expect_err("too long").to_string();
    assert!(error.contains("longer than any"), "{error}");
    let taken = look(&seen, |seen| seen.delivered) - before;
    assert!(taken <= ANSWER_BYTES_MAX + 64 * 1_024, "{taken}");
}

#[test]
fn commands_are_sent_ahead_and_answered_in_order() {
    let (mut conn, _) = session(vec![
        Turn::of(packet(1, &ok(1))),
        Turn::of(packet(1, &err(1062, "twice"))),
        Turn::of(result(&[&["a"]])),
    ]);
    for sql in ["one", "two", "three"] {
        assert_eq!(conn.send(Command::Query(sql)).expect("sent"), Sent::Whole);
    }
    assert!(matches!(conn.receive(), Ok(Answer::Ok(Done { affected_rows: 1, .. }))));
    assert!(matches!(conn.receive(), Err(mysql::Error::MySqlError(error)) if error.code == 1062));
    assert!(matches!(conn.receive(), Ok(Answer::Rows(rows)) if rows.len() == 1));
    assert!(conn.receive().is_err(), "nothing is due");
}

/// What is no answer, and what is said of it.
fn no_answers() -> Vec<(&'static str, Turn, &'static str)> {
    let count = |count: &[u8]| Turn::of(packet(1, count));
    let cut = |bytes: Vec<u8>| Turn {
        bytes,
        is_last: true,
        ..Turn::default()
    };
    let endless: Vec<u8> = [packets(1, &[&[1], &column(), EOF]), {
        let row = text_row(&["x"]);
        (0..20_000_u32)
            .flat_map(|number| packet(u8::try_from((number + 4) % 256).expect("a byte"), &row))
            .collect()
    }]
    .concat();
    vec![
        ("another number", Turn::of(packet(2, &ok(0))), "out of order"),
        ("the number of a greeting", Turn::of(packet(0, &ok(0))), "out of order"),
        (
            "an error with another number",
            Turn::of(packet(0, &err(4031, "idle"))),
            "the server ended the connection: idle (4031)",
        ),
        (
            "a number that is left out",
            Turn::of([packet(1, &[1]), packet(3, &column())].concat()),
            "out of order",
        ),
        ("an empty packet", Turn::of(packet(1, b"")), "no answer that is known"),
        ("half an OK", Turn::of(packet(1, b"\0\0\0")), "no answer that is known"),
        (
            "a file that is asked for",
            Turn::of(packet(1, b"\xfb/etc/passwd")),
            "no answer that is known",
        ),
        ("an EOF", Turn::of(packet(1, EOF)), "no answer that is known"),
        ("no column", count(&[0xfc, 0, 0]), "no answer that is known"),
        ("too many columns", count(&[33]), "no answer that is known"),
        (
            "2^40 columns",
            count(b"\xfe\xff\xff\xff\xff\xff\0\0\0"),
            "no answer that is known",
        ),
        ("a count with an end", count(&[1, 0]), "no answer that is known"),
        (
            "no definition",
            Turn::of(packets(1, &[&[1], b"\x03"])),
            "no answer that is known",
        ),
        (
            "rows without an EOF",
            Turn::of(packets(1, &[&[1], &column(), &text_row(&["x"])])),
            "no answer that is known",
        ),
        (
            "a row of two columns",
            Turn::of(packets(1, &[&[1], &column(), EOF, &text_row(&["x", "y"])])),
            "no answer that is known",
        ),
        (
            "a row without a column",
            Turn::of(packets(1, &[&[1], &column(), EOF, b""])),
            "no answer that is known",
        ),
        (
            "a value without an end",
            Turn::of(packets(1, &[&[1], &column(), EOF, b"\x05x"])),
            "no answer that is known",
        ),
        (
            "a value of 2^60 bytes",
            Turn::of(packets(1, &[&[1], &column(), EOF, b"\xfe\0\0\0\0\0\0\0\x10x"])),
            "no answer that is known",
        ),
        ("rows without an end", Turn::of(endless), "more rows than any"),
        (
            "a packet of 16 MiB that does not come",
            cut(vec![0xff, 0xff, 0xff, 1, 0]),
            "unexpected end of file",
        ),
        (
            "several results",
            Turn::of(packet(1, b"\0\0\0\x0a\0\0\0")),
            "several results",
        ),
        ("the end", cut(vec![]), "unexpected end of file"),
        (
            "the end amid an answer",
            cut(packet(1, &ok(0))[..6].to_vec()),
            "unexpected end of file",
        ),
    ]
}

/// Each one ends the session: whatever is called next fails, and no word is said at the end.
#[test]
fn what_is_no_answer_ends_the_session_without_a_word() {
    for (name, turn, expected) in no_answers() {
        let (mut conn, seen) = session(vec![turn]);
        let error = conn.query::<Row>("SELECT").expect_err(name).to_string();
        assert!(error.contains(expected), "{name}: {error}");
        let sent = look(&seen, |seen| seen.sent.len());
        assert!(conn.query_drop("SELECT").is_err(), "{name}: used again");
        drop(conn);
        assert_eq!(
            look(&seen, |seen| seen.sent.len()),
            sent,
            "{name}: a word after the end"
        );
    }
}

#[test]
fn an_answer_to_nothing_is_not_that_to_the_next_command() {
    for (name, first, expected) in [
        (
            "two OKs at once",
            [packet(1, &ok(0)), packet(1, &ok(0))].concat(),
            "nobody has asked",
        ),
        ("two OKs, in order", packets(1, &[&ok(0), &ok(0)]), "nobody has asked"),
        ("a byte", [packet(1, &ok(0)), vec![0]].concat(), "nobody has asked"),
        (
            "a word at the end",
            [packet(1, &ok(0)), packet(0, &err(1053, "shutdown"))].concat(),
            "ended the connection: shutdown",
        ),
    ] {
        let (mut conn, seen) = session(vec![Turn::of(first), Turn::of(packet(1, &ok(0)))]);
        conn.query_drop("SET autocommit = 0").expect("an OK");
        let sent = look(&seen, |seen| seen.sent.len());
        let error = conn.query_drop("COMMIT").expect_err(name).to_string();
        assert!(error.contains(expected), "{name}: {error}");
        drop(conn);
        assert_eq!(look(&seen, |seen| seen.sent.len()), sent, "{name}: COMMIT was sent");
    }
}

#[test]
fn a_time_out_counts_from_the_call() {
    let slow = |bytes: Vec<u8>| Turn {
        bytes,
        byte_time: Duration::from_secs(7),
        ..Turn::default()
    };
    for (name, turn) in [
        ("an OK, byte by byte", slow(packet(1, &ok(0)))),
        ("rows, byte by byte", slow(result(&[&["a"], &["b"], &["c"]]))),
        ("silence", Turn::default()),
    ] {
        let (mut conn, seen) = session(vec![turn.clone()]);
        let error = conn.query::<Row>("COMMIT").expect_err(name);
        assert!(error.to_string().contains("timed out"), "{name}: {error}");
        assert_eq!(look(&seen, |seen| seen.elapsed), TIMEOUTS.read, "{name}");
        let sent = look(&seen, |seen| seen.sent.len());
        drop(conn);
        assert_eq!(
            look(&seen, |seen| seen.sent.len()),
            sent,
            "{name}: a word after a time-out"
        );
        // The caller's time is over earlier.
        let (mut conn, seen) = session(vec![turn]);
        conn.set_deadline(Some(conn.now() + Duration::from_secs(3)));
        conn.query::<Row>("COMMIT").expect_err(name);
        assert_eq!(look(&seen, |seen| seen.elapsed), Duration::from_secs(3), "{name}");
    }
}

#[test]
fn a_time_out_comes_although_bytes_never_stop() {
    let rows: Vec<&[&str]> = vec![&["a"]; 100];
    let (mut conn, seen) = session(vec![Turn {
        bytes: result(&rows),
        byte_time: Duration::from_millis(700),
        is_flood: true,
        ..Turn::default()
    }]);
    let error = conn.query::<Row>("SELECT").expect_err("too slow").to_string();
    assert!(error.contains("timed out"), "{error}");
    let elapsed = look(&seen, |seen| seen.elapsed);
    assert!(elapsed < TIMEOUTS.read + Duration::from_millis(700), "{elapsed:?}");
}

#[test]
fn a_server_that_does_not_read_answers_first() {
    let (mut conn, seen) = session(vec![
        Turn::of(packet(1, &ok(1))),
        Turn::of(packet(1, &ok(2))),
        Turn::default(),
    ]);
    assert_eq!(conn.send(Command::Query("one")).expect("sent"), Sent::Whole);
    look(&seen, |seen| seen.send_limit = Some(6));
    assert_eq!(conn.send(Command::Query("two")).expect("some of it"), Sent::Blocked);
    assert_eq!(look(&seen, |seen| seen.elapsed), TIMEOUTS.write);
    assert!(conn.is_partly_sent());
    assert!(matches!(conn.receive(), Ok(Answer::Ok(Done { affected_rows: 1, .. }))));
    look(&seen, |seen| seen.send_limit = None);
    assert_eq!(conn.go_on_sending().expect("the rest"), Sent::Whole);
    assert!(matches!(conn.receive(), Ok(Answer::Ok(Done { affected_rows: 2, .. }))));
    assert!(look(&seen, |seen| seen.sent.ends_with(b"\x04\0\0\0\x03two")));
    // Nothing is under way that could be waited for.
    look(&seen, |seen| seen.send_limit = Some(0));
    let error = conn.send(Command::Query("three")).expect_err("no room");
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
    look(&seen, |seen| seen.send_limit = None);
    assert!(
        conn.send(Command::Query("four")).is_err(),
        "behind a part of another one"
    );
}
