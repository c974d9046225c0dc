<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Drivers\Php;

use WriteBuffer\Laravel\Rows\KeyForm;
use WriteBuffer\Laravel\Tables\Merge;
use WriteBuffer\Laravel\Tables\Table;

/**
 * Rows of one table, in the order in which they are to be written. Rows of one key become one where that is exact. Where PHP is
 * not certain which keys are equal, all of them stay as they came, and the last in order wins as it would row by row.
 */
final class Coalescer
{
    /**
     * @param list<array<string, mixed>> $rows
     *
     * @return list<array<string, mixed>>
     */
    public static function coalesce(Table $table, array $rows, bool $isStrict): array
    {
        $forms = $table->isUpsert() && $isStrict ? self::keyForms($table, $rows) : null;
        if ($forms === null) {
            return $rows;
        }
        $written = $latest = [];
        $isUnique = true;
        foreach ($rows as $at => $row) {
            $form = $forms[$at];
            if (isset($latest[$form])) {
                $merged = Merge::exactly($table, $written[$latest[$form]]['row'], $row);
                if ($merged !== null) {
                    $written[$latest[$form]]['row'] = $merged;
                    continue;
                }
                $isUnique = false;
            }
            $latest[$form] = count($written);
            $written[] = ['row' => $row, 'form' => $form];
        }
        if ($isUnique) {
            // In the order of their keys, so that two writers lock in the same order; by columns first, so that rows with the
            // same columns share a statement.
            usort($written, static fn (array $left, array $right): int
                => [array_keys($left['row']), $left['form']] <=> [array_keys($right['row']), $right['form']]);
        }

        return array_column($written, 'row');
    }

    /**
     * A form for each row's key, or null where that of one row is not certain.
     *
     * @param list<array<string, mixed>> $rows
     *
     * @return list<string>|null
     */
    public static function keyForms(Table $table, array $rows): ?array
    {
        $forms = $folded = [];
        $kinds = null;
        foreach ($rows as $row) {
            $known = KeyForm::of(array_map(static fn (string $column): mixed => $row[$column] ?? null, $table->key));
            if ($known === null || ($kinds ??= $known[0]) !== $known[0]) {
                return null;
            }
            // 'A' and 'a' are one key under one collation and two under another.
            if (($folded[strtolower($known[1])] ??= $known[1]) !== $known[1]) {
                return null;
            }
            $forms[] = $known[1];
        }

        return $forms;
    }
}
