<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Buffers;

/** Owns the words for a setting that there is not. It would do nothing, without a word. */
final class UnknownSetting
{
    /** The settings at the top level of config/write-buffer.php. */
    public const OF_FILE = ['default', 'flush_after', 'flush_timeout_ms', 'log_channel', 'status', 'buffers'];

    /** As many letters may be wrong in a name that somebody meant. */
    private const DISTANCE_MAX = 3;

    /**
     * @param string                $where     what has it
     * @param list<string>          $known     what there is
     * @param array<string, string> $elsewhere names of other places than the top level, and where
     *                                         they belong
     */
    public static function message(string $where, string $unknown, array $known, array $elsewhere = []): string
    {
        $elsewhere += array_fill_keys(self::OF_FILE, 'to the top level of the file');
        $near = self::nearest($unknown, $known);
        $hint = match (true) {
            isset($elsewhere[$unknown]) => ": it belongs {$elsewhere[$unknown]}",
            $near !== [] => ': is it ' . implode(' or ', $near) . '?',
            default => '',
        };

        return "{$where} has an unknown setting {$unknown}{$hint}; there are: " . implode(', ', $known);
    }

    /**
     * @param list<string> $known
     *
     * @return list<string>
     */
    private static function nearest(string $unknown, array $known): array
    {
        $distances = [];
        foreach ($known as $name) {
            $distances[$name] = levenshtein(strtolower($unknown), $name);
        }
        $least = min($distances);

        return $least > self::DISTANCE_MAX ? [] : array_keys($distances, $least, true);
    }
}
