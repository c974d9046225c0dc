//! How the servers word their errors, as far as that is known: one table, with what is a name in
//! each text and what may be a value.
//!
//! The texts are the servers' own (MariaDB 10.11 and 11.8, MySQL 9.7, in English). What is missing
//! here is hidden, and does no other harm. The Laravel package has a copy of the table
//! (`laravel/src/Messages/Templates.php`), which its tests compare with this one.

/// A part of a text that its template leaves open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// `{v}`: a value, or what may hold one.
    Value,
    /// `{n}`: a name of the schema, an account, a type, a function. It has no quotation mark.
    Name,
    /// `{k}`: words and names between backticks, as of a foreign key's definition.
    Names,
    /// `{d}`: a number of the server's own, as a row's place in its statement.
    Digits,
}

impl Part {
    /// The literal at a template's beginning, and the part after it with the rest.
    pub fn split(template: &str) -> (&str, Option<(Self, &str)>) {
        let Some(start) = template.find('{') else {
            return (template, None);
        };
        let (literal, rest) = template.split_at(start);
        let part = match rest.get(..3) {
            Some("{v}") => Self::Value,
            Some("{k}") => Self::Names,
            Some("{d}") => Self::Digits,
            _ => Self::Name,
        };
        (literal, Some((part, rest.get(3..).unwrap_or_default())))
    }

    /// Whether a character may be in it.
    pub fn takes(self, character: char) -> bool {
        match self {
            Self::Value => true,
            Self::Name => !matches!(character, '\'' | '"' | '`'),
            Self::Names => !matches!(character, '\'' | '"'),
            Self::Digits => character.is_ascii_digit(),
        }
    }
}

/// The templates of a code.
pub fn templates_of(code: u16) -> impl Iterator<Item = &'static str> {
    let start = TEMPLATES.partition_point(|(of, _)| *of < code);
    TEMPLATES[start..]
        .iter()
        .take_while(move |(of, _)| *of == code)
        .map(|(_, template)| *template)
}

/// The table, by code.
pub const TEMPLATES: &[(u16, &str)] = &[
    (
        1020,
        "Record has changed since last read in table '{n}'; try restarting transaction",
    ),
    (1020, "Record has changed since last read in table '{n}'"),
    (1022, "Can't write; duplicate key in table '{n}'"),
    (1036, "Table '{n}' is read only"),
    (1044, "Access denied for user '{n}'@'{n}' to database '{n}'"),
    (1045, "Access denied for user '{n}'@'{n}' (using password: {n})"),
    (1048, "Column '{n}' cannot be null"),
    (1049, "Unknown database '{n}'"),
    (1054, "Unknown column '{n}' in '{n}'"),
    (1062, "Duplicate entry '{v}' for key '{n}'"),
    (1062, "Duplicate entry '{v}' for key {d}"),
    (1114, "The table '{n}' is full"),
    (1115, "Unknown character set: '{n}'"),
    (
        1118,
        "Row size too large. The maximum row size for the used table type, not counting BLOBs, is {d}. This includes storage \
         overhead, check the manual. You have to change some columns to TEXT or BLOBs",
    ),
    (1130, "Host '{n}' is not allowed to connect to this MariaDB server"),
    (1130, "Host '{n}' is not allowed to connect to this MySQL server"),
    (1142, "{n} command denied to user '{n}'@'{n}' for table `{n}`.`{n}`"),
    (1142, "{n} command denied to user '{n}'@'{n}' for table '{n}'"),
    (
        1143,
        "{n} command denied to user '{n}'@'{n}' for column '{n}' in table '{n}'",
    ),
    (1146, "Table '{n}' doesn't exist"),
    (1153, "Got a packet bigger than 'max_allowed_packet' bytes"),
    (1169, "Can't write, because of unique constraint, to table '{n}'"),
    (1194, "Table '{n}' is marked as crashed and should be repaired"),
    (
        1197,
        "Multi-statement transaction required more than 'max_binlog_cache_size' bytes of storage; increase this mysqld variable and try again",
    ),
    (
        1197,
        "Multi-statement transaction required more than 'max_binlog_cache_size' bytes of storage; increase this mariadbd variable and try again",
    ),
    (
        1203,
        "User {n} already has more than 'max_user_connections' active connections",
    ),
    (1216, "Cannot add or update a child row: a foreign key constraint fails"),
    (
        1217,
        "Cannot delete or update a parent row: a foreign key constraint fails",
    ),
    (1226, "User '{n}' has exceeded the '{n}' resource (current value: {d})"),
    (1231, "Variable '{n}' can't be set to the value of '{n}'"),
    (
        1263,
        "Column set to default value; NULL supplied to NOT NULL column '{n}' at row {d}",
    ),
    (1264, "Out of range value for column '{n}' at row {d}"),
    (1265, "Data truncated for column '{n}' at row {d}"),
    (1273, "Unknown collation: '{n}'"),
    (
        1290,
        "The MariaDB server is running with the {n} option so it cannot execute this statement",
    ),
    (
        1290,
        "The MySQL server is running with the {n} option so it cannot execute this statement",
    ),
    (
        1292,
        "Incorrect {n} value: '{v}' for column `{n}`.`{n}`.`{n}` at row {d}",
    ),
    (1292, "Incorrect {n} value: '{v}' for column '{n}' at row {d}"),
    (1292, "Truncated incorrect {n} value: '{v}'"),
    (1298, "Unknown or incorrect time zone: '{n}'"),
    (1299, "Invalid TIMESTAMP value in column '{n}' at row {d}"),
    (1300, "Invalid {n} character string: '{v}'"),
    (
        1301,
        "Result of {n}() was larger than max_allowed_packet ({d}) - truncated",
    ),
    (1305, "FUNCTION {n} does not exist"),
    (1305, "PROCEDURE {n} does not exist"),
    (
        1356,
        "View '{n}' references invalid table(s) or column(s) or function(s) or definer/invoker of view lack rights to use them",
    ),
    (1364, "Field '{n}' doesn't have a default value"),
    (1365, "Division by 0"),
    (
        1366,
        "Incorrect {n} value: '{v}' for column `{n}`.`{n}`.`{n}` at row {d}",
    ),
    (1366, "Incorrect {n} value: '{v}' for column '{n}' at row {d}"),
    (1369, "CHECK OPTION failed `{n}`.`{n}`"),
    (1369, "CHECK OPTION failed '{n}'"),
    (1370, "{n} command denied to user '{n}'@'{n}' for routine '{n}'"),
    (1406, "Data too long for column '{n}' at row {d}"),
    (1411, "Incorrect {n} value: '{v}' for function {n}"),
    (
        1416,
        "Cannot get geometry object from data you send to the GEOMETRY field",
    ),
    (
        1423,
        "Field of view '{n}' underlying table doesn't have a default value",
    ),
    (1441, "Datetime function: {n} field overflow"),
    (
        1442,
        "Can't update table '{n}' in stored function/trigger because it is already used by statement which invoked this stored function/trigger",
    ),
    (1449, "The user specified as a definer ('{n}'@'{n}') does not exist"),
    (
        1451,
        "Cannot delete or update a parent row: a foreign key constraint fails ({k})",
    ),
    (
        1452,
        "Cannot add or update a child row: a foreign key constraint fails ({k})",
    ),
    (
        1461,
        "Can't create more than max_prepared_stmt_count statements (current value: {d})",
    ),
    (1525, "Incorrect {n} value: '{v}'"),
    (1526, "Table has no partition for value {v}"),
    (
        1557,
        "Upholding foreign key constraints for table '{n}', entry '{v}', key {d} would lead to a duplicate entry",
    ),
    (1586, "Duplicate entry '{v}' for key '{n}'"),
    (1591, "Table has no partition for some existing values"),
    (1690, "{n} value is out of range in '{v}'"),
    (1748, "Found a row not matching the given partition set"),
    (
        1761,
        "Foreign key constraint for table '{n}', record '{v}' would lead to a duplicate entry in table '{n}', key '{n}'",
    ),
    (
        1762,
        "Foreign key constraint for table '{n}', record '{v}' would lead to a duplicate entry in a child table",
    ),
    (1814, "Tablespace has been discarded for table '{n}'"),
    (1814, "Tablespace has been discarded for table `{n}`"),
    (1859, "Duplicate entry for key '{n}'"),
    (
        1906,
        "The value specified for generated column '{n}' in table '{n}' has been ignored",
    ),
    (1932, "Table '{n}' doesn't exist in engine"),
    (1977, "Cannot convert '{n}' character 0x{v} to '{n}'"),
    (3020, "Invalid argument for logarithm"),
    (
        3105,
        "The value specified for generated column '{n}' in table '{n}' is not allowed.",
    ),
    (
        3140,
        "Invalid JSON text: \"{v}\" at position {d} in value for column '{n}'.",
    ),
    (
        3141,
        "Invalid JSON text in argument {d} to function {n}: \"{v}\" at position {d}.",
    ),
    (
        3155,
        "Out of range JSON value for CAST to {n} from column {n} at row {d}",
    ),
    (3156, "Invalid JSON value for CAST to {n} from column {n} at row {d}"),
    (3673, "Column '{n}' cannot be null"),
    (3751, "Data truncated for functional index '{n}' at row {d}"),
    (3752, "Value is out of range for functional index '{n}' at row {d}"),
    (3819, "Check constraint '{n}' is violated."),
    (3854, "Cannot convert string '{v}' from {n} to {n}"),
    (3903, "Invalid JSON value for CAST for functional index '{n}'."),
    (3904, "Out of range JSON value for CAST for functional index '{n}'."),
    (3907, "Data too long for functional index '{n}'."),
    (3988, "Conversion from collation {n} into {n} impossible for {v}"),
    (4025, "CONSTRAINT `{n}` failed for `{n}`.`{n}`"),
    (
        4035,
        "Broken JSON string in argument {d} to function '{n}' at position {d}",
    ),
    (
        4036,
        "Character disallowed in JSON in argument {d} to function '{n}' at position {d}",
    ),
    (4037, "Unexpected end of JSON text in argument {d} to function '{n}'"),
    (
        4038,
        "Syntax error in JSON text in argument {d} to function '{n}' at position {d}",
    ),
    (6138, "Data cannot be converted to a valid vector: '{v}'"),
    (6527, "{n} value is out of range in '{v}'"),
];
