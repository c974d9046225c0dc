//! How a session reads a text in a statement.

/// Character sets with a backslash amid their letters.
const BACKSLASH_IN_LETTERS: [&str; 5] = ["big5", "cp932", "gb18030", "gbk", "sjis"];

/// Character sets in which each byte is a letter.
const SINGLE_BYTES: [&str; 20] = [
    "binary", "cp1250", "cp1251", "cp1256", "cp1257", "cp850", "cp852", "cp866", "dec8", "greek", "hebrew", "hp8",
    "keybcs2", "koi8r", "koi8u", "latin1", "latin2", "latin5", "latin7", "macroman",
];

/// How a session reads a text in a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextForm {
    /// A backslash in quotes takes the letter behind it: there is no `NO_BACKSLASH_ESCAPES`.
    pub escapes: bool,
    /// What is a text of its character set for certain.
    pub charset: Charset,
}

/// What is a text of the session's character set for certain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charset {
    /// What is UTF-8.
    Unicode,
    /// Any bytes.
    SingleBytes,
    /// Letters of one and of two bytes, of this character set.
    InLetters(&'static str),
    /// ASCII.
    Other,
}

impl TextForm {
    /// The form for a session's character set and `sql_mode`.
    pub fn of_session(charset: &str, sql_mode: &str) -> Self {
        let is = |name: &&str| charset.eq_ignore_ascii_case(name);
        let in_letters = BACKSLASH_IN_LETTERS.into_iter().find(is);
        Self {
            escapes: !sql_mode.contains("NO_BACKSLASH_ESCAPES"),
            charset: match in_letters {
                Some(name) => Charset::InLetters(name),
                None if is(&"utf8mb4") => Charset::Unicode,
                None if SINGLE_BYTES.iter().any(is) => Charset::SingleBytes,
                None => Charset::Other,
            },
        }
    }
}

impl Charset {
    /// Whether bytes are a text for certain.
    pub fn has(self, bytes: &[u8]) -> bool {
        match self {
            Self::Unicode => std::str::from_utf8(bytes).is_ok(),
            Self::SingleBytes => true,
            Self::InLetters(charset) => has_letters(charset, bytes),
            Self::Other => bytes.is_ascii(),
        }
    }
}

/// Whether bytes are letters of one and of two bytes.
fn has_letters(charset: &str, bytes: &[u8]) -> bool {
    let is_lead = |byte: u8| match charset {
        "big5" => (0xa1..=0xf9).contains(&byte),
        "gbk" | "gb18030" => (0x81..=0xfe).contains(&byte),
        _ => (0x81..=0x9f).contains(&byte) || (0xe0..=0xfc).contains(&byte),
    };
    let is_trail = |byte: u8| match charset {
        "big5" => (0x40..=0x7e).contains(&byte) || (0xa1..=0xfe).contains(&byte),
        "gbk" | "gb18030" => (0x40..=0x7e).contains(&byte) || (0x80..=0xfe).contains(&byte),
        _ => (0x40..=0x7e).contains(&byte) || (0x80..=0xfc).contains(&byte),
    };
    let mut rest = bytes;
    loop {
        rest = match rest {
            [] => return true,
            [one, behind @ ..] if one.is_ascii() => behind,
            [lead, trail, behind @ ..] if is_lead(*lead) && is_trail(*trail) => behind,
            _ => return false,
        };
    }
}
