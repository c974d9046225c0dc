//! What is known of an error code.

/// What a server's error asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// The transaction lost a race: roll back and repeat it, with a backoff, a bounded number of
    /// times.
    Retry,
    /// The connection, or the server for now, is of no use: connect again, and keep the rows until
    /// that helps.
    Reconnect,
    /// A row's own data is at fault: its table, as it is, never takes it. The rows beside it may be
    /// fine.
    Data,
    /// The table, its columns, the account or the settings are in the way, and no row is at fault:
    /// keep the rows and try again later.
    Blocked,
    /// Nobody knows. Keep the rows and try again later.
    Unlisted,
}

/// Who answers with a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// MySQL and MariaDB.
    Both,
    /// MySQL alone. MariaDB may use the number for something that no command of ours meets.
    MySql,
    /// MariaDB alone. MySQL may use the number for something that no command of ours meets.
    MariaDb,
    /// `TiDB`.
    TiDb,
    /// The client library, or a proxy in its place.
    Client,
}

/// An error code, and what is known of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerCode {
    /// The number.
    pub code: u16,
    /// Its name in the server's sources.
    pub name: &'static str,
    /// What it asks for.
    pub class: Class,
    /// Who answers with it.
    pub origin: Origin,
    /// What it means, and so why it is in its class.
    pub why: &'static str,
    /// As the answer to COMMIT: why the transaction is certainly not committed. Empty: it may be.
    pub fails_commit: &'static str,
    /// The page that says more, if there is one.
    pub link: &'static str,
}

/// Makes a constant of each code, and a table of them.
macro_rules! codes {
    (
        $(#[doc = $doc:literal])+ $table:ident: $class:ident;
        $(
            $name:ident = $code:literal, $origin:ident, $why:literal
            $(, fails_commit $fails_commit:literal)? $(, link $link:literal)?;
        )+
    ) => {
        $(#[doc = $why] pub const $name: u16 = $code;)+

        $(#[doc = $doc])+
        pub const $table: &[$crate::error::codes::code::ServerCode] = &[$($crate::error::codes::code::ServerCode {
            code: $code,
            name: stringify!($name),
            class: $crate::error::codes::code::Class::$class,
            origin: $crate::error::codes::code::Origin::$origin,
            why: $why,
            fails_commit: concat!($($fails_commit)?),
            link: concat!($($link)?),
        }),+];
    };
}
pub(super) use codes;
