<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Chaos;

use WriteBuffer\Tests\Chaos\Support\ChaosTestCase;
use WriteBuffer\Tests\Chaos\Support\Load;
use WriteBuffer\Tests\Process\Support\Child;

/** Tables are altered at random moments while writers write to them. */
final class SchemaChangesTest extends ChaosTestCase
{
    /** The most orders between two changes. */
    private const ORDERS_BETWEEN_MAX = 40;

    public function testNothingIsLostOrStaleWhileTablesAreAltered(): void
    {
        $seed = random_int(1, 1_000_000);
        mt_srand($seed);
        // A change that waits for one writer, which waits for a row of another, which waits behind
        // the change: no server sees that circle, so the change gives way.
        $this->admin()->exec('SET SESSION lock_wait_timeout = 1');
        $this->startWriter($this->dsn(), 1, repeatsRefused: true);
        $this->startWriter($this->dsn(), 2, settings: 'lanes: 3', repeatsRefused: true);
        $this->startWriter($this->dsn(), 3, settings: 'background: false', repeatsRefused: true);
        $seen = [];
        for ($left = self::scaled(40, 400); $left > 0; $left--) {
            $this->awaitMoreOrders(mt_rand(1, self::ORDERS_BETWEEN_MAX));
            $changes = $this->changes();
            $kind = array_rand($changes);
            $seen[$kind] = true;
            foreach ($changes[$kind] as $statement) {
                $this->change($statement);
            }
        }
        self::assertGreaterThan(3, count($seen), "seed {$seed}");
        $this->assertNothingLostOrDoubled();
    }

    private function change(string $statement): void
    {
        $this->awaitUnderLoad($statement, function () use ($statement): bool {
            try {
                $this->admin()->exec($statement);

                return true;
            } catch (\PDOException $gaveWay) {
                if (($gaveWay->errorInfo[1] ?? 0) !== 1205) {
                    throw $gaveWay;
                }

                return false;
            }
        });
    }

    /** @return array<string, list<string>> statements by kind */
    private function changes(): array
    {
        $table = [Child::ORDERS, Child::TRADES, Load::ACCOUNTS, Load::PRICES][mt_rand(0, 3)];
        $with = fn (string $a, string $b): string => mt_rand(0, 1) === 0 ? $a : $b;
        $temporary = "{$table}_away";

        return [
            'type of a key' => ['ALTER TABLE ' . Load::ACCOUNTS . ' MODIFY id ' . $with('BIGINT', 'DECIMAL(20,0)') . ' NOT NULL'],
            'type of a value' => ['ALTER TABLE ' . Load::ACCOUNTS . ' MODIFY available '
                . $with('DECIMAL(20,4)', 'DECIMAL(24,4)') . ' NOT NULL DEFAULT 0'],
            'collation' => ['ALTER TABLE ' . Child::ORDERS . ' MODIFY v VARCHAR(20) CHARACTER SET utf8mb4 COLLATE '
                . $with('utf8mb4_bin', 'utf8mb4_general_ci')],
            'a column, and none' => [
                "ALTER TABLE {$table} ADD COLUMN extra INT NULL FIRST",
                "ALTER TABLE {$table} DROP COLUMN extra",
            ],
            'an index, and none' => [
                'ALTER TABLE ' . Load::PRICES . ' ADD UNIQUE KEY second (version, v)',
                'ALTER TABLE ' . Load::PRICES . ' DROP KEY second',
            ],
            'a trigger, and none' => [
                'CREATE TRIGGER wb_chaos_trigger BEFORE UPDATE ON ' . Load::ACCOUNTS . ' FOR EACH ROW SET NEW.id = OLD.id',
                'DROP TRIGGER wb_chaos_trigger',
            ],
            'rebuilt' => ["ALTER TABLE {$table} ENGINE = InnoDB, FORCE"],
            'gone for a moment' => [
                "RENAME TABLE {$table} TO {$temporary}",
                "RENAME TABLE {$temporary} TO {$table}",
            ],
            'made anew' => [
                "CREATE TABLE {$temporary} LIKE {$table}",
                "LOCK TABLES {$table} WRITE, {$temporary} WRITE",
                "INSERT INTO {$temporary} SELECT * FROM {$table}",
                "ALTER TABLE {$table} RENAME TO {$table}_old",
                "ALTER TABLE {$temporary} RENAME TO {$table}",
                'UNLOCK TABLES',
                "DROP TABLE {$table}_old",
            ],
        ];
    }
}
