<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Twin\Support;

/**
 * Makes random programs. A program is wholly determined by its seed and its number; several in a
 * row have the same tables, since making tables takes longer than a program.
 */
final class Generator
{
    private const PROGRAMS_FOR_TABLES = 5;

    private const NAMES = ['t', 'u', 'v'];

    /** @var array<string, RandomTable> the tables of the program that is being made */
    private array $tables = [];

    private string $sqlMode = '';

    private ?int $made = null;

    public function __construct(private readonly bool $isMySql)
    {
    }

    public function program(int $seed, int $number): Program
    {
        $tablesSeed = crc32("{$seed} " . intdiv($number, self::PROGRAMS_FOR_TABLES));
        if ($this->made !== $tablesSeed) {
            Dice::seed($tablesSeed);
            $this->makeTables();
            $this->made = $tablesSeed;
        }
        Dice::seed(crc32("rows {$seed} {$number}"));
        $definitions = [];
        foreach ($this->tables as $name => $table) {
            $definitions[$name] = $table->definition();
            if ($table->logs()) {
                $definitions["log_{$name}"] = ['columns' => ['what' => 'VARCHAR(200)']];
            }
        }
        // A trigger names the log, and is made with its table.
        uksort($definitions, static fn (string $a, string $b): int
            => str_starts_with($b, 'log_') <=> str_starts_with($a, 'log_'));

        return new Program($definitions, $this->steps(), $this->sqlMode, $this->settings());
    }

    private function makeTables(): void
    {
        $strict = Program::STRICT;
        $modes = ['strict' => 55, 'dates' => 15, 'lenient' => 10, 'all' => 5, 'zero' => 10, 'round' => 5];
        $this->sqlMode = match (Dice::weighted($modes)) {
            'strict' => $strict,
            'dates' => "{$strict},NO_ZERO_DATE,NO_ZERO_IN_DATE",
            'lenient' => '',
            'all' => 'STRICT_ALL_TABLES',
            'zero' => "{$strict},NO_AUTO_VALUE_ON_ZERO",
            'round' => $this->isMySql ? "{$strict},TIME_TRUNCATE_FRACTIONAL" : "{$strict},TIME_ROUND_FRACTIONAL",
        };
        $this->tables = [];
        $count = (int) Dice::weighted(['1' => 55, '2' => 30, '3' => 15]);
        foreach (array_slice(self::NAMES, 0, $count) as $name) {
            $parent = $this->tables === [] || Dice::percent(50) ? null : Dice::pick($this->tables);
            $this->tables[$name] = new RandomTable($name, $this->isMySql, $this->sqlMode !== '', $parent);
        }
    }

    /** @return array<string, mixed> */
    private function settings(): array
    {
        $settings = [];
        if (Dice::percent(60)) {
            $settings['batchSize'] = Dice::pick([1, 2, 3, 5, 10]);
        }
        if (Dice::percent(30)) {
            $settings['background'] = true;
            $ordered = array_filter($this->tables, static fn (RandomTable $table): bool => $table->isOrdered());
            if ($ordered === [] && Dice::percent(30)) {
                $settings['lanes'] = Dice::pick([2, 3]);
                // In runs, or by the keys of most tables.
                $settings['routeBy'] = Dice::pick([null, 'id']);
            }
        }

        return $settings;
    }

    /** @return list<string|list<array{0: string, 1: array<mixed>, 2?: string}>> */
    private function steps(): array
    {
        // How many values in a hundred are odd, and how many columns are left out.
        $odd = Dice::pick([0, 0, 3, 10, 30]);
        $left = Dice::pick([0, 10, 30]);
        // How many rows in a hundred are deletions.
        $deletions = Dice::pick([0, 10, 30, 50]);
        // How many of the others only update. What an UPDATE does in a lenient session is its own.
        $updates = $this->sqlMode === '' ? 0 : Dice::pick([0, 0, 15, 50]);
        $steps = [];
        for ($groups = mt_rand(3, 16); $groups > 0; $groups--) {
            $group = [];
            for ($rows = (int) Dice::weighted(['1' => 60, '2' => 20, '3' => 12, '4' => 8]); $rows > 0; $rows--) {
                $table = Dice::pick($this->tables);
                $group[] = match (true) {
                    Dice::percent($deletions) && $table->hasKey() => [$table->name, $table->deletion($odd), Program::DELETE],
                    Dice::percent($updates) => [$table->name, $table->row($odd, $left), Program::UPDATE],
                    default => [$table->name, $table->row($odd, $left)],
                };
            }
            $steps[] = $group;
            if (Dice::percent(15)) {
                $steps[] = Dice::percent(30) ? Program::RETRY : Program::FLUSH;
            }
            $stamped = array_filter($this->tables, static fn (RandomTable $table): bool => $table->canBeStamped());
            if ($stamped !== [] && Dice::percent(10)) {
                $table = Dice::pick($stamped);
                $steps[] = "UPDATE {$table->name} SET {$table->stamp} = '2000-01-01'";
            }
        }

        return $steps;
    }
}
