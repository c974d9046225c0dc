<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Twin;

use PDO;
use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\Tests\Support\DatabaseTestCase;
use WriteBuffer\Tests\Twin\Support\Generator;
use WriteBuffer\Tests\Twin\Support\Outcome;
use WriteBuffer\Tests\Twin\Support\PartialRows;
use WriteBuffer\Tests\Twin\Support\Program;
use WriteBuffer\Tests\Twin\Support\Shrinker;
use WriteBuffer\Tests\Twin\Support\Twins;

/**
 * Batches never show: after a flush the tables are what the rows, each sent alone, in order, would
 * have left, and a group is refused if and only if it would have been refused alone.
 *
 * A buffer writes one set of tables, plain PDO the other. A failure prints the smallest program
 * that still fails. In the environment:
 * - `WRITE_BUFFER_TWIN_SEED` chooses the programs: 1 by default, at random in `make test-chaos`,
 * - `WRITE_BUFFER_TWIN_FIRST` begins at a later program,
 * - `WRITE_BUFFER_TWIN_PROGRAMS` is how many there are: 100 by default, 10,000 in `make
 *   test-chaos`.
 */
final class TwinTest extends DatabaseTestCase
{
    /** After so many failures the rest is not run. */
    private const FAILURES = 3;

    /** Making databases takes longer than a program. */
    private static ?Twins $twins = null;

    public static function tearDownAfterClass(): void
    {
        self::$twins?->drop();
        self::$twins = null;
    }

    /** @return iterable<string, array{array<string, mixed>}> */
    public static function programs(): iterable
    {
        $server = self::isMySql() ? 'mysql' : 'mariadb';
        foreach (glob(__DIR__ . '/programs/*.php') ?: [] as $file) {
            foreach (require $file as $name => $program) {
                if (($program['server'] ?? $server) === $server) {
                    yield basename($file, '.php') . ": {$name}" => [$program];
                }
            }
        }
    }

    /**
     * @dataProvider programs
     *
     * @param array<string, mixed> $program
     */
    #[DataProvider('programs')]
    public function testAProgramLeavesWhatItsRowsWouldLeaveAlone(array $program): void
    {
        $outcome = $this->twins()->run(Program::fromArray($program));
        self::assertNull($outcome->kind, $outcome->difference);
    }

    public function testARandomProgramLeavesWhatItsRowsWouldLeaveAlone(): void
    {
        $isFull = getenv('WRITE_BUFFER_CHAOS') === 'full';
        // The same programs each time, where a failure would stop somebody else's work.
        $seed = self::number('SEED') ?? ($isFull ? random_int(1, PHP_INT_MAX >> 33) : 1);
        $first = self::number('FIRST') ?? 0;
        $count = self::number('PROGRAMS') ?? ($isFull ? 10_000 : 100);
        [$restricted, $refused] = $this->runAll(new Generator(self::isMySql()), $seed, $first, $count);
        self::assertLessThanOrEqual(intdiv($count, 20), $restricted, "seed {$seed}: too many programs say nothing");
        self::assertGreaterThan(intdiv($count, 2), $refused, "seed {$seed}: too few groups are refused to say anything");
    }

    public function testManyPartialRowsLeaveWhatTheyWouldLeaveAlone(): void
    {
        $isFull = getenv('WRITE_BUFFER_CHAOS') === 'full';
        $seed = self::number('SEED') ?? ($isFull ? random_int(1, PHP_INT_MAX >> 33) : 1);
        $first = self::number('FIRST') ?? 0;
        $count = self::number('PROGRAMS') ?? ($isFull ? 10_000 : 60);
        $before = $this->sharedUpdates();
        [$restricted] = $this->runAll(new PartialRows(self::isMySql()), $seed, $first, $count);
        self::assertSame(0, $restricted, "seed {$seed}");
        // The judge joins with a temporary table, a row at a time: it has its own count.
        self::assertGreaterThan(
            $count,
            $this->sharedUpdates() - $before,
            "seed {$seed}: too few rows share an UPDATE to say anything",
        );
    }

    /** How many UPDATEs of several rows the buffers sent. */
    private function sharedUpdates(): int
    {
        $all = $this->root()->query("SHOW GLOBAL STATUS LIKE 'Com_update_multi'")->fetchAll(PDO::FETCH_KEY_PAIR);

        return (int) $all['Com_update_multi'] - $this->twins()->judgedUpdates();
    }

    /**
     * Runs random programs. Returns how many say nothing, since their tables are refused, and how
     * many groups were refused.
     *
     * @return array{int, int}
     */
    private function runAll(Generator|PartialRows $generator, int $seed, int $first, int $count): array
    {
        $failures = [];
        $restricted = $refused = 0;
        for ($number = $first; $number < $first + $count && count($failures) < self::FAILURES; $number++) {
            $program = $generator->program($seed, $number);
            $outcome = $this->twins()->run($program);
            $refused += $outcome->refused;
            if ($outcome->kind === Outcome::RESTRICTED) {
                $restricted++;
            } elseif ($outcome->kind !== null) {
                $failures[] = "WRITE_BUFFER_TWIN_SEED={$seed} WRITE_BUFFER_TWIN_FIRST={$number} "
                    . "WRITE_BUFFER_TWIN_PROGRAMS=1\n" . $this->minimal($program, $outcome->kind);
            }
        }
        self::assertSame([], $failures, implode("\n\n", $failures));

        return [$restricted, $refused];
    }

    public function testADifferenceIsFoundAndShrunk(): void
    {
        $where = "DATABASE() = 'write_buffer_twin_alone'";
        $columns = ['id' => 'INT NOT NULL', 'v' => 'INT NULL', 'w' => 'INT NULL'];
        $constraints = ['PRIMARY KEY (id)'];
        $signal = "IF {$where} AND NEW.v = 3 THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'no'; END IF";
        $triggers = [
            'refused only alone' => "BEFORE INSERT {$signal}",
            'refused only by the buffer' => 'BEFORE INSERT ' . str_replace('= \'w', '<> \'w', $signal),
            'rows' => "BEFORE INSERT SET NEW.w = IF({$where}, NEW.v <=> 3, 0)",
        ];
        $steps = [];
        for ($id = 1; $id <= 9; $id++) {
            $steps[] = [['t', ['id' => $id, 'v' => $id % 5, 'w' => 0]], ['t', ['id' => 10 + $id, 'v' => 4]]];
            $steps[] = Program::FLUSH;
        }
        foreach ($triggers as $kind => $trigger) {
            $table = ['columns' => $columns, 'constraints' => $constraints, 'triggers' => [$trigger]];
            $program = new Program(['t' => $table], $steps);
            self::assertSame($kind, $this->twins()->run($program)->kind);
            $shrunk = $this->shrink($program, $kind);
            self::assertCount(1, $shrunk->steps, $shrunk->toPhp());
            self::assertCount(1, $shrunk->steps[0]);
            self::assertSame(3, $shrunk->steps[0][0][1]['v']);
            self::assertEquals($shrunk, Program::fromArray(eval("return {$shrunk->toPhp()};")));
        }
    }

    private function minimal(Program $program, string $kind): string
    {
        $program = $this->shrink($program, $kind);

        return "{$program->toPhp()}\n{$this->twins()->run($program)->difference}";
    }

    private function shrink(Program $program, string $kind): Program
    {
        $shrinker = new Shrinker(function (Program $candidate) use ($kind): bool {
            try {
                return $this->twins()->run($candidate)->kind === $kind;
            } catch (\PDOException) {
                // Such tables can't be made.
                return false;
            }
        });

        return $shrinker->shrink($program);
    }

    private static function number(string $name): ?int
    {
        $value = getenv("WRITE_BUFFER_TWIN_{$name}");

        return $value === false || $value === '' ? null : (int) $value;
    }

    private function twins(): Twins
    {
        return self::$twins ??= new Twins($this->root(), $this->alone(...), $this->dsn(), self::isMySql());
    }

    /** A connection that may make databases, tables and triggers. */
    private function root(): PDO
    {
        return new PDO(
            sprintf('mysql:unix_socket=%s;charset=utf8mb4', self::setting('DB_SOCKET')),
            'root',
            null,
            [PDO::ATTR_STRINGIFY_FETCHES => true, PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION],
        );
    }

    /**
     * The connection that writes row by row, with what an application would set, and the buffers'
     * time zone.
     */
    private function alone(): PDO
    {
        return new PDO(
            sprintf('mysql:host=%s;port=%s;charset=utf8mb4', self::setting('DB_HOST'), self::setting('DB_PORT')),
            self::setting('DB_USERNAME'),
            self::setting('DB_PASSWORD'),
            [
                PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION,
                PDO::ATTR_EMULATE_PREPARES => false,
                PDO::MYSQL_ATTR_FOUND_ROWS => true,
                PDO::MYSQL_ATTR_INIT_COMMAND => "SET time_zone = '+00:00'",
            ],
        );
    }
}
