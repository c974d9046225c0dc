<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Integration;

use WriteBuffer\Tests\Support\DatabaseTestCase;

/** Names of tables and columns that need care, and columns that the server fills. */
final class IdentifiersTest extends DatabaseTestCase
{
    public function testNamesNeedNoCareFromTheCaller(): void
    {
        $names = ['wb with space', 'wb`tick', 'wb größe', 'wb"quote\'', 'wb;drop', 'wb\\slash', 'wb?', 'wb:named', '5', 'select'];
        $buffer = $this->buffer();
        foreach ($names as $name) {
            $quoted = '`' . str_replace('`', '``', $name) . '`';
            $this->createTable($quoted, "{$quoted} INT PRIMARY KEY, `an``other` VARCHAR(20), `1` INT");
            // PHP makes a number of a column's name like "0", and a row that begins so looks like a
            // list. So a name comes first.
            $buffer->put($name, [['an`other' => 'a', $name => 1, '1' => 1], ['an`other' => 'b', $name => 1, '1' => 2]]);
            $buffer->put($name, ['an`other' => null, $name => 2]);
        }
        self::assertSame(3 * count($names), $buffer->flush());
        foreach ($names as $name) {
            self::assertSame(
                [['1', 'b', '2'], ['2', null, null]],
                array_map('array_values', $this->rows('`' . str_replace('`', '``', $name) . '`')),
                $name,
            );
        }
    }

    public function testColumnNamesHaveNoCase(): void
    {
        $this->createTable('wb_case', 'Id INT PRIMARY KEY, UserName VARCHAR(5), v INT NOT NULL DEFAULT 0');
        $buffer = $this->buffer(tables: ['wb_case' => ['key' => 'ID', 'merge' => ['V' => 'sum']]]);
        $buffer->put('wb_case', ['ID' => 1, 'username' => 'a', 'v' => 1]);
        $buffer->put('wb_case', ['id' => 1, 'USERNAME' => 'b', 'V' => 2]);
        $buffer->flush();
        $buffer->put('wb_case', ['iD' => 1, 'V' => 4]);
        $buffer->flush();
        self::assertSame([['Id' => '1', 'UserName' => 'b', 'v' => '7']], $this->rows('wb_case'));
    }

    public function testATableOfAnotherDatabase(): void
    {
        $this->pdo()->exec('CREATE DATABASE IF NOT EXISTS `write_buffer_o``ther`');
        $this->dropLater('DROP DATABASE `write_buffer_o``ther`');
        $this->pdo()->exec('CREATE TABLE `write_buffer_o``ther`.wb_there (k INT PRIMARY KEY, v INT)');
        $this->createTable('wb_there', 'id INT PRIMARY KEY');
        $buffer = $this->buffer(tables: ['write_buffer_o`ther.wb_there' => ['merge' => ['v' => 'sum']]]);
        $buffer->put('write_buffer_o`ther.wb_there', [['k' => 1, 'v' => 1], ['k' => 1, 'v' => 2]]);
        $buffer->put('wb_there', ['id' => 9]);
        $buffer->flush();
        $buffer->put('write_buffer_o`ther.wb_there', ['k' => 1, 'v' => 4]);
        $buffer->flush();
        self::assertSame([['k' => '1', 'v' => '7']], $this->rows('`write_buffer_o``ther`.wb_there'));
        self::assertSame([['id' => '9']], $this->rows('wb_there', '*', '1'));
    }

    public function testAMissingTableSaysHowADotWasRead(): void
    {
        $this->createTable('`wb_a.b`', 'id INT PRIMARY KEY');
        $at = self::setting('DB_HOST') . ':' . self::setting('DB_PORT') . '/' . self::setting('DB_DATABASE');
        $missing = sprintf(' does not exist at %s, or the account "%s" may not see it; ', $at, self::setting('DB_USERNAME'));
        foreach (
            [
                'wb_a.b' => 'the dot was read as database wb_a, table b; for the table of the database '
                    . self::setting('DB_DATABASE') . ' that has the dot in its name, write `wb_a.b`, in backticks',
                'wb_a.c' => 'the dot was read as database wb_a, table c; create it, correct the name, or put a name that has a '
                    . 'dot in backticks',
                'wb_c' => "create it, or correct the table's name",
            ] as $name => $advice
        ) {
            $buffer = $this->buffer();
            $buffer->put($name, ['id' => 1]);
            $thrown = self::thrownBy(static fn () => $buffer->flush());
            self::assertSame(
                "table {$name}{$missing}{$advice} (1 row still buffered)",
                $thrown?->getMessage(),
            );
            self::warningsOf(static function () use (&$buffer): void {
                $buffer = null;
            });
        }
        $buffer = $this->buffer();
        $buffer->put('`wb_a.b`', ['id' => 1]);
        self::assertSame(1, $buffer->flush());
    }

    public function testGeneratedColumnsAreTheServers(): void
    {
        $this->createTable(
            'wb_generated',
            'id INT PRIMARY KEY, price DECIMAL(10,2) NOT NULL, quantity INT NOT NULL, '
                . 'total DECIMAL(20,2) AS (price * quantity) STORED, half DECIMAL(20,2) AS (price / 2) VIRTUAL, '
                . 'created_at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6), n INT NOT NULL DEFAULT (1 + 1)',
        );
        $buffer = $this->buffer(orderTable: 'wb_generated');
        $buffer->add([['id' => 1, 'price' => '2.50', 'quantity' => 3], ['id' => 2, 'price' => 1, 'quantity' => 1]]);
        $buffer->add(['id' => 1, 'price' => '4.00', 'quantity' => 3]);
        $buffer->flush();
        self::assertSame(
            [
                ['id' => '1', 'total' => '12.00', 'half' => '2.00', 'n' => '2'],
                ['id' => '2', 'total' => '1.00', 'half' => '0.50', 'n' => '2'],
            ],
            $this->rows('wb_generated', 'id, total, half, n'),
        );
        self::assertSame('2', $this->value('SELECT COUNT(*) FROM wb_generated WHERE created_at > NOW() - INTERVAL 1 HOUR'));
    }
}
