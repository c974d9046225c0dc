<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Integration;

use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\Tests\Support\DatabaseTestCase;

/**
 * A table is altered under a buffer that knows it already. No statement fails: only its definition
 * tells.
 */
final class AlteredTablesTest extends DatabaseTestCase
{
    private const TABLE = 'wb_altered';

    /**
     * @return iterable<string, array{
     *     string, array<string, mixed>, array<mixed>, string, list<array<mixed>>,
     *     list<array<mixed>>
     * }>
     */
    public static function changes(): iterable
    {
        $words = 'id VARCHAR(10) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL PRIMARY KEY, v INT';
        yield 'a key that two rows have by then' => [
            $words,
            [],
            ['id' => 'z', 'v' => 0],
            'MODIFY id VARCHAR(10) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci NOT NULL',
            [['id' => 'a', 'v' => 1], ['id' => 'A', 'v' => 2]],
            [['id' => 'a', 'v' => '2'], ['id' => 'z', 'v' => '0']],
        ];
        yield 'a key of another column, too' => [
            'id INT NOT NULL, k INT NOT NULL, v INT, PRIMARY KEY (id)',
            [],
            ['id' => 9, 'k' => 9, 'v' => 0],
            'DROP PRIMARY KEY, ADD PRIMARY KEY (id, k)',
            [['id' => 1, 'k' => 1, 'v' => 1], ['id' => 1, 'k' => 2, 'v' => 2]],
            [
                ['id' => '1', 'k' => '1', 'v' => '1'],
                ['id' => '1', 'k' => '2', 'v' => '2'],
                ['id' => '9', 'k' => '9', 'v' => '0'],
            ],
        ];
        yield 'a second unique index, through which two rows meet' => [
            'id INT NOT NULL PRIMARY KEY, u INT, v INT',
            ['allowSecondUnique' => true],
            ['id' => 9, 'u' => 9, 'v' => 0],
            'ADD UNIQUE KEY second (u)',
            [['id' => 2, 'u' => 1, 'v' => 1], ['id' => 1, 'u' => 1, 'v' => 2]],
            [['id' => '2', 'u' => '1', 'v' => '2'], ['id' => '9', 'u' => '9', 'v' => '0']],
        ];
        yield 'a CHECK that the first of two rows breaks' => [
            'id INT NOT NULL PRIMARY KEY, v INT',
            [],
            ['id' => 9, 'v' => 0],
            'ADD CONSTRAINT positive CHECK (v >= 0)',
            [['id' => 1, 'v' => -1], ['id' => 1, 'v' => 2]],
            [['id' => '1', 'v' => '2'], ['id' => '9', 'v' => '0']],
        ];
    }

    /**
     * @dataProvider changes
     *
     * @param array<string, mixed> $rules
     * @param array<mixed>         $first
     * @param list<array<mixed>>   $rows
     * @param list<array<mixed>>   $expected
     */
    #[DataProvider('changes')]
    public function testRowsAreWrittenByTheDefinitionThatTheyMeet(
        string $definition,
        array $rules,
        array $first,
        string $change,
        array $rows,
        array $expected,
    ): void {
        $this->createTable(self::TABLE, $definition);
        $buffer = $this->buffer(background: false, tables: [self::TABLE => $rules]);
        $buffer->put(self::TABLE, $first);
        self::assertSame(1, $buffer->flush());
        $this->pdo()->exec('ALTER TABLE ' . self::TABLE . " {$change}");
        foreach ($rows as $row) {
            $buffer->put(self::TABLE, $row);
        }
        $refused = self::thrownBy(static fn () => $buffer->flush());
        self::assertSame($expected, $this->rows(self::TABLE));
        // The one group that the CHECK refuses, as it would alone.
        $isRefused = ($rows[0]['v'] ?? 0) < 0;
        self::assertSame($isRefused, $refused !== null, (string) $refused?->getMessage());
        self::assertCount($isRefused ? 1 : 0, $buffer->takeFailures());
    }
}
