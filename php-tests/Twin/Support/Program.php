<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Twin\Support;

/** Tables, and what is done to them: groups of rows, flushes, statements. */
final class Program
{
    public const FLUSH = 'flush';

    /** All that was refused so far is put back. */
    public const RETRY = 'retry';

    /** The third element of a row that names one to delete. */
    public const DELETE = 'delete';

    /** That of one that only updates: the row of a model that exists. */
    public const UPDATE = 'update';

    public const STRICT = 'STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION';

    /**
     * @param array<string, array<string, mixed>> $tables   by name, in the order in which they can
     *                                                      be created: the definition of each
     *                                                      column, `constraints`, `options`,
     *                                                      `triggers` (each begins with its time
     *                                                      and event) and the `rules` for the
     *                                                      buffer
     * @param list<string|list<array{0: string, 1: array<mixed>, 2?: string}>> $steps a group of
     *                                                      rows with their tables' names, and
     *                                                      `delete` if a row is the key of one to
     *                                                      delete, `update` if it only updates;
     *                                                      `flush`, `retry`, or a statement
     *                                                      for both sides, after a flush
     * @param array<string, mixed>                $settings of the buffer
     */
    public function __construct(
        public readonly array $tables,
        public readonly array $steps,
        public readonly string $sqlMode = self::STRICT,
        public readonly array $settings = [],
    ) {
    }

    /** @param array<string, mixed> $program as toPhp() writes it */
    public static function fromArray(array $program): self
    {
        return new self(
            $program['tables'],
            $program['steps'],
            $program['sqlMode'] ?? self::STRICT,
            $program['settings'] ?? [],
        );
    }

    /** @param array<string, mixed> $changes */
    public function with(array $changes): self
    {
        return new self(...$changes + get_object_vars($this));
    }

    /** The program as PHP code that fromArray() takes. */
    public function toPhp(): string
    {
        $program = ['tables' => $this->tables];
        if ($this->sqlMode !== self::STRICT) {
            $program['sqlMode'] = $this->sqlMode;
        }
        if ($this->settings !== []) {
            $program['settings'] = $this->settings;
        }

        return self::export($program + ['steps' => $this->steps], '', 3);
    }

    /** Writes the outer levels of an array one element a line. */
    private static function export(mixed $value, string $indent, int $levels): string
    {
        if (is_string($value)) {
            return self::exportString($value);
        }
        if (!is_array($value)) {
            return $value === null ? 'null' : var_export($value, true);
        }
        $isFlat = $levels === 0 || $value === [] || (array_is_list($value) && count($value) === 1);
        $elements = [];
        foreach ($value as $key => $element) {
            $elements[] = (array_is_list($value) ? '' : self::export($key, '', 0) . ' => ')
                . self::export($element, $isFlat ? $indent : "{$indent}    ", $isFlat ? max(0, $levels - 1) : $levels - 1);
        }
        if ($isFlat) {
            return '[' . implode(', ', $elements) . ']';
        }

        return "[\n{$indent}    " . implode(",\n{$indent}    ", $elements) . ",\n{$indent}]";
    }

    private static function exportString(string $text): string
    {
        if (preg_match('/^[^\x00-\x1f\x7f]*$/uD', $text) === 1) {
            return "'" . addcslashes($text, "'\\") . "'";
        }

        return '"' . preg_replace_callback(
            '/[^\x20-\x7e]|["$\\\\]/',
            static fn (array $byte): string => sprintf('\x%02x', ord($byte[0])),
            $text,
        ) . '"';
    }
}
