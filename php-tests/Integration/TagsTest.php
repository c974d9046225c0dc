<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Integration;

use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\Tests\Support\DatabaseTestCase;

/** A group keeps its tag wherever it goes: through halving, parking, the end of its buffer. */
final class TagsTest extends DatabaseTestCase
{
    private const GONE = 'wb_tag_gone';
    private const GOOD = 'wb_tag_good';

    protected function setUp(): void
    {
        parent::setUp();
        $this->createTable(self::GONE, 'id INT PRIMARY KEY, v INT NOT NULL');
        $this->createTable(self::GOOD, 'id INT PRIMARY KEY, v INT NOT NULL');
    }

    /** @return iterable<string, array{array<string, mixed>}> */
    public static function modes(): iterable
    {
        yield 'foreground' => [['background' => false]];
        yield 'background' => [['background' => true]];
        yield 'lanes' => [['background' => true, 'lanes' => 4]];
    }

    /**
     * @dataProvider modes
     *
     * @param array<string, mixed> $settings
     */
    #[DataProvider('modes')]
    public function testItComesBackWithItsOwnRows(array $settings): void
    {
        $file = (string) tempnam(sys_get_temp_dir(), 'write-buffer-tags-');
        try {
            $buffer = $this->buffer(...$settings + ['parkTimeoutMs' => 1, 'deadLetterFile' => $file]);
            $this->pdo()->exec('DROP TABLE ' . self::GONE);
            $expected = [];
            for ($id = 1; $id <= 60; $id++) {
                $isGone = $id % 3 === 0;
                $isRefused = $id % 7 === 0;
                $table = $isGone ? self::GONE : self::GOOD;
                $buffer->put($table, ['id' => $id, 'v' => $isRefused ? '99999999999' : 1], $id % 2 === 0 ? "tag {$id}" : null);
                if ($isGone || $isRefused) {
                    $expected[$id] = $id % 2 === 0 ? "tag {$id}" : null;
                }
            }
            self::await('all are written or given up', static function () use ($buffer): bool {
                self::thrownBy(static fn () => $buffer->flush());

                return count($buffer) === 0;
            });
            $failures = $buffer->takeFailures();
            $tags = [];
            foreach ($failures as $failure) {
                $tags[$failure['rows'][0]['row']['id']] = $failure['tag'];
            }
            ksort($tags);
            self::assertSame($expected, $tags);
            $lines = array_map(static fn (string $line): array => json_decode($line, true), file($file));
            self::assertSame(array_column($failures, 'tag', 'id'), array_column($lines, 'tag', 'id'));

            // What is left at the end.
            $buffer = $this->buffer(...$settings + ['shutdownTimeoutMs' => 1, 'deadLetterFile' => $file]);
            $buffer->put(self::GONE, ['id' => 70, 'v' => 1], 'left');
            $buffer->put(self::GONE, ['id' => 71, 'v' => 1]);
            $buffer = null;
            $lines = array_map(static fn (string $line): array => json_decode($line, true), file($file));
            self::assertSame(['left', null], array_column(array_slice($lines, -2), 'tag'));
        } finally {
            unlink($file);
        }
    }
}
