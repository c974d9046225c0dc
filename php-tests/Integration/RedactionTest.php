<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Integration;

use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\FlushException;
use WriteBuffer\Tests\Support\DatabaseTestCase;
use WriteBuffer\Tests\Support\PhpProcess;

/**
 * Under redactValues no value of a row is in a message, whatever error the row causes: neither in
 * an exception, a warning or PHP's log, nor in last_error. Failures have the server's own words.
 */
final class RedactionTest extends DatabaseTestCase
{
    private const TABLE = 'wb_redacted';
    private const TEXT = "s3cr3t'@\"example.org";
    private const NUMBER = 5_551_234;
    private const VIEW = 'wb_redacted_view';

    /** @return iterable<string, array> the table's columns, other statements, the row's values */
    public static function rowsAtFault(): iterable
    {
        $text = ['v' => self::TEXT];
        $kind = static fn (string $type, mixed $value = self::TEXT): array => ["v {$type}", [], ['v' => $value]];
        yield 'a second unique key' => ['v VARCHAR(40) UNIQUE', [self::insert(self::TEXT)], $text];
        yield 'no number' => $kind('INT');
        yield 'no decimal' => $kind('DECIMAL(9,2)');
        yield 'text behind a number' => $kind('INT', self::NUMBER . 'x');
        yield 'a number out of range' => $kind('TINYINT', self::NUMBER);
        yield 'no date' => $kind('DATE');
        yield 'no time' => $kind('DATETIME');
        yield 'no member of an ENUM' => $kind("ENUM('a')");
        yield 'too long' => $kind('VARCHAR(3)');
        yield 'too long in bytes' => $kind('VARBINARY(3)');
        yield 'no JSON' => $kind('JSON');
        yield 'no geometry' => $kind('GEOMETRY');
        yield 'another character set' => $kind('VARCHAR(40) CHARACTER SET latin1', self::TEXT . '😀');
        yield 'no text' => $kind('VARCHAR(40)', self::TEXT . "\xff");
        yield 'a check' => $kind('VARCHAR(40) CHECK (LENGTH(v) < 3)');
        yield 'a division by 0' => ['v INT, g INT AS (1 DIV (v - ' . self::NUMBER . ')) STORED', [], ['v' => self::NUMBER]];
        yield 'a product out of range' => ['v BIGINT, g BIGINT AS (v * v * v) STORED', [], ['v' => self::NUMBER]];
        yield 'a difference out of range' => [
            'v BIGINT UNSIGNED, g BIGINT UNSIGNED',
            [self::trigger('SET NEW.g = NEW.v - 9999999')],
            ['v' => self::NUMBER],
        ];
        $parsed = "VARCHAR(40), g DATE AS (STR_TO_DATE(v, '%Y-%m-%d')) STORED";
        yield 'no date for a function' => $kind($parsed);
        yield 'no JSON for a function' => $kind("VARCHAR(40), g VARCHAR(9) AS (JSON_EXTRACT(v, '$.a')) STORED");
        yield 'a generated column' => ['v VARCHAR(40) AS (id) STORED', [], $text];
        yield 'no partition' => [
            'v INT NOT NULL, PRIMARY KEY (id, v)',
            ['ALTER TABLE ' . self::TABLE . ' PARTITION BY LIST (v) (PARTITION p VALUES IN (1))'],
            ['v' => self::NUMBER],
        ];
        yield 'no parent' => [
            'v VARCHAR(40), FOREIGN KEY (v) REFERENCES wb_redacted_parent (v)',
            ['CREATE TABLE wb_redacted_parent (v VARCHAR(40) PRIMARY KEY)'],
            $text,
        ];
        yield 'a view' => [
            'v VARCHAR(40)',
            ['CREATE VIEW ' . self::VIEW . ' AS SELECT * FROM ' . self::TABLE . ' WHERE LENGTH(v) < 3 WITH CHECK OPTION'],
            $text,
            self::VIEW,
        ];
        $signal = static fn (string $state, string $more): array => ['v VARCHAR(40)', [self::trigger(
            "DECLARE m TEXT DEFAULT CONCAT('customer ', NEW.v); SIGNAL SQLSTATE '{$state}' SET MESSAGE_TEXT = m{$more}",
        )], $text];
        yield 'a trigger' => $signal('45000', '');
        yield 'a trigger that names an unknown code' => $signal('45000', ', MYSQL_ERRNO = 30001');
        yield 'a trigger that names an unknown code and state' => $signal('99001', ', MYSQL_ERRNO = 30001');
        yield 'a trigger that names a known code' => $signal('45000', ', MYSQL_ERRNO = 1062');
        yield 'a trigger that names a code of tables' => $signal('45000', ', MYSQL_ERRNO = 1146');
        yield 'a trigger that converts' => ['v VARCHAR(40), g DOUBLE', [self::trigger('SET NEW.g = NEW.v + 1')], $text];
    }

    private static function trigger(string $body): string
    {
        return 'CREATE TRIGGER wb_redacted_trigger BEFORE INSERT ON ' . self::TABLE . " FOR EACH ROW BEGIN {$body}; END";
    }

    private static function insert(string $value): string
    {
        return 'INSERT INTO ' . self::TABLE . " (id, v) VALUES (1, '" . addslashes($value) . "')";
    }

    private static function assertNoValue(string $text, string $where): void
    {
        foreach (['s3cr3t', 'example.org', (string) self::NUMBER] as $secret) {
            self::assertStringNotContainsString($secret, $text, $where);
        }
    }

    /**
     * @dataProvider rowsAtFault
     *
     * @param list<string>         $statements
     * @param array<string, mixed> $values
     */
    #[DataProvider('rowsAtFault')]
    public function testNoMessageHasAValue(
        string $columns,
        array $statements,
        array $values,
        string $table = self::TABLE,
    ): void {
        $this->arrange($columns, $statements);
        foreach ([false, true] as $background) {
            $buffer = new \WriteBuffer(
                $this->defaultDsn(),
                redactValues: true,
                background: $background,
                tables: [$table => ['mode' => 'insert']],
                shutdownTimeoutMs: 1_000,
            );
            $warnings = self::warningsOf(function () use (&$buffer, $table, $values): void {
                $buffer->put($table, ['id' => 2] + $values);
                $thrown = self::thrownBy(static fn () => $buffer->flush());
                self::assertInstanceOf(FlushException::class, $thrown);
                self::assertNotSame(0, $thrown->getCode());
                self::assertNoValue($thrown->getMessage(), 'the exception');
                self::assertNoValue((string) $buffer->getMetrics()['last_error'], 'last_error');
                foreach ($thrown->getFailures() as $failure) {
                    self::assertSame(['id' => 2] + $values, $failure['rows'][0]['row'], 'the failure has the row');
                }
                // Nobody is told of this one before the end.
                $buffer->put($table, ['id' => 3] + $values);
                $buffer = null;
            });
            self::assertCount(1, $warnings);
            self::assertNoValue($warnings[0], 'the warning');
        }
        $sync = new \SyncWriteBuffer($this->dsn(), redactValues: true, tables: [$table => ['mode' => 'insert']]);
        $thrown = self::thrownBy(static fn () => $sync->put($table, ['id' => 2] + $values));
        self::assertInstanceOf(FlushException::class, $thrown);
        self::assertNoValue($thrown->getMessage(), 'the exception of SyncWriteBuffer');
    }

    public function testNamesStayAndFailuresHaveTheServersWords(): void
    {
        $this->arrange('v VARCHAR(40), UNIQUE KEY email (v)', [self::insert('a@example.org')]);
        $put = function (?bool $redact): FlushException {
            $buffer = new \WriteBuffer(
                $this->defaultDsn(),
                redactValues: $redact,
                background: false,
                tables: [self::TABLE => ['mode' => 'insert']],
            );
            $buffer->put(self::TABLE, ['id' => 2, 'v' => 'a@example.org']);
            $thrown = self::thrownBy(static fn () => $buffer->flush());
            self::assertInstanceOf(FlushException::class, $thrown);
            $failures = $buffer->takeFailures();
            self::assertSame($thrown->getFailures()[0]['message'], $failures[0]['message']);
            self::assertStringContainsString("Duplicate entry 'a@example.org' for key '", $failures[0]['message']);

            return $thrown;
        };
        self::assertMatchesRegularExpression(
            "/; the first error: .*Duplicate entry '…' for key '(wb_redacted\\.)?email'\$/",
            $put(true)->getMessage(),
        );
        foreach ([null, false] as $off) {
            self::assertStringContainsString("Duplicate entry 'a@example.org' for key", $put($off)->getMessage());
        }
    }

    public function testPhpsLogHasNoValue(): void
    {
        $this->arrange('v VARCHAR(40), UNIQUE KEY email (v)', [self::insert('a@s3cr3t')]);
        $log = (string) tempnam(sys_get_temp_dir(), 'wb');
        // What nobody catches: an exception, the warning at the end of a buffer, and that of one
        // that outlives its object, after all PHP code. The exception has told of its row.
        $code = <<<'PHP'
            $make = static fn (mixed ...$more) => new WriteBuffer(...$more, dsn: $argv[1], tables: ['wb_redacted' => ['mode' => 'insert']]);
            $persistent = $make(background: true, persistent: 'p');
            $persistent->put('wb_redacted', ['id' => 3, 'v' => 'a@s3cr3t']);
            $lost = $make(background: false);
            $lost->put('wb_redacted', ['id' => 4, 'v' => 'a@s3cr3t']);
            unset($lost);
            $make(background: false, batchSize: 1)->put('wb_redacted', ['id' => 5, 'v' => 'a@s3cr3t']);
            PHP;
        $settings = ['log_errors' => '1', 'error_log' => $log, 'write_buffer.redact_values' => '1'];
        $output = PhpProcess::run($code, $settings + ['zend.exception_ignore_args' => '1'], [$this->defaultDsn()]);
        $logged = (string) file_get_contents($log);
        unlink($log);
        // A thread-safe PHP has no log any more when it shuts its modules down.
        self::assertSame(PHP_ZTS ? 2 : 3, substr_count($logged, "Duplicate entry '…' for key"), $logged);
        self::assertStringContainsString('Uncaught WriteBuffer\RefusedException', $logged);
        self::assertSame(!PHP_ZTS, str_contains($logged, 'persistent buffer'), $logged);
        self::assertStringNotContainsString('s3cr3t', $logged);
        self::assertStringNotContainsString('s3cr3t', $output);
    }

    /** A line in the log that looks like another's, and a terminal's title. */
    public function testNoMessageHasAControlCharacter(): void
    {
        $evil = "x\n[27-Nov-2026] forged\e]0;title\x07\u{202e}\u{2028}\u{9b}31m<fg=red>";
        $this->arrange('v VARCHAR(90), UNIQUE KEY email (v)', ['INSERT INTO ' . self::TABLE . ' (id, v) VALUES (1, '
            . $this->admin()->quote($evil) . ')']);
        $buffer = new \WriteBuffer($this->defaultDsn(), background: false, tables: [self::TABLE => ['mode' => 'insert']]);
        $warnings = self::warningsOf(static function () use (&$buffer, $evil, &$texts): void {
            $buffer->put(self::TABLE, ['id' => 2, 'v' => $evil]);
            $thrown = self::thrownBy(static fn () => $buffer->flush());
            $texts = [$thrown?->getMessage(), $thrown?->getFailures()[0]['message'], $buffer->getMetrics()['last_error']];
            $texts[] = self::thrownBy(static fn () => $buffer->put($evil . $evil, ['id' => 1]))?->getMessage();
            $wrong = ['tables' => ["t{$evil}" => ['key' => ['k', 'k']]]];
            $texts[] = self::thrownBy(static fn () => new \WriteBuffer('memory:', ...$wrong))?->getMessage();
            // Nobody is told of this one before the end.
            $buffer->put(self::TABLE, ['id' => 3, 'v' => $evil]);
            $buffer = null;
        });
        self::assertCount(1, $warnings);
        foreach ([...$texts, ...$warnings] as $text) {
            self::assertNotSame('', (string) $text);
            self::assertSame(0, preg_match('/[\p{Cc}\p{Zl}\p{Zp}\x{202e}]/u', (string) $text), (string) $text);
        }
        // MariaDB spells some of them out itself.
        self::assertMatchesRegularExpression(
            '/x \[27-Nov-2026\] forged\\\\(u\{1b\}|001B)\]0;title/',
            (string) $texts[0],
        );
    }

    /** @param list<string> $statements */
    private function arrange(string $columns, array $statements): void
    {
        $drops = ['TABLE IF EXISTS wb_redacted_parent', 'TABLE IF EXISTS ' . self::TABLE, 'VIEW IF EXISTS ' . self::VIEW];
        foreach ($drops as $drop) {
            $this->admin()->exec("DROP {$drop}");
            $this->dropLater("DROP {$drop}");
        }
        $this->dropLater('SET SESSION foreign_key_checks = 0');
        $this->admin()->exec('SET SESSION foreign_key_checks = 0');
        $key = str_contains($columns, 'PRIMARY KEY') ? '' : ' PRIMARY KEY';
        $this->admin()->exec('CREATE TABLE ' . self::TABLE . " (id INT{$key}, {$columns})");
        array_map($this->admin()->exec(...), $statements);
    }
}
