<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Twin\Support;

use PDO;
use WriteBuffer\ConfigException;
use WriteBuffer\FlushException;

/** Runs a program through a buffer and by the judge, and compares. */
final class Twins
{
    /** What docs/settings.md says of tables that are refused. */
    private const RESTRICTION = '/is no unique key of the table|has no primary key|a second unique index|cannot be summed/';

    /** A flush that leaves rows is asked again so often. */
    private const FLUSHES = 3;

    private Tables $tables;

    private ?PDO $pdo = null;

    /** @var array<string, array<string, mixed>> of the program's tables */
    private array $rules = [];

    /** @param \Closure(): PDO $connect makes a connection of the account that the buffers use */
    public function __construct(
        private readonly PDO $admin,
        private readonly \Closure $connect,
        private readonly string $dsn,
        private readonly bool $isMySql,
    ) {
        $this->tables = new Tables($admin);
    }

    /** How many UPDATEs of several tables the judge's session has sent. */
    public function judgedUpdates(): int
    {
        $pdo = $this->pdo ??= ($this->connect)();
        $own = $pdo->query("SHOW SESSION STATUS LIKE 'Com_update_multi'")->fetchAll(PDO::FETCH_KEY_PAIR);

        return (int) $own['Com_update_multi'];
    }

    public function drop(): void
    {
        $this->tables->drop();
    }

    public function run(Program $program): Outcome
    {
        $this->tables->make($program->tables);
        $this->rules = array_map(static fn (array $table): array => $table['rules'] ?? [], $program->tables);
        $alone = $this->runAlone($program);
        try {
            $buffered = $this->runBuffered($program, $alone['retried']);
        } catch (ConfigException $restriction) {
            return self::refusal($restriction->getMessage());
        }
        if ($buffered['stuck'] !== null) {
            return self::refusal($buffered['stuck']);
        }
        $kind = null;
        $differences = [];
        [$onlyBuffered, $onlyAlone] = self::differ($buffered['refused'], $alone['refused']);
        foreach ($onlyBuffered as $group) {
            if (preg_match(self::RESTRICTION, $buffered['why'][$group]) === 1) {
                return self::refusal($buffered['why'][$group]);
            }
            $kind = 'refused only by the buffer';
            $differences[] = "refused only by the buffer: {$group}: {$buffered['why'][$group]}";
        }
        foreach ($onlyAlone as $group) {
            $kind = 'refused only alone';
            $differences[] = "refused only alone: {$group}: {$alone['why'][$group]}";
        }
        [$rowsAlone, $rowsBuffered] = [$this->tables->rows(Tables::ALONE), $this->tables->rows(Tables::BUFFERED)];
        foreach ($rowsAlone as $table => $rows) {
            if ($rows !== $rowsBuffered[$table]) {
                $kind ??= 'rows';
                $differences[] = "{$table}:\n  buffered: " . implode("\n            ", $rowsBuffered[$table])
                    . "\n  alone:    " . implode("\n            ", $rows);
            }
        }

        return new Outcome($kind, implode("\n", $differences), count($alone['refused']));
    }

    /** What a buffer that cannot write at all says. */
    private static function refusal(string $message): Outcome
    {
        $isRestriction = preg_match(self::RESTRICTION, $message) === 1;

        return new Outcome($isRestriction ? Outcome::RESTRICTED : 'stuck', "the buffer cannot write: {$message}");
    }

    /**
     * Also returns for each retry the numbers of the steps that were put back.
     *
     * @return array{refused: list<string>, why: array<string, string>, retried: list<list<int>>}
     */
    private function runAlone(Program $program): array
    {
        $pdo = $this->pdo ??= ($this->connect)();
        $pdo->exec('USE ' . Tables::ALONE);
        $pdo->exec('SET sql_mode = ' . $pdo->quote($program->sqlMode));
        $isStrict = str_contains($program->sqlMode, 'STRICT_');
        $numbersZero = !str_contains($program->sqlMode, 'NO_AUTO_VALUE_ON_ZERO');
        $judge = new Judge($pdo, $this->tables, $this->rules, $this->isMySql, $isStrict, $numbersZero);
        $refused = $why = $back = $retried = [];
        $write = function (array $group, int $number) use ($judge, &$refused, &$why, &$back): void {
            $reason = $judge->write($group);
            if ($reason !== null) {
                $refused[] = $described = $this->describe($group);
                $why[$described] = $reason;
                $back[$number] = $group;
            }
        };
        foreach ($program->steps as $number => $step) {
            if (is_array($step)) {
                $write($step, $number);
            } elseif ($step === Program::RETRY) {
                $again = $back;
                ksort($again);
                $retried[] = array_keys($again);
                $back = [];
                array_walk($again, $write);
            } elseif ($step !== Program::FLUSH) {
                $this->admin->exec('USE ' . Tables::ALONE);
                $this->admin->exec($step);
            }
        }

        return ['refused' => $refused, 'why' => $why, 'retried' => $retried];
    }

    /**
     * @param list<list<int>> $retried as of runAlone()
     *
     * @return array{refused: list<string>, why: array<string, string>, stuck: ?string}
     */
    private function runBuffered(Program $program, array $retried): array
    {
        $dsn = preg_replace('~/[^/]*$~D', '/' . Tables::BUFFERED, $this->dsn);
        $buffer = new \WriteBuffer(...$program->settings + [
            'dsn' => "{$dsn}?timezone=%2B00:00&sql_mode=" . rawurlencode($program->sqlMode),
            'tables' => array_filter($this->rules),
            'batchSize' => 100,
            'background' => false,
            'flushIntervalMs' => 3_600_000,
            'shutdownTimeoutMs' => 1,
        ]);
        $refused = $why = $back = [];
        $stuck = null;
        $described = array_map(
            fn (mixed $step): ?string => is_array($step) ? $this->describe($step) : null,
            $program->steps,
        );
        $refuse = static function (string $group, string $reason, array $failure) use (&$refused, &$why, &$back): void {
            $refused[] = $group;
            $why[$group] = $reason;
            $back[] = [$group, $failure];
        };
        $write = function (array $failure, callable $put) use ($buffer, $refuse): void {
            try {
                $put($buffer, $failure);
            } catch (FlushException) {
                // The group was taken.
            } catch (ConfigException | \TypeError $refusal) {
                $refuse($this->describe(self::group($failure)), $refusal->getMessage(), $failure);
            }
        };
        foreach ([...$program->steps, Program::FLUSH] as $step) {
            if (is_array($step)) {
                $write(self::failure($step), self::put(...));
                continue;
            }
            $stuck = self::flush($buffer);
            foreach ($buffer->takeFailures() as $failure) {
                $refuse($this->describe(self::group($failure)), $failure['message'], $failure);
            }
            if ($stuck !== null) {
                break;
            }
            if ($step === Program::RETRY) {
                $again = self::inOrder($back, $described, array_shift($retried) ?? []);
                $back = [];
                foreach ($again as [, $failure]) {
                    $write($failure, static fn (\WriteBuffer $buffer, array $failure): int => $buffer->retry([$failure]));
                }
            } elseif ($step !== Program::FLUSH) {
                $this->admin->exec('USE ' . Tables::BUFFERED);
                $this->admin->exec($step);
            }
        }
        self::end($buffer);

        return ['refused' => $refused, 'why' => $why, 'stuck' => $stuck];
    }

    /**
     * Groups in the order of the program: lanes give them up in their own. A failure does not say
     * which of two equal groups it was: it is taken for the one that was refused alone.
     *
     * @param list<array{string, array<string, mixed>}> $failures  each with its description
     * @param list<?string>                             $described the program's steps
     * @param list<int>                                 $alone     those that were refused alone
     *
     * @return list<array{string, array<string, mixed>}>
     */
    private static function inOrder(array $failures, array $described, array $alone): array
    {
        $placed = [];
        foreach ($failures as $failure) {
            $numbers = array_keys($described, $failure[0], true);
            $number = array_values(array_intersect($alone, $numbers))[0] ?? $numbers[0] ?? count($described);
            $alone = array_diff($alone, [$number]);
            $placed[] = [$number, $failure];
        }
        usort($placed, static fn (array $one, array $other): int => $one[0] <=> $other[0]);

        return array_column($placed, 1);
    }

    /**
     * A group in the form of a failure.
     *
     * @param list<array{0: string, 1: array<mixed>, 2?: string}> $group
     *
     * @return array{rows: list<array<string, mixed>>}
     */
    private static function failure(array $group): array
    {
        return ['rows' => array_map(
            static fn (array $row): array => match ($row[2] ?? null) {
                Program::DELETE => ['table' => $row[0], 'delete' => $row[1]],
                Program::UPDATE => ['table' => $row[0], 'row' => $row[1], 'update' => true],
                default => ['table' => $row[0], 'row' => $row[1]],
            },
            $group,
        )];
    }

    /**
     * The group of a failure.
     *
     * @param array{rows: list<array<string, mixed>>} $failure
     *
     * @return list<array{0: string, 1: array<mixed>, 2?: string}>
     */
    private static function group(array $failure): array
    {
        return array_map(static fn (array $row): array => match (true) {
            isset($row['delete']) => [$row['table'], $row['delete'], Program::DELETE],
            isset($row['update']) => [$row['table'], $row['row'], Program::UPDATE],
            default => [$row['table'], $row['row']],
        }, $failure['rows']);
    }

    /** @param array{rows: list<array<string, mixed>>} $failure */
    private static function put(\WriteBuffer $buffer, array $failure): void
    {
        $group = self::group($failure);
        $tables = array_unique(array_column($group, 0));
        $isDeletion = static fn (array $row): bool => ($row[2] ?? null) === Program::DELETE;
        $rows = array_map(
            static fn (array $row): array|StoredModel => ($row[2] ?? null) === Program::UPDATE ? new StoredModel($row[1]) : $row[1],
            $group,
        );
        $deletes = array_filter($group, $isDeletion);
        if (count($group) === 1) {
            if ($deletes === []) {
                $buffer->put($tables[0], $rows[0]);
            } else {
                $isValue = array_keys($rows[0]) === [0] && !is_float($rows[0][0]) && $rows[0][0] !== null;
                $buffer->delete($tables[0], $isValue ? $rows[0][0] : $rows[0]);
            }
        } elseif (count($tables) === 1 && $deletes === []) {
            $buffer->put($tables[0], $rows);
        } else {
            $buffer->group(static function () use ($buffer, $group, $rows, $isDeletion): void {
                foreach ($group as $at => $row) {
                    $isDeletion($row) ? $buffer->delete($row[0], $row[1]) : $buffer->put($row[0], $rows[$at]);
                }
            });
        }
    }

    /** Returns why rows were left, or null. */
    private static function flush(\WriteBuffer $buffer): ?string
    {
        $left = null;
        for ($flush = 0; $flush < self::FLUSHES; $flush++) {
            try {
                $buffer->flush(30_000);
            } catch (FlushException $refusal) {
                $left = $refusal->getMessage();
            }
            if (count($buffer) === 0) {
                return null;
            }
        }

        return $left ?? 'flush() returned, and rows are left';
    }

    /** Lets the buffer go without a warning about rows that cannot be written. */
    private static function end(?\WriteBuffer &$buffer): void
    {
        set_error_handler(static fn (): bool => true);
        $buffer = null;
        restore_error_handler();
    }

    /** @param list<array{0: string, 1: array<mixed>, 2?: string}> $group */
    private function describe(array $group): string
    {
        return implode(', ', array_map(
            function (array $row): string {
                $values = ($row[2] ?? null) === Program::DELETE ? $this->tables->named($row[0], $this->rules[$row[0]] ?? [], $row[1]) : $row[1];

                $rules = $this->rules[$row[0]] ?? [];
                // Where no row can name another, a failure knows no update.
                $isWritten = ($rules['mode'] ?? '') === 'insert' || ($rules['key'] ?? '') === 'server';
                $kind = $isWritten && ($row[2] ?? null) === Program::UPDATE ? '' : $row[2] ?? '';

                return "{$kind} {$row[0]} " . json_encode(
                    array_map(static fn (mixed $value): mixed => is_float($value) ? (string) $value : $value, $values),
                    JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES | JSON_INVALID_UTF8_SUBSTITUTE,
                );
            },
            $group,
        ));
    }

    /**
     * What is only in the one, and what only in the other, as often as it is there.
     *
     * @param list<string> $one
     * @param list<string> $other
     *
     * @return array{list<string>, list<string>}
     */
    private static function differ(array $one, array $other): array
    {
        foreach ($one as $at => $element) {
            $found = array_search($element, $other, true);
            if ($found !== false) {
                unset($one[$at], $other[$found]);
            }
        }

        return [array_values($one), array_values($other)];
    }
}
