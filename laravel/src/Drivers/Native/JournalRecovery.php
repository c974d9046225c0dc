<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Drivers\Native;

use WriteBuffer\ConfigException;
use WriteBuffer\Journal;

/**
 * Owns a recovery with a buffer's own settings. The extension has each writer's tables and rules
 * from the journal, and takes the rest from php.ini.
 *
 * Invariant: php.ini's settings are afterwards what they were.
 */
final class JournalRecovery
{
    /** Settings that say how rows are tried, and where those go that are given up. */
    private const SETTINGS = [
        'maxRetries' => 'write_buffer.max_retries',
        'parkTimeoutMs' => 'write_buffer.park_timeout_ms',
        'deadLetterFile' => 'write_buffer.dead_letter_file',
        'ledgerTable' => 'write_buffer.ledger_table',
        'redactValues' => 'write_buffer.redact_values',
    ];

    /**
     * @param array<string, mixed> $settings  of the buffer: parameters by name
     * @param int|null             $timeoutMs null: until all is settled
     *
     * @return list<array<string, mixed>> as Journal::recover() returns it
     *
     * @throws \WriteBuffer\Exception
     */
    public static function run(
        string $journal,
        #[\SensitiveParameter] string $dsn,
        array $settings,
        ?int $timeoutMs,
    ): array {
        $before = [];
        try {
            foreach (self::SETTINGS as $parameter => $ini) {
                if (!isset($settings[$parameter])) {
                    continue;
                }
                $before[$ini] = (string) ini_get($ini);
                if (@ini_set($ini, (string) $settings[$parameter]) === false) {
                    throw new ConfigException("{$parameter} cannot be " . var_export($settings[$parameter], true));
                }
            }

            return Journal::recover($journal, $dsn, $timeoutMs);
        } finally {
            foreach ($before as $ini => $value) {
                ini_set($ini, $value);
            }
        }
    }
}
