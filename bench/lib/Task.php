<?php

declare(strict_types=1);

namespace Bench;

use RuntimeException;
use Throwable;

/** A task of the conductor, a JSON object in the first argument, and the answer, a JSON line. */
final class Task
{
    /** @param array<string, mixed> $settings */
    private function __construct(private readonly array $settings)
    {
    }

    /**
     * Does the task and prints the answer, which may be that this build cannot do it.
     *
     * @param callable(self): array<int|string, mixed> $work
     */
    public static function run(callable $work): never
    {
        try {
            $settings = json_decode(self::isGiven() ? $GLOBALS['argv'][1] : '{}', true, 16, JSON_THROW_ON_ERROR);
            $answer = $work(new self($settings));
        } catch (Unavailable $e) {
            $answer = ['unavailable' => $e->getMessage()];
        } catch (Throwable $e) {
            fwrite(STDERR, get_class($e) . ": {$e->getMessage()}\n{$e->getTraceAsString()}\n");
            exit(1);
        }
        echo json_encode($answer, JSON_THROW_ON_ERROR | JSON_PRESERVE_ZERO_FRACTION), "\n";
        exit(0);
    }

    /** Whether the conductor has started this program, and not somebody by hand. */
    public static function isGiven(): bool
    {
        return str_starts_with((string) ($GLOBALS['argv'][1] ?? ''), '{');
    }

    /** The rounds of a program: those that the conductor was told, or these. */
    public function rounds(int $full, int $short): int
    {
        return $this->int('rounds', 0) ?: ($this->bool('short') ? $short : $full);
    }

    public function int(string $name, ?int $default = null): int
    {
        return (int) $this->get($name, $default);
    }

    public function string(string $name, ?string $default = null): string
    {
        return (string) $this->get($name, $default);
    }

    public function bool(string $name, bool $default = false): bool
    {
        return (bool) $this->get($name, $default);
    }

    private function get(string $name, mixed $default): mixed
    {
        return $this->settings[$name] ?? $default ?? throw new RuntimeException("The task has no \"{$name}\".");
    }
}
