<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Integration;

use PDO;
use WriteBuffer\Exception;
use WriteBuffer\Tests\Support\DatabaseTestCase;

/**
 * A name never becomes SQL, and never another table's name, whatever the session's character set
 * and sql_mode are. The judge is the server, asked over a connection of its own in utf8mb4.
 */
final class HostileNamesTest extends DatabaseTestCase
{
    private const MODES = [
        'NO_BACKSLASH_ESCAPES,STRICT_ALL_TABLES',
        'ANSI_QUOTES,STRICT_ALL_TABLES',
        'ANSI,NO_BACKSLASH_ESCAPES,STRICT_TRANS_TABLES',
        'STRICT_ALL_TABLES',
    ];

    /** The last bytes of some are half a character in gbk, big5, gb18030, sjis or cp932. */
    private const PIECES = [
        '中', 'ß', 'ä', 'é', 'Ł', "\u{a0}x", '表', 'ｱ', '한', '`', '``', '`;', '\'', '"', '\\', "\\'", '\\`', ';', '#', '-- x', '/*', '*/',
        ') ', '(', ',', '=1 ', '.', '?', ':a', '@', '{', '~', '[', '$', 'a', 'wb_victim', 'UPDATE wb_victim SET v=9', 'VALUES (9,9)',
    ];

    private const UNICODE = ['utf8mb4', 'utf8mb3', 'utf8', 'binary'];

    private PDO $judge;

    private int $seed;

    protected function setUp(): void
    {
        parent::setUp();
        $this->judge = $this->connect();
        $this->createTable('wb_victim', 'id INT PRIMARY KEY, v INT');
        $this->judge->exec('INSERT INTO wb_victim VALUES (1, 1)');
        $seed = getenv('WRITE_BUFFER_TEST_SEED');
        $this->seed = is_string($seed) && $seed !== '' ? (int) $seed : 20_261_127;
        mt_srand($this->seed);
    }

    /** Under swe7 a backtick is a letter, also within MySQL's own views. */
    public function testSwe7ReadsATableThatRefersToAnother(): void
    {
        $this->createTable('wb_parent', 'id INT PRIMARY KEY');
        $this->createTable('wb_child', 'id INT PRIMARY KEY, v INT, FOREIGN KEY (v) REFERENCES wb_parent (id)');
        $buffer = $this->buffer(dsn: $this->dsnWith('charset=swe7'), background: false);
        $buffer->put('wb_parent', ['id' => 1]);
        $buffer->put('wb_child', ['id' => 1, 'v' => 1]);
        $thrown = self::thrownBy(static fn () => $buffer->flush());
        self::assertNull($thrown, (string) $thrown?->getMessage());
        self::assertEquals([['id' => 1, 'v' => 1]], $this->rows('wb_child'));
    }

    /** @return list<string> those that a client may have */
    private function charsets(): array
    {
        $charsets = $this->judge->query('SHOW CHARACTER SET')->fetchAll(PDO::FETCH_COLUMN);

        return array_values(array_diff($charsets, ['ucs2', 'utf16', 'utf16le', 'utf32']));
    }

    /** PHPUnit keeps the test. Its connection would look like a buffer's to the next one. */
    protected function tearDown(): void
    {
        unset($this->judge);
        parent::tearDown();
    }

    private static function quoted(string $name): string
    {
        return '`' . str_replace('`', '``', $name) . '`';
    }

    /** Whether a name is the same to the server as it is here. */
    private static function mayBeNamed(string $name, string $charset): bool
    {
        if (in_array($charset, self::UNICODE, true)) {
            return true;
        }

        return preg_match($charset === 'swe7' ? '/^[^\x80-\xff@[\\\\\]^`{|}~]+$/D' : '/^[^\x80-\xff]+$/D', $name) === 1;
    }

    /** @return list<string> */
    private function names(int $count): array
    {
        $names = [];
        while (count($names) < $count) {
            $name = '';
            for ($pieces = mt_rand(1, 5); $pieces > 0; $pieces--) {
                $name .= self::PIECES[mt_rand(0, count(self::PIECES) - 1)];
            }
            // A server takes 64 characters, and no space at the end.
            $name = rtrim(mb_substr('wb' . $name, mt_rand(0, 2), 64, 'UTF-8'), ' ');
            if ($name !== '' && $name !== 'wb_victim') {
                $names[] = $name;
            }
        }

        return $names;
    }

    private function syncBufferUnder(string $charset, string $mode, mixed ...$settings): \SyncWriteBuffer
    {
        $dsn = $this->dsnWith("connect_timeout_ms=60000&charset={$charset}&sql_mode=" . rawurlencode($mode));

        return new \SyncWriteBuffer(...['dsn' => $dsn] + $settings);
    }

    private function assertVictimIsUntouched(string $case): void
    {
        self::assertSame([['1', '1']], $this->judge->query('SELECT * FROM wb_victim')->fetchAll(PDO::FETCH_NUM), $case);
    }

    public function testATableOfAnyNameIsWrittenOrRefusedUnderEachCharacterSet(): void
    {
        $written = $refused = 0;
        foreach ($this->charsets() as $index => $charset) {
            $mode = self::MODES[$index % count(self::MODES)];
            foreach ($this->names(4) as $name) {
                $case = "seed {$this->seed}, charset {$charset}, {$mode}, {$name}";
                $table = self::quoted($name);
                [$key, $sum] = ["k{$name}", "s{$name}"];
                $key = mb_substr($key, 0, 64, 'UTF-8');
                $sum = mb_substr($sum, 0, 64, 'UTF-8');
                $columns = [self::quoted(rtrim($key, ' ')), self::quoted(rtrim($sum, ' '))];
                $this->judge->exec("DROP TABLE IF EXISTS {$table}");
                $this->judge->exec("CREATE TABLE {$table} ({$columns[0]} INT PRIMARY KEY, {$columns[1]} INT NOT NULL, g INT, must INT NOT NULL)");
                $rules = ['merge' => [rtrim($sum, ' ') => 'sum'], 'guard' => 'g', 'key' => rtrim($key, ' ')];
                $buffer = $this->syncBufferUnder($charset, $mode, tables: [$table => $rules]);
                $row = [rtrim($key, ' ') => 7, rtrim($sum, ' ') => 2, 'g' => 1];
                try {
                    $buffer->put($table, $row + ['must' => 1]);
                    // A row that can only update, too.
                    $buffer->put($table, $row);
                    $outcome = [['7', '4', '1', '1']];
                    $written++;
                } catch (Exception $refusal) {
                    self::assertStringContainsString('charset=utf8mb4', $refusal->getMessage(), $case);
                    $outcome = [];
                    $refused++;
                }
                self::assertSame(self::mayBeNamed($name, $charset), $outcome !== [], $case);
                self::assertSame($outcome, $this->judge->query("SELECT * FROM {$table}")->fetchAll(PDO::FETCH_NUM), $case);
                $this->judge->exec("DROP TABLE {$table}");
                $this->assertVictimIsUntouched($case);
            }
        }
        self::assertGreaterThan(15, $written);
        self::assertGreaterThan(15, $refused);
    }

    /**
     * The last byte of the name and the backtick behind it are one character to the server. Were
     * the name sent, the table that begins like that would be there, and the rest would be SQL.
     */
    public function testABacktickIsNotSwallowed(): void
    {
        $attacks = 0;
        foreach ($this->charsets() as $charset) {
            foreach (['中', 'ß', 'é', 'ł', '表'] as $letter) {
                $swallowed = $this->decoded($charset, "{$letter}`");
                if (in_array($charset, self::UNICODE, true) || $swallowed === null || preg_match('/[`?]/', $swallowed) === 1) {
                    continue;
                }
                $attacks++;
                $decoy = self::quoted($swallowed);
                $this->judge->exec("CREATE TABLE IF NOT EXISTS {$decoy} (id INT PRIMARY KEY, {$decoy} INT)");
                $table = self::quoted("{$letter}`;UPDATE wb_victim SET v=9#");
                $column = "{$letter}`) VALUES (?,?) ON DUPLICATE KEY UPDATE id=(SELECT 9)#";
                foreach (['', self::setting('DB_DATABASE') . '.'] as $database) {
                    $this->refuse($charset, "{$database}{$table}", ['id' => 1, 'v' => 2]);
                }
                $this->refuse($charset, $decoy, ['id' => 1]);
                $this->refuse($charset, 'wb_victim', ['id' => 1, $column => 2]);
                $this->refuse($charset, 'wb_victim', ['id' => 1, "v{$letter}" => 2]);
                self::assertSame('0', $this->judge->query("SELECT COUNT(*) FROM {$decoy}")->fetchColumn());
                $this->judge->exec("DROP TABLE {$decoy}");
            }
        }
        self::assertGreaterThan(3, $attacks);
    }

    /** Bytes as a character set has them, or null if it has them not. */
    private function decoded(string $charset, string $bytes): ?string
    {
        try {
            return $this->judge->query("SELECT CONVERT(_{$charset} X'" . bin2hex($bytes) . "' USING utf8mb4)")->fetchColumn();
        } catch (\PDOException) {
            return null;
        }
    }

    /** @param array<string, mixed> $row */
    private function refuse(string $charset, string $table, array $row): void
    {
        $case = "charset {$charset}, table {$table}, " . json_encode($row);
        try {
            $this->syncBufferUnder($charset, '')->put($table, $row);
            self::fail("written: {$case}");
        } catch (Exception $refusal) {
            $this->assertVictimIsUntouched($case);
            self::assertStringContainsString('charset=utf8mb4', $refusal->getMessage(), $case);
        }
        // Failures that somebody changed are put back by their names, too.
        $buffer = $this->buffer(dsn: $this->dsnWith("connect_timeout_ms=60000&charset={$charset}"), background: false);
        try {
            $buffer->retry([['rows' => [['table' => $table, 'row' => $row]]]]);
            $buffer->flush();
            self::fail("written by retry(): {$case}");
        } catch (Exception) {
            // As above.
        }
        $this->assertVictimIsUntouched($case);
    }

    public function testTheModesOfAServerErrorChangeNothing(): void
    {
        $this->createTable('wb_fails', 'id INT PRIMARY KEY');
        foreach (self::MODES as $mode) {
            $buffer = $this->syncBufferUnder('utf8mb4', $mode);
            foreach (["wb' or 1=1 limit 0;UPDATE wb_victim SET v=9#", "wb\\' or 1=1;UPDATE wb_victim SET v=9#"] as $name) {
                try {
                    $buffer->put('wb_fails', ['id' => 1, 'none' => 1]);
                    self::fail('a column that is not there was written');
                } catch (Exception) {
                    // What the library knows of the session is gone.
                }
                try {
                    $buffer->put(self::quoted($name), ['id' => 1]);
                    self::fail("{$name} is not there");
                } catch (Exception $missing) {
                    self::assertStringContainsString('does not exist', $missing->getMessage());
                }
                $this->assertVictimIsUntouched($mode);
            }
        }
    }

    public function testTextOfTheServerOutsideUtf8IsNoObstacle(): void
    {
        $this->createTable(
            'wb_texts',
            "id INT PRIMARY KEY, `größe` VARCHAR(9) NOT NULL DEFAULT 'süß', kind ENUM('süß','x') NOT NULL DEFAULT 'x' COMMENT 'wie süß', "
                . "u INT, CONSTRAINT `prüf` CHECK (`größe` <> 'x'), UNIQUE KEY `ü` (u)",
        );
        foreach (['latin1', 'gbk', 'cp1251', 'utf8mb4'] as $id => $charset) {
            $buffer = $this->syncBufferUnder($charset, 'STRICT_ALL_TABLES');
            $buffer->put('wb_texts', ['id' => $id, 'kind' => 'x']);
            self::assertSame((string) ($id + 1), $this->judge->query('SELECT COUNT(*) FROM wb_texts')->fetchColumn(), $charset);
        }
    }
}
