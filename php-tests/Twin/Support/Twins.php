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
        $alone = $this->runAlone($program);
        try {
            $buffered = $this->runBuffered($program);
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

    /** @return array{refused: list<string>, why: array<string, string>} */
    private function runAlone(Program $program): array
    {
        $pdo = $this->pdo ??= ($this->connect)();
        $pdo->exec('USE ' . Tables::ALONE);
        $pdo->exec('SET sql_mode = ' . $pdo->quote($program->sqlMode));
        $rules = array_map(static fn (array $table): array => $table['rules'] ?? [], $program->tables);
        $isStrict = str_contains($program->sqlMode, 'STRICT_');
        $numbersZero = !str_contains($program->sqlMode, 'NO_AUTO_VALUE_ON_ZERO');
        $judge = new Judge($pdo, $this->tables, $rules, $this->isMySql, $isStrict, $numbersZero);
        $refused = $why = [];
        foreach ($program->steps as $step) {
            if (is_array($step)) {
                $reason = $judge->write($step);
                if ($reason !== null) {
                    $refused[] = $group = self::describe($step);
                    $why[$group] = $reason;
                }
            } elseif ($step !== Program::FLUSH) {
                $this->admin->exec('USE ' . Tables::ALONE);
                $this->admin->exec($step);
            }
        }

        return ['refused' => $refused, 'why' => $why];
    }

    /** @return array{refused: list<string>, why: array<string, string>, stuck: ?string} */
    private function runBuffered(Program $program): array
    {
        $dsn = preg_replace('~/[^/]*$~D', '/' . Tables::BUFFERED, $this->dsn);
        $rules = array_filter(array_map(static fn (array $table): array => $table['rules'] ?? [], $program->tables));
        $buffer = new \WriteBuffer(...$program->settings + [
            'dsn' => "{$dsn}?timezone=%2B00:00&sql_mode=" . rawurlencode($program->sqlMode),
            'tables' => $rules,
            'batchSize' => 100,
            'background' => false,
            'flushIntervalMs' => 3_600_000,
            'shutdownTimeoutMs' => 1,
        ]);
        $refused = $why = [];
        $stuck = null;
        foreach ([...$program->steps, Program::FLUSH] as $step) {
            if (is_array($step)) {
                try {
                    self::put($buffer, $step);
                } catch (FlushException) {
                    // The group was taken.
                } catch (ConfigException | \TypeError $refusal) {
                    $refused[] = $group = self::describe($step);
                    $why[$group] = $refusal->getMessage();
                }
                continue;
            }
            $stuck = self::flush($buffer);
            foreach ($buffer->takeFailures() as $failure) {
                $group = self::describe(array_map(
                    static fn (array $row): array => [$row['table'], $row['row']],
                    $failure['rows'],
                ));
                $refused[] = $group;
                $why[$group] = $failure['message'];
            }
            if ($stuck !== null) {
                break;
            }
            if ($step !== Program::FLUSH) {
                $this->admin->exec('USE ' . Tables::BUFFERED);
                $this->admin->exec($step);
            }
        }
        self::end($buffer);

        return ['refused' => $refused, 'why' => $why, 'stuck' => $stuck];
    }

    /** @param list<array{string, array<string, mixed>}> $group */
    private static function put(\WriteBuffer $buffer, array $group): void
    {
        $tables = array_unique(array_column($group, 0));
        $rows = array_column($group, 1);
        if (count($group) === 1) {
            $buffer->put($tables[0], $rows[0]);
        } elseif (count($tables) === 1) {
            $buffer->put($tables[0], $rows);
        } else {
            // Only this call takes a group over any tables.
            $buffer->retry([['rows' => array_map(
                static fn (array $row): array => ['table' => $row[0], 'row' => $row[1]],
                $group,
            )]]);
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

    /** @param list<array{string, array<string, mixed>}> $group */
    private static function describe(array $group): string
    {
        return implode(', ', array_map(
            static fn (array $row): string => "{$row[0]} " . json_encode(
                array_map(static fn (mixed $value): mixed => is_float($value) ? (string) $value : $value, $row[1]),
                JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES | JSON_INVALID_UTF8_SUBSTITUTE,
            ),
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
