<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Twin\Support;

/** A random table, its rules, and random rows for it. */
final class RandomTable
{
    public ?string $stamp = null;

    /** @var array<string, ColumnType> */
    private array $types = [];

    /** @var array<string, string> */
    private array $columns = [];

    /** @var list<string> */
    private array $constraints = [];

    /** @var list<string> */
    private array $triggers = [];

    private string $options = '';

    /** @var array<string, mixed> */
    private array $rules = [];

    /** @var list<string> */
    private array $key = [];

    /** @var array<string, true> columns whose values must be numbers, or must be there */
    private array $numbers = [];

    /** @var array<string, bool> whether a column may be null */
    private array $nullable = [];

    private bool $numbersItsRows = false;

    private bool $refers = false;

    private bool $hasInsertTrigger = false;

    public function __construct(
        public readonly string $name,
        private readonly bool $isMySql,
        private readonly bool $isStrict,
        private readonly ?self $parent,
    ) {
        $this->makeKey();
        // Half of the tables have only what rows can be merged over.
        $isPlain = Dice::percent(50);
        for ($number = mt_rand(1, 4); $number > 0; $number--) {
            $isNumber = Dice::percent($isPlain ? 60 : 20);
            $this->makeColumn("c{$number}", Dice::pick(array_filter(
                ColumnType::all($isMySql),
                static fn (ColumnType $type): bool => !$isNumber || $type->isExactNumber(),
            )));
        }
        if ($parent !== null) {
            $this->makeReference('p', $parent);
        }
        if (!$isPlain) {
            $this->makeWhatSeesEachRow();
        }
        $this->makeRules();
        if (Dice::percent(12)) {
            $this->rules['coalesce'] = false;
        }
        if (!$isPlain) {
            $this->makeIndexAndChecks();
            $this->makeGenerated();
            $this->makeTriggers();
        }
    }

    private function makeWhatSeesEachRow(): void
    {
        if (Dice::percent(15)) {
            $this->makeReference('own', $this);
        }
        if (Dice::percent(30)) {
            $this->makeStamp();
        }
        if (!isset($this->rules['mode']) && !isset($this->rules['key']) && Dice::percent(10)) {
            $this->rules['key'] = 'server';
        }
        if (!$this->isMySql && !$this->refers && Dice::percent(10)) {
            $this->options = 'WITH SYSTEM VERSIONING';
        }
    }

    /** @return array<string, mixed> as in Program */
    public function definition(): array
    {
        return array_filter([
            'columns' => $this->columns,
            'constraints' => $this->constraints,
            'options' => $this->options,
            'triggers' => $this->triggers,
            'rules' => $this->rules,
        ]);
    }

    public function logs(): bool
    {
        return str_contains(implode('', $this->triggers), "log_{$this->name}");
    }

    /**
     * Whether rows of several keys have an order: they refer to each other, or the server numbers
     * them. Several lanes keep the order of one key only.
     */
    public function isOrdered(): bool
    {
        return $this->refers || $this->numbersItsRows;
    }

    /** Whether a statement may set the stamps of all rows. */
    public function canBeStamped(): bool
    {
        return $this->stamp !== null && !str_contains(implode('', $this->triggers), 'BEFORE UPDATE IF');
    }

    /** @return array<string, mixed> */
    public function row(int $odd, int $left): array
    {
        $row = [];
        foreach ($this->types as $column => $type) {
            $isKey = in_array($column, $this->key, true);
            $isGuard = ($this->rules['guard'] ?? null) === $column;
            if ($this->numbersItsRows && $isKey) {
                if (Dice::percent(50)) {
                    continue;
                }
                $row[$column] = Dice::percent(70) ? Dice::pick($type->usual) : Dice::pick([0, '0', 4]);
                continue;
            }
            $canBeLeft = !$isKey && !$isGuard && !($this->hasInsertTrigger && $this->isRequired($column));
            if ($canBeLeft && Dice::percent($left)) {
                continue;
            }
            if (!$isGuard && !isset($this->numbers[$column]) && Dice::percent($this->nullable[$column] ? 12 : intdiv($odd, 8))) {
                $row[$column] = null;
                continue;
            }
            $edges = isset($this->numbers[$column])
                ? preg_grep('/^-?\d+(\.\d+)?(e\d+)?$/D', $type->edges)
                : $type->edges;
            $row[$column] = Dice::pick($edges !== [] && Dice::percent($odd) ? $edges : $type->usual);
        }
        if ($this->stamp !== null && Dice::percent(15)) {
            $row[$this->stamp] = Dice::pick(['2001-01-01 00:00:00', '2002-02-02 02:02:02']);
        }

        if ($row === []) {
            // An empty array is no row.
            $column = (string) array_key_first($this->types);
            $row = [$column => $this->types[$column]->usual[0]];
        }

        return Dice::percent(20) ? array_reverse($row, true) : $row;
    }

    public function hasKey(): bool
    {
        return $this->key !== [];
    }

    /** @return array<mixed> the key of a row to delete, by column or in the key's order */
    public function deletion(int $odd): array
    {
        $key = [];
        $guard = $this->rules['guard'] ?? null;
        foreach ($guard !== null && Dice::percent(60) ? [...$this->key, $guard] : $this->key as $column) {
            $type = $this->types[$column];
            // An odd moment is refused as a guard, or deletes nothing: that is the server's.
            $isOdd = Dice::percent($odd) && ($column !== $guard || $type->family !== 'moment');
            $key[$column] = Dice::pick($isOdd ? $type->edges : $type->usual);
        }
        if (isset($key[$guard])) {
            return Dice::percent(50) ? array_reverse($key, true) : $key;
        }

        return Dice::percent(50) ? array_values($key) : $key;
    }

    private function isInsertOnly(): bool
    {
        return ($this->rules['mode'] ?? null) === 'insert';
    }

    private function isRequired(string $column): bool
    {
        return !$this->nullable[$column] && !str_contains($this->columns[$column], 'DEFAULT');
    }

    private function makeKey(): void
    {
        $all = array_filter(
            ColumnType::all($this->isMySql),
            static fn (ColumnType $type): bool => !in_array($type->family, ['json', 'blob', 'float'], true),
        );
        $kind = Dice::weighted(['int' => 50, 'auto' => 7, 'any' => 26, 'composite' => 12, 'none' => 5]);
        if ($kind === 'none') {
            $this->rules['mode'] = 'insert';

            return;
        }
        $type = match ($kind) {
            'any' => Dice::pick($all),
            'auto' => new ColumnType('INT', [1, 2, 3], [0], 'integer'),
            default => ColumnType::int(),
        };
        $this->numbersItsRows = $kind === 'auto';
        $this->add('id', $type, 'NOT NULL' . ($kind === 'auto' ? ' AUTO_INCREMENT' : ''));
        if ($kind === 'composite') {
            $this->add('k', Dice::pick($all), 'NOT NULL');
        }
        $this->key = array_keys($this->types);
        $list = implode(', ', $this->key);
        if ($kind !== 'auto' && Dice::percent(12)) {
            $this->constraints[] = "UNIQUE KEY k ({$list})";
            $this->rules['key'] = $this->key;
        } else {
            $this->constraints[] = "PRIMARY KEY ({$list})";
        }
    }

    private function add(string $column, ColumnType $type, string $more): void
    {
        $this->types[$column] = $type;
        $this->nullable[$column] = !str_contains($more, 'NOT NULL');
        $this->columns[$column] = trim("{$type->sql} {$more}");
    }

    private function makeColumn(string $column, ColumnType $type): void
    {
        $more = Dice::percent(40) ? 'NOT NULL' : 'NULL';
        $usual = Dice::pick($type->usual);
        $hasLiteral = !in_array($type->family, ['json', 'blob', 'bit', 'binary'], true);
        if ($hasLiteral && Dice::percent(35)) {
            $more .= " DEFAULT '{$usual}'";
        } elseif (in_array($type->family, ['integer', 'decimal', 'float'], true) && Dice::percent(30)) {
            $more .= Dice::percent(70) ? ' DEFAULT 0' : ' DEFAULT (1 + 1)';
        }
        $this->add($column, $type, $more);
    }

    /** A column that refers to a key of one column. */
    private function makeReference(string $column, self $parent): void
    {
        if (count($parent->key) !== 1 || $parent->numbersItsRows || $parent->options !== '') {
            return;
        }
        $key = $parent->key[0];
        $type = $parent->types[$key];
        if (in_array($type->family, ['bit', 'set'], true)) {
            return;
        }
        $this->add($column, $type, $parent !== $this && Dice::percent(30) ? 'NOT NULL' : 'NULL');
        $onDelete = [' ON DELETE CASCADE', '', '', ...$this->nullable[$column] ? [' ON DELETE SET NULL'] : []];
        $this->constraints[] = "FOREIGN KEY ({$column}) REFERENCES {$parent->name} ({$key})" . Dice::pick($onDelete);
        $this->refers = $parent->refers = true;
    }

    private function makeStamp(): void
    {
        $this->stamp = 'stamp';
        $this->columns['stamp'] = Dice::pick([
            'TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6)',
            'DATETIME NULL DEFAULT NULL ON UPDATE CURRENT_TIMESTAMP',
            'DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3)',
            "TIMESTAMP NOT NULL DEFAULT '2000-01-01 00:00:00' ON UPDATE CURRENT_TIMESTAMP",
        ]);
    }

    private function makeRules(): void
    {
        if (!isset($this->rules['mode']) && Dice::percent(12)) {
            $this->rules['mode'] = 'insert';
        }
        if ($this->isInsertOnly()) {
            return;
        }
        $data = array_diff(array_keys($this->types), $this->key, ['p', 'own']);
        if (Dice::percent(15)) {
            $guards = array_filter($data, fn (string $column): bool
                => in_array($this->types[$column]->family, ['integer', 'decimal', 'moment', 'text'], true));
            if ($guards !== []) {
                $this->rules['guard'] = Dice::pick($guards);
                $data = array_diff($data, [$this->rules['guard']]);
            }
        }
        if (Dice::percent(25)) {
            return;
        }
        foreach ($data as $column) {
            $rule = Dice::weighted(['replace' => 25, 'keep' => 15, 'sum' => 30, 'min' => 15, 'max' => 15]);
            $family = $this->types[$column]->family;
            $hasOtherDefault = preg_match("/DEFAULT (?!0|'0')/", $this->columns[$column]) === 1;
            if ($rule === 'sum' && (!$this->types[$column]->isExactNumber() || $hasOtherDefault)) {
                $rule = Dice::pick(['keep', 'replace', 'max']);
            }
            if (in_array($rule, ['min', 'max'], true) && in_array($family, ['json', 'set', 'bit', 'blob', 'enum'], true)) {
                $rule = 'replace';
            }
            if ($rule !== 'replace') {
                $this->rules['merge'][$column] = $rule;
            }
            if ($rule === 'sum') {
                $this->numbers[$column] = true;
            }
        }
    }

    private function makeIndexAndChecks(): void
    {
        $data = array_diff(array_keys($this->types), $this->key, ['p', 'own']);
        foreach ($data as $column) {
            $type = $this->types[$column];
            $usual = Dice::pick($type->usual);
            $literal = is_string($usual) ? "'{$usual}'" : $usual;
            if (in_array($type->family, ['integer', 'decimal', 'text'], true) && Dice::percent(8)) {
                $this->constraints[] = $type->family === 'text' || Dice::percent(50)
                    ? "CHECK ({$column} <> {$literal})"
                    : "CHECK ({$column} >= 0)";
            }
        }
        $indexed = array_filter($data, fn (string $column): bool
            => !in_array($this->types[$column]->family, ['json', 'blob'], true));
        if ($indexed !== [] && Dice::percent(15)) {
            $this->constraints[] = 'UNIQUE KEY second (' . Dice::pick($indexed) . ')';
            if (!$this->isInsertOnly() && ($this->rules['key'] ?? null) !== 'server') {
                $this->rules['allowSecondUnique'] = true;
            }
        }
    }

    private function makeGenerated(): void
    {
        $column = Dice::pick([...array_diff(array_keys($this->types), ['own', 'p']), null]);
        if ($column === null || $this->numbersItsRows || !Dice::percent(($this->rules['key'] ?? null) === 'server' ? 50 : 12)) {
            return;
        }
        if (in_array($this->types[$column]->family, ['integer', 'text'], true)) {
            // Without RTRIM() MariaDB refuses a CHAR column: its length depends on the sql_mode.
            $expression = $this->types[$column]->family === 'integer' ? "{$column} % 10" : "CHAR_LENGTH(RTRIM({$column}))";
            $this->columns['made'] = "INT AS ({$expression}) " . Dice::pick(['STORED', 'VIRTUAL']);
            if (($this->rules['key'] ?? null) === 'server') {
                $this->constraints[] = 'UNIQUE KEY made (made)';
            }
        }
    }

    private function makeTriggers(): void
    {
        $data = array_diff(array_keys($this->types), $this->key, ['p', 'own']);
        if ($data === [] || !Dice::percent(25)) {
            return;
        }
        $column = Dice::pick($data);
        // MariaDB stores the time of now in the place of null: not the same for both twins.
        foreach ([$column, ...$this->key] as $said) {
            if (preg_match('/^TIMESTAMP.* NOT NULL/', $this->columns[$said] ?? '') === 1) {
                return;
            }
        }
        // Numbers that the server makes may differ.
        $isNumbered = str_contains($this->columns['id'] ?? '', 'AUTO_INCREMENT');
        $key = $isNumbered ? $column : $this->key[0] ?? $column;
        $usual = Dice::pick($this->types[$column]->usual);
        $literal = is_string($usual) ? "'{$usual}'" : $usual;
        $this->columns['counted'] = 'INT NOT NULL DEFAULT 0';
        $log = "INSERT INTO log_{$this->name} VALUES (CONCAT";
        $updates = [
            'BEFORE UPDATE SET NEW.counted = OLD.counted + 1',
            "BEFORE UPDATE SET NEW.counted = OLD.counted + IF(NEW.{$column} <=> OLD.{$column}, 0, 1)",
            "BEFORE UPDATE SET NEW.{$column} = OLD.{$column}",
        ];
        // They change a row whose values stay. Whether MySQL then sets the row's ON UPDATE column
        // depends on the UPDATE's form: prepared or text, with a cast or without.
        $updates = $this->isMySql && $this->stamp !== null ? [] : $updates;
        $this->triggers[] = Dice::pick([
            'BEFORE INSERT SET NEW.counted = NEW.counted + 1',
            "BEFORE INSERT IF NEW.{$column} = {$literal} THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'no'; END IF",
            "BEFORE UPDATE IF OLD.{$column} = {$literal} THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'no'; END IF",
            ...$updates,
            "AFTER UPDATE {$log}('u ', HEX(NEW.{$key}), ' ', HEX(COALESCE(OLD.{$column}, 'null'))))",
            "BEFORE DELETE IF OLD.{$column} = {$literal} THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'no'; END IF",
            "AFTER DELETE {$log}('d ', HEX(OLD.{$key}), ' ', HEX(COALESCE(OLD.{$column}, 'null'))))",
            "AFTER INSERT {$log}('i ', HEX(NEW.{$key}), ' ', HEX(COALESCE(NEW.{$column}, 'null'))))",
        ]);
        $this->hasInsertTrigger = str_starts_with($this->triggers[0], 'BEFORE INSERT');
    }
}
