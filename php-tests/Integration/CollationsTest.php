<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Integration;

use WriteBuffer\Tests\Support\DatabaseTestCase;

/**
 * The engine coalesces and sorts text keys of letters, digits and `-_.:/` if it knows the rules of
 * their collation (crates/core/src/table/column.rs). Here the server is asked whether the engine
 * knows them right.
 */
final class CollationsTest extends DatabaseTestCase
{
    /** Those that the engine trusts. True: case makes a difference. */
    private const TRUSTED = [
        'utf8mb4_bin' => true,
        'utf8mb4_nopad_bin' => true,
        'utf8mb4_0900_bin' => true,
        'ascii_bin' => true,
        'latin1_bin' => true,
        'utf8mb4_general_ci' => false,
        'utf8mb4_general_nopad_ci' => false,
        'utf8mb4_unicode_ci' => false,
        'utf8mb4_unicode_nopad_ci' => false,
        'utf8mb4_unicode_520_ci' => false,
        'utf8mb4_unicode_520_nopad_ci' => false,
        'utf8mb4_0900_ai_ci' => false,
        'utf8mb4_0900_as_ci' => false,
        'utf8mb4_0900_as_cs' => true,
        'utf8mb4_uca1400_ai_ci' => false,
        'utf8mb4_uca1400_as_ci' => false,
        'utf8mb4_uca1400_as_cs' => true,
        'utf8mb3_general_ci' => false,
        'utf8mb3_unicode_ci' => false,
        'ascii_general_ci' => false,
    ];

    public function testTheServerComparesPlainWordsAsTheEngineDoes(): void
    {
        $known = $this->pdo()->query('SELECT COLLATION_NAME FROM information_schema.COLLATION_CHARACTER_SET_APPLICABILITY')
            ->fetchAll(\PDO::FETCH_COLUMN);
        $known = array_merge($known, $this->fullNames());
        $words = $this->words();
        $asked = 0;
        foreach (self::TRUSTED as $collation => $isCaseSensitive) {
            if (!in_array($collation, $known, true)) {
                continue;
            }
            $asked++;
            [$charset] = explode('_', $collation);
            $this->pdo()->exec('DROP TABLE IF EXISTS wb_words');
            $this->pdo()->exec("CREATE TABLE wb_words (word VARCHAR(12) CHARACTER SET {$charset} COLLATE {$collation})");
            $values = implode(',', array_map(fn (string $word): string => '(' . $this->pdo()->quote($word) . ')', $words));
            $this->pdo()->exec("INSERT INTO wb_words VALUES {$values}");
            $folded = $isCaseSensitive ? $words : array_map('strtolower', $words);
            $distinct = (int) $this->pdo()->query('SELECT COUNT(DISTINCT word) FROM wb_words')->fetchColumn();
            self::assertSame(count(array_unique($folded)), $distinct, $collation);
            // The words that are equal to the server are equal to the engine, and no others.
            $groups = $this->pdo()->query('SELECT GROUP_CONCAT(word SEPARATOR \' \') FROM wb_words GROUP BY word')
                ->fetchAll(\PDO::FETCH_COLUMN);
            foreach ($groups as $group) {
                $members = explode(' ', $group);
                $same = $isCaseSensitive ? $members : array_map('strtolower', $members);
                self::assertCount(1, array_unique($same), "{$collation}: {$group}");
            }
        }
        $this->pdo()->exec('DROP TABLE IF EXISTS wb_words');
        self::assertGreaterThan(8, $asked, 'the server has these collations');
    }

    /** @return list<string> MariaDB lists `uca1400_ai_ci` once for all character sets */
    private function fullNames(): array
    {
        $columns = $this->pdo()->query('SHOW COLUMNS FROM information_schema.COLLATION_CHARACTER_SET_APPLICABILITY')
            ->fetchAll(\PDO::FETCH_COLUMN);
        if (!in_array('FULL_COLLATION_NAME', $columns, true)) {
            return [];
        }

        return $this->pdo()->query('SELECT FULL_COLLATION_NAME FROM information_schema.COLLATION_CHARACTER_SET_APPLICABILITY')
            ->fetchAll(\PDO::FETCH_COLUMN);
    }

    /**
     * @return list<string> every letter, alone and in pairs, for a collation may contract two into
     *         one
     */
    private function words(): array
    {
        $letters = [...range('a', 'z'), ...range('A', 'Z'), ...array_map('strval', range(0, 9)), '-', '_', '.', ':', '/'];
        $words = $letters;
        foreach ([...range('a', 'z'), '0', '9', '-', '_', '.', ':', '/'] as $first) {
            foreach ([...range('a', 'z'), 'A', 'H', 'Z', '0', '9', '-', '_', '.', ':', '/'] as $second) {
                $words[] = $first . $second;
            }
        }

        return $words;
    }
}
