<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Integration;

use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\Buffer;
use WriteBuffer\Tests\Support\DatabaseTestCase;

/**
 * Several buffers write the same rows, in random order, under all rules. The table is as a
 * reference that applied each buffer's rows when that buffer flushed.
 */
final class SeveralWritersTest extends DatabaseTestCase
{
    private const DEFINITION = 'id INT PRIMARY KEY, version INT NOT NULL, v VARCHAR(20), first VARCHAR(20), '
        . 'total DECIMAL(20,4) NOT NULL DEFAULT 0, low INT, high INT';
    private const ROUNDS = 400;

    /** @return iterable<string, array{array<string, mixed>, int}> the rules, and a seed */
    public static function rules(): iterable
    {
        $merge = ['first' => 'keep', 'total' => 'sum', 'low' => 'min', 'high' => 'max'];
        foreach ([1, 2, 3] as $seed) {
            yield "merged, seed {$seed}" => [['merge' => $merge], $seed];
            yield "merged and guarded, seed {$seed}" => [['merge' => $merge, 'guard' => 'version'], $seed];
            yield "guarded, seed {$seed}" => [['guard' => 'version'], $seed];
        }
    }

    /**
     * @dataProvider rules
     *
     * @param array<string, mixed> $rules
     */
    #[DataProvider('rules')]
    public function testTheTableIsAsTheReferenceSays(array $rules, int $seed): void
    {
        $this->createTable('wb_several', self::DEFINITION);
        mt_srand($seed);
        $settings = ['tables' => ['wb_several' => $rules], 'batchSize' => 10_000];
        $buffers = [
            $this->buffer(...$settings + ['background' => false]),
            $this->buffer(...$settings + ['background' => true]),
            $this->buffer(...$settings + ['background' => true]),
        ];
        /** @var array<int, list<array<string, mixed>>> $waiting by buffer */
        $waiting = array_fill(0, count($buffers), []);
        $table = [];
        for ($round = 0; $round < self::ROUNDS; $round++) {
            $at = mt_rand(0, count($buffers) - 1);
            if (mt_rand(1, 6) === 1) {
                self::flushInto($table, $buffers[$at], $waiting[$at], $rules);
                continue;
            }
            $row = self::row($round);
            $buffers[$at]->put('wb_several', $row);
            $waiting[$at][] = $row;
        }
        foreach ($buffers as $at => $buffer) {
            self::flushInto($table, $buffer, $waiting[$at], $rules);
        }
        ksort($table);
        self::assertSame(
            array_map(static fn (array $row): array => array_map(
                static fn (mixed $value): ?string => $value === null ? null : (string) $value,
                $row,
            ), array_values($table)),
            $this->rows('wb_several'),
        );
    }

    /** @return array<string, mixed> */
    private static function row(int $round): array
    {
        $number = static fn (): ?int => mt_rand(1, 5) === 1 ? null : mt_rand(-50, 50);

        return [
            'id' => mt_rand(1, 6),
            // Now and then an old one comes late, or the same one comes twice.
            'version' => max(0, $round + mt_rand(-30, 0)),
            'v' => "round {$round}",
            'first' => "round {$round}",
            'total' => bcdiv((string) mt_rand(-100_000, 100_000), '10000', 4),
            'low' => $number(),
            'high' => $number(),
        ];
    }

    /**
     * @param array<int, array<string, mixed>> $table
     * @param list<array<string, mixed>>       $rows
     * @param array<string, mixed>             $rules
     */
    private static function flushInto(array &$table, Buffer $buffer, array &$rows, array $rules): void
    {
        self::assertSame(count($rows), $buffer->flush());
        foreach ($rows as $row) {
            $table[$row['id']] = isset($table[$row['id']]) ? self::merged($table[$row['id']], $row, $rules) : $row;
        }
        $rows = [];
    }

    /**
     * @param array<string, mixed> $old
     * @param array<string, mixed> $new
     * @param array<string, mixed> $rules
     *
     * @return array<string, mixed>
     */
    private static function merged(array $old, array $new, array $rules): array
    {
        if (isset($rules['guard']) && $new['version'] < $old['version']) {
            return $old;
        }
        $merged = [];
        foreach ($new as $column => $value) {
            $numbers = array_filter([$old[$column], $value], static fn (mixed $number): bool => $number !== null);
            $merged[$column] = match ($rules['merge'][$column] ?? 'replace') {
                'keep' => $old[$column],
                'sum' => bcadd($old[$column], $value, 4),
                'min' => $numbers === [] ? null : min($numbers),
                'max' => $numbers === [] ? null : max($numbers),
                default => $value,
            };
        }

        return $merged;
    }
}
