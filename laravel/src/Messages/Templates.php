<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Messages;

/**
 * Owns how MySQL and MariaDB word their errors: a copy of the extension's own table
 * (`crates/core/src/error/templates.rs`), which a test compares with it. `{n}` is a name, `{v}`
 * what may be a value, `{k}` words and names between backticks, `{d}` a number of the server's own.
 */
final class Templates
{
    /** The texts of each code, in the order in which they are tried. */
    public const OF_CODE = [
        1020 => [
            'Record has changed since last read in table \'{n}\'; try restarting transaction',
            'Record has changed since last read in table \'{n}\'',
        ],
        1022 => [
            'Can\'t write; duplicate key in table \'{n}\'',
        ],
        1036 => [
            'Table \'{n}\' is read only',
        ],
        1044 => [
            'Access denied for user \'{n}\'@\'{n}\' to database \'{n}\'',
        ],
        1045 => [
            'Access denied for user \'{n}\'@\'{n}\' (using password: {n})',
        ],
        1048 => [
            'Column \'{n}\' cannot be null',
        ],
        1049 => [
            'Unknown database \'{n}\'',
        ],
        1054 => [
            'Unknown column \'{n}\' in \'{n}\'',
        ],
        1062 => [
            'Duplicate entry \'{v}\' for key \'{n}\'',
            'Duplicate entry \'{v}\' for key {d}',
        ],
        1114 => [
            'The table \'{n}\' is full',
        ],
        1115 => [
            'Unknown character set: \'{n}\'',
        ],
        1118 => [
            'Row size too large. The maximum row size for the used table type, not counting BLOBs, is '
                . '{d}. This includes storage overhead, check the manual. You have to change some columns to TEXT or BLOBs',
        ],
        1130 => [
            'Host \'{n}\' is not allowed to connect to this MariaDB server',
            'Host \'{n}\' is not allowed to connect to this MySQL server',
        ],
        1142 => [
            '{n} command denied to user \'{n}\'@\'{n}\' for table `{n}`.`{n}`',
            '{n} command denied to user \'{n}\'@\'{n}\' for table \'{n}\'',
        ],
        1143 => [
            '{n} command denied to user \'{n}\'@\'{n}\' for column \'{n}\' in table \'{n}\'',
        ],
        1146 => [
            'Table \'{n}\' doesn\'t exist',
        ],
        1153 => [
            'Got a packet bigger than \'max_allowed_packet\' bytes',
        ],
        1169 => [
            'Can\'t write, because of unique constraint, to table \'{n}\'',
        ],
        1194 => [
            'Table \'{n}\' is marked as crashed and should be repaired',
        ],
        1197 => [
            'Multi-statement transaction required more than \'max_binlog_cache_size\' bytes of '
                . 'storage; increase this mysqld variable and try again',
            'Multi-statement transaction required more than \'max_binlog_cache_size\' bytes of '
                . 'storage; increase this mariadbd variable and try again',
        ],
        1203 => [
            'User {n} already has more than \'max_user_connections\' active connections',
        ],
        1216 => [
            'Cannot add or update a child row: a foreign key constraint fails',
        ],
        1217 => [
            'Cannot delete or update a parent row: a foreign key constraint fails',
        ],
        1226 => [
            'User \'{n}\' has exceeded the \'{n}\' resource (current value: {d})',
        ],
        1231 => [
            'Variable \'{n}\' can\'t be set to the value of \'{n}\'',
        ],
        1263 => [
            'Column set to default value; NULL supplied to NOT NULL column \'{n}\' at row {d}',
        ],
        1264 => [
            'Out of range value for column \'{n}\' at row {d}',
        ],
        1265 => [
            'Data truncated for column \'{n}\' at row {d}',
        ],
        1273 => [
            'Unknown collation: \'{n}\'',
        ],
        1290 => [
            'The MariaDB server is running with the {n} option so it cannot execute this statement',
            'The MySQL server is running with the {n} option so it cannot execute this statement',
        ],
        1292 => [
            'Incorrect {n} value: \'{v}\' for column `{n}`.`{n}`.`{n}` at row {d}',
            'Incorrect {n} value: \'{v}\' for column \'{n}\' at row {d}',
            'Truncated incorrect {n} value: \'{v}\'',
        ],
        1298 => [
            'Unknown or incorrect time zone: \'{n}\'',
        ],
        1299 => [
            'Invalid TIMESTAMP value in column \'{n}\' at row {d}',
        ],
        1300 => [
            'Invalid {n} character string: \'{v}\'',
        ],
        1301 => [
            'Result of {n}() was larger than max_allowed_packet ({d}) - truncated',
        ],
        1305 => [
            'FUNCTION {n} does not exist',
            'PROCEDURE {n} does not exist',
        ],
        1356 => [
            'View \'{n}\' references invalid table(s) or column(s) or function(s) or definer/invoker '
                . 'of view lack rights to use them',
        ],
        1364 => [
            'Field \'{n}\' doesn\'t have a default value',
        ],
        1365 => [
            'Division by 0',
        ],
        1366 => [
            'Incorrect {n} value: \'{v}\' for column `{n}`.`{n}`.`{n}` at row {d}',
            'Incorrect {n} value: \'{v}\' for column \'{n}\' at row {d}',
        ],
        1369 => [
            'CHECK OPTION failed `{n}`.`{n}`',
            'CHECK OPTION failed \'{n}\'',
        ],
        1370 => [
            '{n} command denied to user \'{n}\'@\'{n}\' for routine \'{n}\'',
        ],
        1406 => [
            'Data too long for column \'{n}\' at row {d}',
        ],
        1411 => [
            'Incorrect {n} value: \'{v}\' for function {n}',
        ],
        1416 => [
            'Cannot get geometry object from data you send to the GEOMETRY field',
        ],
        1423 => [
            'Field of view \'{n}\' underlying table doesn\'t have a default value',
        ],
        1441 => [
            'Datetime function: {n} field overflow',
        ],
        1442 => [
            'Can\'t update table \'{n}\' in stored function/trigger because it is already used by '
                . 'statement which invoked this stored function/trigger',
        ],
        1449 => [
            'The user specified as a definer (\'{n}\'@\'{n}\') does not exist',
        ],
        1451 => [
            'Cannot delete or update a parent row: a foreign key constraint fails ({k})',
        ],
        1452 => [
            'Cannot add or update a child row: a foreign key constraint fails ({k})',
        ],
        1461 => [
            'Can\'t create more than max_prepared_stmt_count statements (current value: {d})',
        ],
        1525 => [
            'Incorrect {n} value: \'{v}\'',
        ],
        1526 => [
            'Table has no partition for value {v}',
        ],
        1557 => [
            'Upholding foreign key constraints for table \'{n}\', entry \'{v}\', key {d} would lead '
                . 'to a duplicate entry',
        ],
        1586 => [
            'Duplicate entry \'{v}\' for key \'{n}\'',
        ],
        1591 => [
            'Table has no partition for some existing values',
        ],
        1690 => [
            '{n} value is out of range in \'{v}\'',
        ],
        1748 => [
            'Found a row not matching the given partition set',
        ],
        1761 => [
            'Foreign key constraint for table \'{n}\', record \'{v}\' would lead to a duplicate entry '
                . 'in table \'{n}\', key \'{n}\'',
        ],
        1762 => [
            'Foreign key constraint for table \'{n}\', record \'{v}\' would lead to a duplicate entry '
                . 'in a child table',
        ],
        1814 => [
            'Tablespace has been discarded for table \'{n}\'',
            'Tablespace has been discarded for table `{n}`',
        ],
        1859 => [
            'Duplicate entry for key \'{n}\'',
        ],
        1906 => [
            'The value specified for generated column \'{n}\' in table \'{n}\' has been ignored',
        ],
        1932 => [
            'Table \'{n}\' doesn\'t exist in engine',
        ],
        1977 => [
            'Cannot convert \'{n}\' character 0x{v} to \'{n}\'',
        ],
        3020 => [
            'Invalid argument for logarithm',
        ],
        3105 => [
            'The value specified for generated column \'{n}\' in table \'{n}\' is not allowed.',
        ],
        3140 => [
            'Invalid JSON text: "{v}" at position {d} in value for column \'{n}\'.',
        ],
        3141 => [
            'Invalid JSON text in argument {d} to function {n}: "{v}" at position {d}.',
        ],
        3155 => [
            'Out of range JSON value for CAST to {n} from column {n} at row {d}',
        ],
        3156 => [
            'Invalid JSON value for CAST to {n} from column {n} at row {d}',
        ],
        3673 => [
            'Column \'{n}\' cannot be null',
        ],
        3751 => [
            'Data truncated for functional index \'{n}\' at row {d}',
        ],
        3752 => [
            'Value is out of range for functional index \'{n}\' at row {d}',
        ],
        3819 => [
            'Check constraint \'{n}\' is violated.',
        ],
        3854 => [
            'Cannot convert string \'{v}\' from {n} to {n}',
        ],
        3903 => [
            'Invalid JSON value for CAST for functional index \'{n}\'.',
        ],
        3904 => [
            'Out of range JSON value for CAST for functional index \'{n}\'.',
        ],
        3907 => [
            'Data too long for functional index \'{n}\'.',
        ],
        3988 => [
            'Conversion from collation {n} into {n} impossible for {v}',
        ],
        4025 => [
            'CONSTRAINT `{n}` failed for `{n}`.`{n}`',
        ],
        4035 => [
            'Broken JSON string in argument {d} to function \'{n}\' at position {d}',
        ],
        4036 => [
            'Character disallowed in JSON in argument {d} to function \'{n}\' at position {d}',
        ],
        4037 => [
            'Unexpected end of JSON text in argument {d} to function \'{n}\'',
        ],
        4038 => [
            'Syntax error in JSON text in argument {d} to function \'{n}\' at position {d}',
        ],
        6138 => [
            'Data cannot be converted to a valid vector: \'{v}\'',
        ],
        6527 => [
            '{n} value is out of range in \'{v}\'',
        ],
    ];

    /** Codes of errors about no row: lost races, connections, tables, accounts, settings. */
    public const ABOUT_NO_ROW = [
        167, 1005, 1012, 1013, 1015, 1016, 1017, 1020, 1021, 1024, 1026, 1030, 1031, 1032, 1033, 1034, 1035, 1036,
        1037, 1038, 1040, 1041, 1042, 1043, 1044, 1045, 1046, 1047, 1049, 1051, 1052, 1053, 1054, 1058, 1059, 1064,
        1065, 1067, 1071, 1094, 1095, 1099, 1100, 1102, 1103, 1104, 1105, 1109, 1110, 1112, 1114, 1115, 1119, 1129,
        1130, 1135, 1136, 1142, 1143, 1146, 1148, 1149, 1152, 1154, 1155, 1156, 1157, 1158, 1159, 1160, 1161, 1162,
        1166, 1168, 1173, 1175, 1178, 1180, 1181, 1184, 1192, 1193, 1194, 1195, 1203, 1205, 1206, 1213, 1215, 1223,
        1224, 1226, 1227, 1228, 1229, 1230, 1231, 1232, 1235, 1238, 1239, 1243, 1251, 1253, 1273, 1286, 1289, 1290,
        1295, 1296, 1297, 1298, 1317, 1345, 1347, 1390, 1399, 1400, 1412, 1429, 1430, 1431, 1433, 1436, 1459, 1461,
        1467, 1477, 1478, 1524, 1534, 1558, 1568, 1598, 1615, 1621, 1637, 1649, 1661, 1662, 1663, 1664, 1665, 1666,
        1667, 1689, 1698, 1705, 1707, 1709, 1712, 1726, 1728, 1735, 1766, 1778, 1785, 1792, 1805, 1808, 1810, 1811,
        1812, 1814, 1815, 1817, 1820, 1824, 1835, 1836, 1837, 1844, 1862, 1863, 1873, 1874, 1877, 1878, 1881, 1886,
        1901, 1927, 1932, 1939, 1969, 1970, 1978, 2000, 2002, 2003, 2005, 2006, 2008, 2012, 2013, 2014, 2026, 2027,
        2055, 2059, 3003, 3008, 3009, 3015, 3019, 3024, 3032, 3044, 3058, 3098, 3100, 3101, 3118, 3132, 3133, 3159,
        3161, 3164, 3168, 3169, 3170, 3185, 3506, 3508, 3510, 3552, 3553, 3554, 3572, 3620, 3675, 3750, 3781, 3782,
        3783, 3796, 3797, 3798, 3799, 3877, 3879, 3884, 3889, 3899, 3950, 3955, 3976, 3985, 3989, 3994, 4031, 4047,
        4056, 4057, 4064, 4081, 4082, 4084, 4085, 4086, 4087, 4089, 4091, 4094, 4129, 4133, 4150, 4151, 4165, 4182,
        4185, 4189, 6038, 6126, 6127, 6141, 6400, 6444, 6544, 6575, 6576, 6577, 8002, 8005, 8022, 8028, 8501, 9001,
        9002, 9003, 9005, 9007,
    ];
}
