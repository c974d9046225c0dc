<?php

declare(strict_types=1);

namespace Structure;

/**
 * Finds files that import each other in a circle, and folders that do: in each folder, its entries
 * (files and folders) are compared.
 */
final class Circles
{
    /**
     * @param list<Import>          $imports
     * @param array<string, string> $places  where each file stands
     *
     * @return list<string>
     */
    public static function findings(string $root, array $imports, array $places): array
    {
        $findings = [];
        $edges = [];
        foreach ($imports as $import) {
            $edges[$import->from][$import->to][] = $import;
        }
        foreach (self::groups($edges) as $members) {
            $findings[] = self::finding($root, 'files', $members, $edges);
        }

        // For each folder: what its entries import from each other.
        $folders = [];
        foreach ($imports as $import) {
            [$folder, $from, $to] = self::entries($places[$import->from], $places[$import->to]);
            $folders[$folder][$from][$to][] = $import;
        }
        ksort($folders);
        foreach ($folders as $edges) {
            foreach (self::groups($edges) as $members) {
                // A circle without a folder was found above.
                if (array_diff($members, $places) !== []) {
                    $findings[] = self::finding($root, 'folders', $members, $edges);
                }
            }
        }

        return $findings;
    }

    /**
     * The deepest folder that holds both files, and its two entries that lead to them.
     *
     * @return array{string, string, string}
     */
    private static function entries(string $from, string $to): array
    {
        $from = explode('/', $from);
        $to = explode('/', $to);
        $depth = 0;
        while ($from[$depth] === $to[$depth]) {
            $depth++;
        }

        return [
            implode('/', array_slice($from, 0, $depth)),
            implode('/', array_slice($from, 0, $depth + 1)),
            implode('/', array_slice($to, 0, $depth + 1)),
        ];
    }

    /**
     * The groups of nodes that all reach each other.
     *
     * @param array<string, array<string, mixed>> $edges
     *
     * @return list<list<string>>
     */
    private static function groups(array $edges): array
    {
        $reached = [];
        foreach (array_keys($edges) as $node) {
            $reached[$node] = [];
            $next = [$node];
            while ($next !== []) {
                foreach (array_keys($edges[array_pop($next)] ?? []) as $other) {
                    if (!isset($reached[$node][$other])) {
                        $reached[$node][$other] = true;
                        $next[] = $other;
                    }
                }
            }
        }
        $groups = [];
        foreach ($reached as $node => $others) {
            if (isset($others[$node])) {
                $members = array_filter(
                    array_keys($others),
                    static fn (string $other): bool => isset($reached[$other][$node])
                );
                sort($members);
                $groups[$members[0]] = $members;
            }
        }
        ksort($groups);

        return array_values($groups);
    }

    /**
     * @param list<string>                               $members
     * @param array<string, array<string, list<Import>>> $edges
     */
    private static function finding(string $root, string $kind, array $members, array $edges): string
    {
        $names = array_map(static fn (string $path): string => substr($path, strlen($root) + 1), $members);
        $finding = "{$root}: a circle of {$kind}: " . implode(', ', $names)
            . '; move what they share to a file below them:';
        foreach ($members as $from) {
            foreach ($members as $to) {
                $files = [];
                foreach ($edges[$from][$to] ?? [] as $import) {
                    $files["{$import->from} {$import->to}"][] = $import;
                }
                foreach ($files as $imports) {
                    $items = array_unique(array_map(static fn (Import $import): string => $import->name, $imports));
                    $first = min(array_map(static fn (Import $import): int => $import->line, $imports));
                    $finding .= "\n    {$imports[0]->from}:{$first}: " . implode(', ', $items)
                        . " from {$imports[0]->to}";
                }
            }
        }

        return $finding;
    }
}
