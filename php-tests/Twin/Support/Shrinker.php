<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Twin\Support;

/** Takes away from a program what it does not need to fail. */
final class Shrinker
{
    private const RUNS = 800;

    private int $runs = 0;

    /** @param \Closure(Program): bool $fails */
    public function __construct(private readonly \Closure $fails)
    {
    }

    public function shrink(Program $program): Program
    {
        do {
            $smaller = null;
            foreach ($this->candidates($program) as $candidate) {
                if (++$this->runs > self::RUNS) {
                    return $program;
                }
                if (($this->fails)($candidate)) {
                    $smaller = $program = $candidate;
                    break;
                }
            }
        } while ($smaller !== null);

        return $program;
    }

    /** @return iterable<Program> the largest steps first */
    private function candidates(Program $program): iterable
    {
        $steps = $program->steps;
        for ($length = intdiv(count($steps), 2); $length >= 1; $length = intdiv($length, 2)) {
            for ($at = count($steps) - $length; $at >= 0; $at -= $length) {
                $fewer = $steps;
                array_splice($fewer, $at, $length);
                yield $program->with(['steps' => $fewer]);
            }
        }
        foreach ($steps as $at => $step) {
            foreach (is_array($step) && count($step) > 1 ? array_keys($step) : [] as $row) {
                $fewer = $step;
                unset($fewer[$row]);
                yield $program->with(['steps' => array_replace($steps, [$at => array_values($fewer)])]);
            }
        }
        foreach (array_keys($program->settings) as $setting) {
            yield $program->with(['settings' => array_diff_key($program->settings, [$setting => 0])]);
        }
        yield from $this->simplerTables($program);
        yield from $this->simplerRows($program);
        if ($program->sqlMode !== Program::STRICT) {
            yield $program->with(['sqlMode' => Program::STRICT]);
        }
    }

    /** @return iterable<Program> */
    private function simplerTables(Program $program): iterable
    {
        $used = json_encode($program->steps, JSON_INVALID_UTF8_SUBSTITUTE | JSON_PARTIAL_OUTPUT_ON_ERROR);
        foreach ($program->tables as $name => $table) {
            $others = serialize(array_diff_key($program->tables, [$name => 0]));
            if (!str_contains((string) $used, "[\"{$name}\",") && preg_match("/\\b{$name}\\b ?\\(|INTO {$name} /", $others) !== 1) {
                yield $program->with(['tables' => array_diff_key($program->tables, [$name => 0])]);
            }
            foreach (['triggers', 'constraints', 'options'] as $part) {
                foreach ((array) ($table[$part] ?? []) as $at => $one) {
                    $less = $table;
                    if (is_array($table[$part])) {
                        unset($less[$part][$at]);
                        $less[$part] = array_values($less[$part]);
                    }
                    if ($part === 'options' || $less[$part] === []) {
                        unset($less[$part]);
                    }
                    yield $program->with(['tables' => array_replace($program->tables, [$name => $less])]);
                }
            }
            foreach ($this->simplerRules($table['rules'] ?? []) as $rules) {
                $less = array_replace($table, ['rules' => $rules]);
                if ($rules === []) {
                    unset($less['rules']);
                }
                yield $program->with(['tables' => array_replace($program->tables, [$name => $less])]);
            }
            foreach (count($table['columns']) > 1 ? array_keys($table['columns']) : [] as $column) {
                yield $this->withoutColumn($program, $name, $column);
            }
        }
    }

    /**
     * @param array<string, mixed> $rules
     *
     * @return iterable<array<string, mixed>>
     */
    private function simplerRules(array $rules): iterable
    {
        foreach ($rules as $rule => $what) {
            yield array_diff_key($rules, [$rule => 0]);
            if ($rule === 'merge' && count($what) > 1) {
                foreach (array_keys($what) as $column) {
                    yield array_replace($rules, ['merge' => array_diff_key($what, [$column => 0])]);
                }
            }
        }
    }

    private function withoutColumn(Program $program, string $name, string $column): Program
    {
        $table = $program->tables[$name];
        unset($table['columns'][$column], $table['rules']['merge'][$column]);
        if (($table['rules']['merge'] ?? null) === []) {
            unset($table['rules']['merge']);
        }
        if (($table['rules'] ?? null) === []) {
            unset($table['rules']);
        }
        $steps = $program->steps;
        foreach ($steps as $at => $step) {
            foreach (is_array($step) ? $step : [] as $number => [$of]) {
                if ($of === $name && count($step[$number][1]) > 1) {
                    unset($steps[$at][$number][1][$column]);
                }
            }
        }

        return $program->with(['tables' => array_replace($program->tables, [$name => $table]), 'steps' => $steps]);
    }

    /** @return iterable<Program> */
    private function simplerRows(Program $program): iterable
    {
        foreach ($program->steps as $at => $step) {
            foreach (is_array($step) ? $step : [] as $number => [, $row]) {
                foreach (count($row) > 1 ? array_keys($row) : [] as $column) {
                    $less = $program->steps;
                    unset($less[$at][$number][1][$column]);
                    yield $program->with(['steps' => $less]);
                }
            }
        }
    }
}
