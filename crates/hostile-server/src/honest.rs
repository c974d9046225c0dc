//! What an honest server would say: enough for a client to write one row. So a session comes as far
//! as the phase in which the server is hostile.

use crate::phase::Phase;
use crate::wire::{AUTOCOMMIT, EOF, column, ok, packets, result};

/// What a greeting needs: long passwords, found rows, long flags, the database's name, the 4.1
/// protocol, transactions, secure connections, plugins.
const CAPABILITIES: u32 =
    0x0001 | 0x0002 | 0x0004 | 0x0008 | 0x0200 | 0x2000 | 0x8000 | (0x000f << 16) | (0x0020 << 16);

const DEFINITION: &str = "CREATE TABLE `t` (\n  `id` int(11) NOT NULL,\n  `v` varchar(50) DEFAULT NULL,\n  \
     PRIMARY KEY (`id`)\n) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4";

/// The payload of a greeting that wants this authentication.
pub fn greeting(plugin: &str) -> Vec<u8> {
    let [c0, c1, c2, c3] = CAPABILITIES.to_le_bytes();
    let version = if plugin == "caching_sha2_password" {
        &b"8.0.36"[..]
    } else {
        b"5.5.5-10.11.0-MariaDB"
    };
    [
        &[0x0a],
        version,
        b"\0\x07\0\0\0abcdefgh\0",
        &[c0, c1, 0x21, 2, 0, c2, c3, 21],
        &[0; 10],
        b"ijklmnopqrst\0",
        plugin.as_bytes(),
        b"\0",
    ]
    .concat()
}

/// The bytes of the answer to a command. Nothing: the command has none.
pub fn answer(phase: Phase, payload: &[u8]) -> Vec<u8> {
    let payloads = match phase {
        Phase::Version => result(1, &[vec![Some("10.11.0-MariaDB")]]),
        Phase::Variables => return variables(payload),
        Phase::Definition => result(2, &[vec![Some("t"), Some(DEFINITION)]]),
        Phase::Columns => result(11, &[id_column(), text_column()]),
        Phase::Indexes => result(3, &[vec![Some("PRIMARY"), Some("id"), None]]),
        Phase::References => result(5, &[]),
        Phase::Triggers => result(1, &[vec![Some("0")]]),
        Phase::Engine => result(2, &[vec![Some("InnoDB"), Some("YES")]]),
        Phase::Ledger if payload.get(1..7) == Some(b"SELECT") => result(2, &[]),
        Phase::Other if payload.first() == Some(&0x19) => return Vec::new(),
        Phase::Ledger | Phase::Execute => vec![ok(1, AUTOCOMMIT)],
        Phase::Prepare => return prepared(payload),
        _ => vec![ok(0, AUTOCOMMIT)],
    };
    packets(1, &payloads)
}

fn id_column() -> Vec<Option<&'static str>> {
    let mut fields = vec![
        Some("id"),
        Some("int"),
        Some("NO"),
        None,
        Some(""),
        Some("10"),
        Some("0"),
    ];
    fields.extend([None, None, None, Some("int(11)")]);
    fields
}

fn text_column() -> Vec<Option<&'static str>> {
    let mut fields = vec![Some("v"), Some("varchar"), Some("YES"), None, Some(""), None, None];
    fields.extend([None, Some("200"), Some("utf8mb4_bin"), Some("varchar(50)")]);
    fields
}

/// The values of the variables that are asked for, whichever they are.
fn variables(payload: &[u8]) -> Vec<u8> {
    // A lock's name has no comma; its time-out comes behind one.
    let asked = String::from_utf8_lossy(payload).replace("', 0)", "')");
    let value = |name: &str| {
        let known = [
            ("max_allowed_packet", "16777216"),
            ("character_set", "utf8mb4"),
            ("collation", "utf8mb4_general_ci"),
            ("system_time_zone", "UTC"),
            ("time_zone", "SYSTEM"),
            ("sql_mode", "STRICT_TRANS_TABLES"),
            ("isolation", "READ-COMMITTED"),
            ("autocommit", "1"),
            ("CONNECTION_ID", "7"),
            ("GET_LOCK", "1"),
        ];
        let found = known.iter().find(|(part, _)| name.contains(part));
        found.map_or("0", |(_, value)| value)
    };
    let values: Vec<_> = asked.split(',').map(|name| Some(value(name))).collect();
    packets(1, &result(values.len(), &[values]))
}

fn prepared(payload: &[u8]) -> Vec<u8> {
    let placeholders = payload.split(|byte| *byte == b'?').count() - 1;
    let count = u16::try_from(placeholders).unwrap_or(u16::MAX).to_le_bytes();
    let mut payloads = vec![[&[0, 1, 0, 0, 0, 0, 0][..], &count, &[0, 0, 0]].concat()];
    payloads.extend((0..placeholders).map(|_| column(b"?")));
    if placeholders > 0 {
        payloads.push(EOF.to_vec());
    }
    packets(1, &payloads)
}
