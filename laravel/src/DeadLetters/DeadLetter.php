<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\DeadLetters;

use TypeError;
use WriteBuffer\ConfigException;
use WriteBuffer\Laravel\Rows\Row;
use WriteBuffer\Laravel\Rows\RowReader;

/**
 * Owns the form of a dead letter: a group that was not written, and why. An update in it has
 * `update`, true, beside its `row`. A deletion has its key, and maybe its guard, under `delete` in
 * the place of `row`. takeFailures() returns
 * it, retry() takes it, and the dead-letter file has one on each line. All three are the
 * extension's.
 *
 * @phpstan-type Letter array{
 *     id: string,
 *     tag: ?string,
 *     rows: list<array{
 *         table: string,
 *         row?: array<string, mixed>,
 *         update?: true,
 *         delete?: array<int|string, mixed>
 *     }>,
 *     status: string,
 *     code: int,
 *     message: string,
 *     time: float
 * }
 */
final class DeadLetter
{
    /** It can never be written. */
    public const REFUSED = 'refused';

    /** Nothing is wrong with it. Its buffer ended before it was written. */
    public const UNWRITTEN = 'unwritten';

    /** It may be in the database: only a person can say whether it is to be written once more. */
    public const UNCERTAIN = 'uncertain';

    /**
     * @param list<Row> $group
     *
     * @return Letter
     */
    public static function of(array $group, string $status, int $code, string $message, ?string $tag = null): array
    {
        return [
            'id' => bin2hex(random_bytes(16)),
            'tag' => $tag,
            'rows' => array_map(
                static fn (Row $row): array => [
                    'table' => $row->table,
                    ($row->isDeletion ? 'delete' : 'row') => $row->plainValues(),
                ] + ($row->exists ? ['update' => true] : []),
                $group,
            ),
            'status' => $status,
            'code' => $code,
            'message' => $message,
            'time' => microtime(true),
        ];
    }

    /**
     * Reads an element of retry()'s argument: a dead letter, or a line of the file after
     * json_decode().
     *
     * @return list<Row>
     *
     * @throws TypeError
     * @throws ConfigException it may be in the database already
     */
    public static function group(mixed $letter, int $at): array
    {
        foreach (is_array($letter) && is_array($letter['rows'] ?? null) ? ['id', 'status', 'tag'] : [] as $name) {
            if (!is_string($letter[$name] ?? '')) {
                throw new TypeError('Argument #1 ($failures) must be a list of failures, as takeFailures() gives them;'
                    . " the {$name} of element {$at} is no string");
            }
        }
        if (is_array($letter) && !self::mayBeRetried($letter)) {
            throw new ConfigException(sprintf(
                'failure %d is "%s": its rows may be in the database already, and would be doubled. None was put back.'
                    . " Look, and leave it out if they are there; else set its 'status' to 'unwritten', and retry() it",
                $at + 1,
                $letter['status'],
            ));
        }
        $rows = is_array($letter) ? $letter['rows'] ?? null : null;
        if (!is_array($rows)) {
            throw new TypeError('Argument #1 ($failures) must be a list of failures, as takeFailures() gives them;'
                . " element {$at} has no list of rows");
        }
        // The tables have the server's names already, so the reader has no prefix.
        $reader = new RowReader();
        $group = [];
        foreach ($rows as $row) {
            $values = is_array($row) ? $row['row'] ?? $row['delete'] ?? null : null;
            if (!is_array($values) || !is_string($row['table'] ?? null)) {
                throw new TypeError('Argument #1 ($failures) must be a list of failures, as takeFailures() gives them;'
                    . " a row of element {$at} has no table, or no values");
            }
            $values = array_map([self::class, 'decoded'], $values);
            array_push($group, ...match (true) {
                !isset($row['row']) => [$reader->deletion($row['table'], $values, 'Argument #1 ($failures)')],
                ($row['update'] ?? null) === true => [$reader->update($row['table'], $values, 'Argument #1 ($failures)')],
                default => $reader->read([$values], $row['table'], 'Argument #1 ($failures)', false),
            });
        }

        return $group;
    }

    /**
     * Whether it may be written once more without a person's word. Lines had no status before.
     *
     * @param array<mixed> $letter
     */
    public static function mayBeRetried(array $letter): bool
    {
        $status = $letter['status'] ?? null;

        return !is_string($status) || in_array($status, [self::REFUSED, self::UNWRITTEN], true);
    }

    /**
     * A line of the dead-letter file, for a group that may be in the database. The rest of it stays
     * as it is: of equal keys the last one counts. What is no group's line stays.
     */
    public static function uncertainLine(string $line): string
    {
        $line = trim($line);
        $letter = json_decode($line, true);
        if (!is_array($letter) || !str_starts_with($line, '{') || ($letter['status'] ?? null) === self::UNCERTAIN) {
            return $line;
        }

        return substr($line, 0, -1) . ($letter === [] ? '' : ',') . '"status":"' . self::UNCERTAIN . '"}';
    }

    /** The id of a line's group that may be in the database. */
    public static function idIfUncertain(string $line): ?string
    {
        $letter = json_decode($line, true);
        $isUncertain = is_array($letter) && ($letter['status'] ?? null) === self::UNCERTAIN;

        return $isUncertain && is_string($letter['id'] ?? null) ? $letter['id'] : null;
    }

    /**
     * The line of the dead-letter file, with its end.
     *
     * @param Letter $letter
     */
    public static function line(array $letter): string
    {
        foreach ($letter['rows'] as $at => $row) {
            $what = isset($row['row']) ? 'row' : 'delete';
            $letter['rows'][$at][$what] = array_map([self::class, 'encoded'], $row[$what]);
        }

        return json_encode(
            array_filter(['id' => $letter['id'] ?? null]) + [
                'tag' => $letter['tag'] ?? null,
                'time' => $letter['time'],
                'status' => $letter['status'],
                'code' => $letter['code'],
                'message' => $letter['message'],
                'rows' => $letter['rows'],
            ],
            JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES | JSON_INVALID_UTF8_SUBSTITUTE | JSON_THROW_ON_ERROR,
        ) . "\n";
    }

    /** The tag of an element of retry()'s argument. */
    public static function tag(mixed $letter): ?string
    {
        $tag = is_array($letter) ? $letter['tag'] ?? null : null;

        return is_string($tag) ? $tag : null;
    }

    /** @param list<Letter> $letters */
    public static function countRows(array $letters): int
    {
        return array_sum(array_map(static fn (array $letter): int => count($letter['rows']), $letters));
    }

    /** JSON is UTF-8; other strings are written as Base64. */
    private static function encoded(mixed $value): mixed
    {
        return is_string($value) && preg_match('//u', $value) !== 1 ? ['base64' => base64_encode($value)] : $value;
    }

    private static function decoded(mixed $value): mixed
    {
        return match (is_array($value) ? array_keys($value) : null) {
            ['base64'] => base64_decode((string) $value['base64'], true),
            ['datetime'] => date_create_immutable((string) $value['datetime']) ?: $value,
            default => $value,
        };
    }
}
