<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Drivers\Php;

use Illuminate\Database\Connection;
use Illuminate\Database\DetectsLostConnections;
use PDOException;
use Throwable;
use WriteBuffer\Laravel\Messages\Words;

/**
 * Owns what an error of the database asks for, and its words: clean, and also without values. The
 * server's codes are in the engine's classes; the engine's own table of them has the reason for
 * each one. SQLite's codes are small numbers: https://www.sqlite.org/rescode.html.
 */
final class DatabaseError
{
    use DetectsLostConnections;

    public const RETRY = 'retry';

    public const CONNECTION = 'connection';

    public const MISCONFIGURED = 'misconfigured';

    public const REFUSED = 'refused';

    private const OWN_WORDS_MAX = 8_192;

    private const RETRIED = [1213, 1205, 1020, 1317, 1969, 1412, 1615, 1689, 3101, 8002, 8005, 8022, 8028, 9007];

    private const OF_CONNECTION = [
        1040, 1203, 1226, 1135, 1041, 1037, 1021, 1026, 1030, 1114, 1180, 1158, 1159, 1160, 1161, 1243, 1792, 3100,
        3032, 8501, 9001, 9002, 9003, 9005, 1053, 1927, 1047, 1290, 1836, 4031, 2002, 2003, 2005, 2006, 2013,
    ];

    private const OF_SETTINGS = [
        1044, 1045, 1046, 1049, 1054, 1110, 1142, 1143, 1146, 1064, 1193, 1231, 1298, 1115, 1273, 1253, 1227, 1130,
        1129, 1820, 1862, 1524, 1698, 3159, 2026, 2059, 1461, 3750,
    ];

    private const SQLITE = [
        1 => self::MISCONFIGURED, 3 => self::MISCONFIGURED, 5 => self::RETRY, 6 => self::RETRY, 18 => self::REFUSED,
        19 => self::REFUSED, 20 => self::REFUSED, 25 => self::MISCONFIGURED,
    ];

    /** @param string $redacted the message without values of rows */
    private function __construct(
        public readonly string $class,
        public readonly int $code,
        public readonly string $message,
        public readonly string $redacted,
    ) {
    }

    public static function of(Connection $connection, Throwable $e): self
    {
        if ($e instanceof RowRefusedException) {
            return self::ours(self::REFUSED, $e->getMessage());
        }
        $cause = $e;
        while (!$cause instanceof PDOException && $cause->getPrevious() !== null) {
            $cause = $cause->getPrevious();
        }
        // Laravel's own message has the whole statement, with all values, after the database's
        // message.
        $words = $e->getPrevious() instanceof PDOException ? $e->getPrevious()->getMessage() : $e->getMessage();
        if (!$cause instanceof PDOException) {
            return self::ours(self::MISCONFIGURED, $words);
        }
        $code = (int) ($cause->errorInfo[1] ?? 0);
        $class = self::ours(self::REFUSED, '')->causedByLostConnection($e)
            ? self::CONNECTION
            : match (true) {
                $connection->getDriverName() === 'sqlite' => self::SQLITE[$code] ?? self::CONNECTION,
                in_array($code, self::RETRIED, true) => self::RETRY,
                in_array($code, self::OF_CONNECTION, true) => self::CONNECTION,
                // Code 0 did not come from a server.
                $code === 0 || in_array($code, self::OF_SETTINGS, true) => self::MISCONFIGURED,
                default => self::REFUSED,
            };
        [$state, $said] = [(string) ($cause->errorInfo[0] ?? ''), (string) ($cause->errorInfo[2] ?? '')];
        // PDO's own words, and then the server's.
        $ours = $said !== '' && str_ends_with($words, $said) ? substr($words, 0, -strlen($said)) : '';
        $said = Words::bounded(Words::clean($ours === '' ? $words : $said));
        $ours = Words::clean($ours);
        $redacted = match (true) {
            $code === 0 => $said,
            $connection->getDriverName() === 'sqlite' => Words::redactedOfSqlite($code, $said),
            default => Words::redacted($code, $state, $said),
        };

        return new self($class, $code, $ours . $said, $ours . $redacted);
    }

    /** An error whose words are not a database's. */
    private static function ours(string $class, string $words): self
    {
        $words = Words::bounded(Words::clean($words), self::OWN_WORDS_MAX);

        return new self($class, 0, $words, $words);
    }
}
