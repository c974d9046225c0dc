<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Integration;

use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\Tests\Support\DatabaseTestCase;

/** Numbers that the server gives to rows tell the order in which they were added. */
final class NumbersTest extends DatabaseTestCase
{
    private const SEQUENCE = 'wb_sequence';

    /** @return iterable<string, array{string}> */
    public static function numbers(): iterable
    {
        yield 'AUTO_INCREMENT' => ['n INT NOT NULL AUTO_INCREMENT, KEY (n)'];
        yield 'UUID_SHORT()' => ['n BIGINT UNSIGNED NOT NULL DEFAULT (UUID_SHORT())'];
        if (!self::isMySql()) {
            yield 'a sequence' => ['n INT NOT NULL DEFAULT (NEXT VALUE FOR ' . self::SEQUENCE . ')'];
        } else {
            yield 'ordered UUIDs' => ['n BINARY(16) NOT NULL DEFAULT (UUID_TO_BIN(UUID(), 1))'];
        }
    }

    /** @dataProvider numbers */
    #[DataProvider('numbers')]
    public function testTellTheOrderOfUpserts(string $number): void
    {
        $this->createNumbered($number);
        $buffer = $this->buffer();
        foreach (['z', 'a', 'q', 'z', 'b'] as $v => $id) {
            $buffer->put('wb_numbers', ['id' => $id, 'v' => $v]);
        }
        $buffer->flush();
        self::assertSame(['z3', 'a1', 'q2', 'b4'], $this->inOrder());
    }

    /** @dataProvider numbers */
    #[DataProvider('numbers')]
    public function testTellTheOrderOfInserts(string $number): void
    {
        $this->createNumbered($number);
        $buffer = $this->buffer(tables: ['wb_numbers' => ['mode' => 'insert']]);
        $buffer->put('wb_numbers', [['id' => 'z', 'v' => 0], ['id' => 'a', 'v' => 1]]);
        $buffer->put('wb_numbers', ['id' => 'q', 'v' => 2]);
        $buffer->flush();
        self::assertSame(['z0', 'a1', 'q2'], $this->inOrder());
    }

    private function createNumbered(string $number): void
    {
        if (!self::isMySql()) {
            $this->pdo()->exec('CREATE OR REPLACE SEQUENCE ' . self::SEQUENCE);
            $this->dropLater('DROP SEQUENCE ' . self::SEQUENCE);
        }
        $this->createTable('wb_numbers', "id CHAR(9) NOT NULL PRIMARY KEY, v INT NOT NULL, {$number}");
    }

    /** @return list<string> */
    private function inOrder(): array
    {
        return $this->pdo()->query('SELECT CONCAT(id, v) FROM wb_numbers ORDER BY n')->fetchAll(\PDO::FETCH_COLUMN);
    }
}
