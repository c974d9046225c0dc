//! The words of an error, clean and bounded, in two forms: all of them, and without values of rows.
//!
//! Invariants:
//! - Neither form has a character that steers a terminal, ends a line or turns the order of text
//!   around ([`clean`]). It does not matter where the words come from.
//! - What a server says becomes a message in one place, [`ServerText::new`]. There the values that
//!   it quotes are told from names ([`redaction`](super::redaction)).
//! - A message is printed without values. Whoever may show them asks for [`Message::full`], or
//!   [reveals](Message::revealed) them.
//!
//! Bounds: 1,024 bytes of a server's words ([`SERVER_TEXT_MAX`]; the servers themselves stop at
//! 512), 8,192 bytes of a message ([`MESSAGE_MAX`]).

use std::borrow::Cow;
use std::fmt;

use super::redaction;

/// The most bytes that are kept of what a server says.
pub const SERVER_TEXT_MAX: usize = 1_024;
/// The most bytes of a message.
pub const MESSAGE_MAX: usize = 8_192;

/// The words of an error: see the module.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Message {
    /// Without values of rows.
    shown: String,
    /// With them, if that is another text.
    full: Option<Box<str>>,
}

impl Message {
    fn new(shown: &str, full: &str) -> Self {
        let shown = bounded(&clean(shown), MESSAGE_MAX).into_owned();
        let full = bounded(&clean(full), MESSAGE_MAX).into_owned();
        Self {
            full: (full != shown).then(|| full.into_boxed_str()),
            shown,
        }
    }

    /// The words without values of rows, unless these were revealed.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// All words, with values of rows in them.
    pub fn full(&self) -> &str {
        self.full.as_deref().unwrap_or(&self.shown)
    }

    /// The words of each form that it has.
    pub fn forms(&self) -> impl Iterator<Item = &str> {
        [Some(&*self.shown), self.full.as_deref()].into_iter().flatten()
    }

    /// The same message, printed with all its words: `redactValues` is off.
    #[must_use]
    pub fn revealed(self) -> Self {
        Self {
            shown: self.full.map_or(self.shown, String::from),
            full: None,
        }
    }

    /// A message that is made of this one. The function gets its words, in each form.
    #[must_use]
    pub fn map(&self, words: impl Fn(&str) -> String) -> Self {
        Self::of_several(|form| words(form(self)))
    }

    /// A message that is made of others. The function gets what takes the words out of each of
    /// them, in each form.
    pub fn of_several(words: impl Fn(fn(&Self) -> &str) -> String) -> Self {
        Self::new(&words(Self::shown), &words(Self::full))
    }
}

impl fmt::Display for Message {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.shown)
    }
}

/// As it is printed: a panic's message is in PHP's log.
impl fmt::Debug for Message {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.shown, formatter)
    }
}

/// Words of our own.
impl From<String> for Message {
    fn from(words: String) -> Self {
        Self::new(&words, &words)
    }
}

/// Words of our own.
impl From<&str> for Message {
    fn from(words: &str) -> Self {
        Self::new(words, words)
    }
}

impl From<ServerText> for Message {
    fn from(said: ServerText) -> Self {
        said.0
    }
}

/// What a server says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerText(Message);

impl ServerText {
    /// The text of an error packet, with its code and SQLSTATE.
    pub fn new(code: u16, state: &str, said: &str) -> Self {
        let said = clean(said);
        let said = bounded(&said, SERVER_TEXT_MAX);
        Self(Message::new(&redaction::redact(code, state, &said), &said))
    }
}

/// A text without characters that do something when they are printed: control characters (C0, DEL,
/// C1), other line ends, what hides text, and what turns its direction around. Line ends and tabs
/// become spaces, all others are spelled out.
pub fn clean(text: &str) -> Cow<'_, str> {
    if !text.contains(steers) {
        return Cow::Borrowed(text);
    }
    let mut cleaned = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            '\n' | '\r' | '\t' => cleaned.push(' '),
            '\0' => cleaned.push_str("\\0"),
            _ if steers(character) => cleaned.extend(character.escape_unicode()),
            _ => cleaned.push(character),
        }
    }
    Cow::Owned(cleaned)
}

/// Whether printing a character does something else than to show it.
fn steers(character: char) -> bool {
    matches!(
        character,
        // C0, DEL and C1.
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}'
        // The direction of text.
        | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        // Line and paragraph separators.
        | '\u{2028}' | '\u{2029}'
        // Not seen at all: a zero-width space, a byte order mark, annotations, tags.
        | '\u{200b}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
    )
}

/// A text of at most `max` bytes.
pub fn bounded(text: &str, max: usize) -> Cow<'_, str> {
    const CUT: &str = "…";
    if text.len() <= max {
        return Cow::Borrowed(text);
    }
    let end = text.floor_char_boundary(max.saturating_sub(CUT.len()));
    Cow::Owned(format!("{}{CUT}", &text[..end]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_spelled_out() {
        for (said, expected) in [
            ("plain ünïcode 👩‍👧", "plain ünïcode 👩‍👧"),
            ("a\r\n\tb", "a   b"),
            ("a\0b", "a\\0b"),
            ("\u{1b}]0;title\u{7}", "\\u{1b}]0;title\\u{7}"),
            ("\u{9b}31m\u{7f}", "\\u{9b}31m\\u{7f}"),
            ("\u{2028}\u{2029}\u{85}", "\\u{2028}\\u{2029}\\u{85}"),
            ("\u{202e}evil\u{2066}", "\\u{202e}evil\\u{2066}"),
            ("\u{feff}\u{200b}\u{e0041}", "\\u{feff}\\u{200b}\\u{e0041}"),
        ] {
            assert_eq!(clean(said), expected, "{said:?}");
            for message in [
                Message::from(said),
                Message::from(said.to_owned()),
                ServerText::new(1213, "40001", said).into(),
                Message::from("x").map(|_| said.to_owned()),
            ] {
                assert_eq!((message.shown(), message.full()), (expected, expected), "{said:?}");
            }
        }
    }

    /// Of all characters.
    #[test]
    fn no_control_character_is_left() {
        for character in '\0'..=char::MAX {
            let text = character.to_string();
            let is_clean = clean(&text) == text;
            assert!(!(character.is_control() && is_clean), "{character:?}");
            assert!(clean(&text).chars().all(|left| !steers(left)), "{character:?}");
        }
    }

    #[test]
    fn messages_have_a_bound() {
        let long = "é\u{1b}".repeat(100_000);
        assert!(Message::from(long.as_str()).full().len() <= MESSAGE_MAX);
        let said = Message::from(ServerText::new(1213, "40001", &long));
        assert!(said.full().len() <= SERVER_TEXT_MAX);
        assert!(said.full().ends_with('…'));
        assert!(said.map(|words| words.repeat(99)).shown().len() <= MESSAGE_MAX);
        assert_eq!(bounded("äöü", 6), "äöü");
        assert_eq!(bounded("äöü", 5), "ä…");
    }

    #[test]
    fn a_message_is_printed_without_values_until_they_are_revealed() {
        let said = "Duplicate entry 'alice@example.org' for key 'users.email'";
        let message = Message::from(ServerText::new(1062, "23000", said)).map(|why| format!("the first error: {why}"));
        let hidden = "the first error: Duplicate entry '…' for key 'users.email'";
        assert_eq!(message.to_string(), hidden);
        assert!(!format!("{message:?}").contains("alice"));
        assert_eq!(message.full(), format!("the first error: {said}"));
        assert_eq!(message.revealed().to_string(), format!("the first error: {said}"));
    }
}
