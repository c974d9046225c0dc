<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Chaos;

use PDOException;
use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer;
use WriteBuffer\ConnectionException;
use WriteBuffer\FlushException;
use WriteBuffer\Tests\Chaos\Support\ChaosTestCase;
use WriteBuffer\Tests\Chaos\Support\FaultProxy;
use WriteBuffer\Tests\Chaos\Support\KeyedRows;

/**
 * Rows, partial rows, deletions and groups over few keys, while connections end at their statements
 * and COMMITs, answers are forged, rows are locked, and a table is away for a while. Then the
 * tables are as if each group had been written after the one before it.
 *
 * A seed decides what is written and which faults are armed; when they strike is the machine's.
 * `WRITE_BUFFER_DELETIONS_SEED` chooses the seed.
 */
final class DeletionFaultsTest extends ChaosTestCase
{
    private const TABLES = ['deletions_a', 'deletions_b'];

    private const FAULTS = [
        'cut-before', 'cut-after', 'cut-after-answer', 'cut-at=5', 'hold=20', 'answer=1213', 'answer=1205', 'answer=2013',
    ];

    private const AT_COMMIT = 5;

    private const PLACES = ['query UPDATE', 'statement DELETE', 'statement UPDATE', 'statement INSERT', 'prepare DELETE'];

    private FaultProxy $proxy;

    private string $dsn;

    private int $struck = 0;

    /** The table that is away. */
    private ?string $away = null;

    private bool $isLocked = false;

    /** @return iterable<string, array{array<string, mixed>, array<string, mixed>}> */
    public static function buffers(): iterable
    {
        $rules = ['plain rows' => [], 'sums' => ['merge' => ['s' => 'sum']], 'a guard' => ['guard' => 'g'], 'each version' => ['coalesce' => false]];
        $settings = [
            'in the foreground' => ['background' => false],
            'in the background' => ['background' => true, 'flushIntervalMs' => 2],
            'in three lanes' => ['background' => true, 'flushIntervalMs' => 2, 'lanes' => 3],
            'in three lanes, by key' => ['background' => true, 'flushIntervalMs' => 2, 'lanes' => 3, 'routeBy' => 'id'],
            'as text' => ['background' => true, 'flushIntervalMs' => 2, 'maxPreparedStatements' => 0],
        ];
        foreach ($rules as $rule => $of) {
            foreach ($settings as $where => $with) {
                yield "{$rule}, {$where}" => [$of, $with];
            }
        }
    }

    /**
     * @param array<string, mixed> $rules
     * @param array<string, mixed> $settings
     *
     * @dataProvider buffers
     */
    #[DataProvider('buffers')]
    public function testFaultsLeaveWhatEachGroupLeavesAlone(array $rules, array $settings): void
    {
        $this->dsn = $this->proxy($proxy);
        $this->proxy = $proxy;
        $seed = (int) (getenv('WRITE_BUFFER_DELETIONS_SEED') ?: self::scaled(3, random_int(1, 1_000_000)));
        for ($program = 0; $program < self::scaled(1, 30); $program++) {
            mt_srand(crc32("{$seed} {$program}"));
            $this->runProgram($rules, $settings, "seed {$seed}, program {$program}");
        }
        self::assertGreaterThan(0, $this->struck, $this->proxy->describe());
    }

    /**
     * @param array<string, mixed> $rules
     * @param array<string, mixed> $settings
     */
    private function runProgram(array $rules, array $settings, string $what): void
    {
        foreach (self::TABLES as $table) {
            $this->createTable($table, KeyedRows::DEFINITION);
        }
        $settings += ['batchSize' => mt_rand(1, 30), 'maxRetries' => 100, 'tables' => array_fill_keys(self::TABLES, $rules)];
        $buffer = new WriteBuffer($this->dsn, ...$settings);
        $model = new KeyedRows(isset($rules['guard']), isset($rules['merge']));
        $keys = mt_rand(1, 6);
        for ($step = 1; $step <= 120; $step++) {
            $group = self::group($step, $keys, isset($rules['guard']));
            $this->add($buffer, $group);
            $model->write($group);
            $this->harm($settings['background']);
            if (mt_rand(1, 8) === 1 && $this->away === null && !$this->isLocked) {
                // What is armed meets something.
                self::flush($buffer);
            }
        }
        $this->endHarm();
        self::await("the end of {$what}", function () use ($buffer): bool {
            self::flush($buffer);

            return count($buffer) === 0;
        });
        $failures = count($buffer->takeFailures());
        foreach (self::TABLES as $table) {
            $rows = array_map(
                static fn (array $row): array => array_map('intval', array_values($row)),
                $this->rows($table, 'id, g, r, v, s', 'id'),
            );
            self::assertSame($model->of($table), $rows, "{$what}\n{$this->proxy->describe()}");
        }
        self::assertSame($model->refused, $failures, "{$what}\n{$this->proxy->describe()}");
    }

    /** @return list<array{string, array<string, int>, bool}> */
    private static function group(int $step, int $keys, bool $isGuarded): array
    {
        $group = [];
        for ($rows = max(1, mt_rand(-3, 5)); $rows > 0; $rows--) {
            $row = ['id' => mt_rand(1, $keys)];
            $isDeletion = mt_rand(1, 100) <= 30;
            if ($isDeletion) {
                $row += $isGuarded && mt_rand(0, 1) === 1 ? ['g' => mt_rand(0, 9)] : [];
            } else {
                $row['g'] = mt_rand(0, 9);
                $row += mt_rand(1, 100) <= 30 ? [] : ['r' => $step];
                $row += mt_rand(0, 1) === 1 ? ['v' => $step] : [];
                $row += mt_rand(0, 1) === 1 ? ['s' => mt_rand(1, 5)] : [];
            }
            $group[] = [self::TABLES[(int) (mt_rand(0, 3) === 0)], $row, $isDeletion];
        }

        return $group;
    }

    /** @param list<array{string, array<string, int>, bool}> $group */
    private function add(WriteBuffer $buffer, array $group): void
    {
        try {
            $buffer->group(static function () use ($buffer, $group): void {
                foreach ($group as [$table, $row, $isDeletion]) {
                    if ($isDeletion) {
                        $buffer->delete($table, count($row) === 1 ? $row['id'] : $row);
                    } else {
                        $buffer->put($table, $row);
                    }
                }
            });
        } catch (ConnectionException | FlushException) {
            // Taken; a group was given up, or waits.
        }
    }

    private static function flush(WriteBuffer $buffer): void
    {
        try {
            $buffer->flush();
        } catch (ConnectionException | FlushException) {
            // Of what is left the test's end tells.
        }
    }

    private function harm(bool $isBackground): void
    {
        $chance = mt_rand(1, 100);
        if ($chance <= 12) {
            $fault = mt_rand(0, count(self::FAULTS) - 1);
            $place = $fault < self::AT_COMMIT && ($fault === self::AT_COMMIT - 1 || mt_rand(0, 1) === 1)
                ? 'query COMMIT'
                : self::PLACES[mt_rand(0, count(self::PLACES) - 1)];
            $this->disarm("fault-{$chance}");
            $this->proxy->arm("fault-{$chance}", self::FAULTS[$fault] . ' nth=' . mt_rand(1, 3) . " on {$place}");
        } elseif ($chance <= 15 && $isBackground && !$this->isLocked) {
            $this->lock($this->away === self::TABLES[0] ? self::TABLES[1] : self::TABLES[0]);
        } elseif ($chance <= 18 && $isBackground && $this->away === null && !$this->isLocked) {
            $this->away = self::TABLES[mt_rand(0, 1)];
            $this->pdo()->exec("RENAME TABLE {$this->away} TO {$this->away}_away");
        } elseif ($chance <= 40) {
            $this->endHarm(false);
        }
    }

    private function lock(string $table): void
    {
        $this->pdo()->beginTransaction();
        try {
            $this->pdo()->query("SELECT * FROM {$table} FOR UPDATE");
            $this->isLocked = true;
        } catch (PDOException $lostRace) {
            self::assertContains($lostRace->errorInfo[1] ?? null, [1205, 1213], $lostRace->getMessage());
            $this->pdo()->rollBack();
        }
    }

    private function endHarm(bool $ofProxy = true): void
    {
        if ($this->isLocked) {
            $this->pdo()->rollBack();
            $this->isLocked = false;
        }
        if ($this->away !== null) {
            $this->pdo()->exec("RENAME TABLE {$this->away}_away TO {$this->away}");
            $this->away = null;
        }
        foreach ($ofProxy ? range(1, 12) : [] as $number) {
            $this->disarm("fault-{$number}");
        }
    }

    private function disarm(string $name): void
    {
        $this->proxy->disarm($name);
        $this->struck = max($this->struck, $this->proxy->struck($name));
    }
}
