//! What a server and a session are like, as far as reading a table's schema depends on it.

use crate::table::name_charset::NameCharset;

/// See the module.
#[derive(Debug, Clone, Copy)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts of a server and a session"
)]
pub struct ServerTraits {
    /// The server is MariaDB, which writes a default as an expression: `NULL`, `'text'`.
    pub is_mariadb: bool,
    /// The session has `STRICT_TRANS_TABLES` or `STRICT_ALL_TABLES`.
    pub is_strict: bool,
    /// The session has not `NO_AUTO_VALUE_ON_ZERO`.
    pub makes_number_for_zero: bool,
    /// The session has `ALLOW_INVALID_DATES`: each month has 31 days.
    pub allows_invalid_dates: bool,
    /// The session's texts are Unicode.
    pub is_unicode_session: bool,
    /// The names that may stand in the session's statements.
    pub names: NameCharset,
    /// The session's time zone has no summer time.
    pub has_fixed_zone: bool,
    /// `lower_case_table_names`: names that differ in letter case alone are one table.
    pub folds_table_names: bool,
}
