<?php

declare(strict_types=1);

namespace Bench;

use RuntimeException;

/** The instructions that a pair is known to take, and the tools with which they were counted. */
final class InstructionFile
{
    /** With the same tools. They count alike, but for some hundredths of a percent. */
    public const CHANGE_MAX = 0.02;

    /** With a newer compiler or PHP, say: other code for the same source. */
    public const CHANGE_MAX_OTHER_TOOLS = 0.10;

    /**
     * @param array<string, string> $tools by kind
     * @param array<string, int>    $pairs instructions of a pair, by figure
     */
    public function __construct(public readonly array $tools, public readonly array $pairs)
    {
    }

    public static function read(string $path): self
    {
        $json = json_decode((string) file_get_contents($path), true, 8, JSON_THROW_ON_ERROR);

        return new self($json['tools'], $json['instructions_of_a_pair']);
    }

    public function write(string $path): void
    {
        $json = ['tools' => $this->tools, 'instructions_of_a_pair' => $this->pairs];
        $text = json_encode($json, JSON_PRETTY_PRINT | JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE | JSON_THROW_ON_ERROR);
        if (file_put_contents($path, "{$text}\n") === false) {
            throw new RuntimeException("{$path} cannot be written.");
        }
    }

    /** The tools that differ, in words. */
    public function otherTools(self $now): string
    {
        $others = [];
        foreach ($now->tools + $this->tools as $kind => $_) {
            [$kept, $here] = [$this->tools[$kind] ?? 'none', $now->tools[$kind] ?? 'none'];
            if ($kept !== $here) {
                $others[] = "{$kind} {$here} instead of {$kept}";
            }
        }

        return implode(', ', $others);
    }

    /** Another processor has other instructions: nothing can be said. */
    public function isComparable(self $now): bool
    {
        return ($this->tools['processor'] ?? null) === ($now->tools['processor'] ?? null);
    }

    /**
     * What is wrong with what was counted now.
     *
     * @return list<string> empty: nothing
     */
    public function complaints(self $now): array
    {
        $hasSameTools = $this->otherTools($now) === '';
        $most = $hasSameTools ? self::CHANGE_MAX : self::CHANGE_MAX_OTHER_TOOLS;
        $complaints = [];
        foreach ($now->pairs + $this->pairs as $figure => $_) {
            $kept = $this->pairs[$figure] ?? 0;
            $here = $now->pairs[$figure] ?? 0;
            if ($kept <= 0 || $here <= 0) {
                $complaints[] = "{$figure}: {$kept} instructions are kept, {$here} were counted";
                continue;
            }
            $change = $here / $kept - 1;
            // With other tools less is no news.
            if ($change > $most || ($hasSameTools && $change < -$most)) {
                $complaints[] = sprintf(
                    '%s: %d instructions a pair, kept are %d: %+.1f %%, and %.0f %% may pass without a word',
                    $figure,
                    $here,
                    $kept,
                    100 * $change,
                    100 * $most,
                );
            }
        }

        return $complaints;
    }
}
