<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Drivers\Php;

use WriteBuffer\Laravel\Rows\KeyForm;
use WriteBuffer\Laravel\Tables\Merge;
use WriteBuffer\Laravel\Tables\Table;

/**
 * Owns the order in which the rows of one table are written, and which of them become one.
 *
 * Invariant: writing the coalesced rows leaves the table as writing all rows, one by one, would. If
 * PHP is not certain which keys are equal, all rows stay as they came.
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
            // By key, so that two writers lock rows in the same order; before that by columns, so
            // that rows with the same columns share a statement.
            usort($written, static fn (array $left, array $right): int
                => [array_keys($left['row']), $left['form']] <=> [array_keys($right['row']), $right['form']]);
        }

        return array_column($written, 'row');
    }

    /**
     * A form for each row's key; null if the form of one key is not certain.
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
            // 'A' and 'a' are one key in some collations, and two in others.
            if (($folded[strtolower($known[1])] ??= $known[1]) !== $known[1]) {
                return null;
            }
            $forms[] = $known[1];
        }

        return $forms;
    }
}
