<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Process;

use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\Tests\Process\Support\Child;
use WriteBuffer\Tests\Process\Support\ProcessTestCase;

/**
 * The callable of `group()` may end the process, fork, or leave a fiber asleep. What was added
 * before is written, a group is taken whole or not at all, and nothing hangs.
 */
final class GroupTest extends ProcessTestCase
{
    /**
     * @return iterable<string, array{string, string, list<int>}> what the code does behind order 8,
     *         how the process ends, and the orders that are there then, beside those added before
     */
    private static function deeds(): iterable
    {
        yield 'returns' => ['', 'exit 0', [8]];
        yield 'throws' => ['throw new DomainException("no");', 'exit 0', []];
        yield 'triggers a fatal error' => ['trigger_error("the end", E_USER_ERROR);', 'exit 255', []];
        yield 'triggers a fatal error in a row' => [
            'add(["id" => 9, "v" => new class { function __toString(): string { trigger_error("the end", E_USER_ERROR); } }]);',
            'exit 255',
            [],
        ];
        yield 'exhausts memory_limit' => ['ini_set("memory_limit", "16M"); $x = str_repeat("x", 1 << 28);', 'exit 255', []];
        yield 'runs out of time' => ['set_time_limit(1); while (true) { strlen("x"); }', 'exit 255', []];
        yield 'exits' => ['exit(3);', 'exit 3', []];
        yield 'exits in an inner group' => [
            '$buffer->group(static function () use ($buffer) { Child::add($buffer, 9); exit(3); });',
            'exit 3',
            [],
        ];
        yield 'exits, and a shutdown function adds' => [
            'register_shutdown_function(static fn () => Child::add($buffer, 9)); exit(3);',
            'exit 3',
            [9],
        ];
        yield 'fails fatally, and a shutdown function adds a group' => [
            'register_shutdown_function(static fn () => $buffer->group(static fn () => Child::add($buffer, 9)));'
                . ' trigger_error("the end", E_USER_ERROR);',
            'exit 255',
            [9],
        ];
        yield 'unsets the only variable of the buffer, and exits' => [
            'unset($buffer, $GLOBALS["buffer"]); exit(3);',
            'exit 3',
            [],
        ];
        yield 'leaves a fiber asleep, and exits' => [
            '$fiber = new Fiber(static fn () => $buffer->group(static function () use ($buffer): void {'
                . ' Child::add($buffer, 9); try { Fiber::suspend(); } finally { Child::add($buffer, 10); } }));'
                . ' $fiber->start(); exit(3);',
            'exit 3',
            [],
        ];
        yield 'leaves a fiber asleep, and fails fatally' => [
            '$fiber = new Fiber(static fn () => $buffer->group(static function () use ($buffer): void {'
                . ' Child::add($buffer, 9); Fiber::suspend(); }));'
                . ' $fiber->start(); $GLOBALS["fiber"] = $fiber; trigger_error("the end", E_USER_ERROR);',
            'exit 255',
            [],
        ];
        yield 'fails fatally in a fiber' => [
            '$fiber = new Fiber(static fn () => $buffer->group(static function () use ($buffer): void {'
                . ' Child::add($buffer, 9); trigger_error("the end", E_USER_ERROR); })); $fiber->start();',
            'exit 255',
            [],
        ];
        yield 'exits in a fiber' => [
            '$fiber = new Fiber(static fn () => $buffer->group(static function () use ($buffer): void {'
                . ' Child::add($buffer, 9); exit(3); })); $fiber->start();',
            'exit 3',
            [],
        ];
        yield 'is interrupted by a signal, whose handler adds' => [
            'pcntl_async_signals(true); pcntl_signal(SIGUSR1, static fn () => Child::add($buffer, 9));'
                . ' posix_kill(getmypid(), SIGUSR1); Child::add($buffer, 10);',
            'exit 0',
            [8, 9, 10],
        ];
        yield 'is interrupted by a signal, whose handler throws' => [
            'pcntl_async_signals(true); pcntl_signal(SIGUSR1, static fn () => throw new DomainException("no"));'
                . ' posix_kill(getmypid(), SIGUSR1); Child::add($buffer, 10);',
            'exit 0',
            [],
        ];
        yield 'forks a child, which adds and exits' => [
            '$pid = Child::fork(static fn () => Child::add($buffer, 9)); Child::say(Child::reap($pid));',
            'exit 0',
            [8, 9],
        ];
        yield 'forks a child, which goes on to the end' => [
            '$pid = pcntl_fork(); if ($pid === 0) { Child::add($buffer, 9); $buffer->group(fn () => Child::add($buffer, 10));'
                . ' Child::report("found", $buffer->find(Child::ORDERS, 8)); }'
                . ' else { Child::say(Child::reap($pid)); }',
            'exit 0',
            [8, 9, 10],
        ];
        yield 'forks a child, which does nothing but return' => [
            '$pid = pcntl_fork(); if ($pid !== 0) { Child::say(Child::reap($pid)); }',
            'exit 0',
            [8],
        ];
        yield 'forks a child, which throws' => [
            '$pid = pcntl_fork(); if ($pid === 0) { throw new DomainException("in the child"); } Child::say(Child::reap($pid));',
            'exit 0',
            [8],
        ];
    }

    /** @return iterable<string, array{string, string, list<int>, bool}> */
    public static function deedsOfBothBuffers(): iterable
    {
        foreach (self::deeds() as $name => $deed) {
            yield "{$name}, background" => [...$deed, true];
            yield "{$name}, foreground" => [...$deed, false];
        }
    }

    /**
     * @dataProvider deedsOfBothBuffers
     *
     * @param list<int> $ids
     */
    #[DataProvider('deedsOfBothBuffers')]
    public function testTheCallableMayDoAnything(string $deed, string $ending, array $ids, bool $background): void
    {
        $code = sprintf('$buffer = Child::buffer(background: %s, batchSize: 100);', var_export($background, true)) . <<<'PHP'
            ini_set('display_errors', '0');
            function add(array $row): void { $GLOBALS['buffer']->put(Child::ORDERS, $row); }
            Child::add($buffer, 1, 5);
            try {
                $buffer->group(static function (): void {
                    global $buffer;
                    Child::add($buffer, 8);
            PHP . "\n{$deed}\n" . <<<'PHP'
                });
            } catch (DomainException) {
            }
            PHP;
        $child = $this->start($code);
        self::assertSame($ending, $child->finish(), $child->describe());
        self::assertStringNotContainsString('WriteBuffer:', $child->complained(), $child->describe());
        self::assertStringNotContainsString('hangs', $child->said(), $child->describe());
        if (str_contains($deed, 'report')) {
            self::assertNull($child->reported('found'), 'the row is the parent\'s');
        }
        $this->assertOrders([1, 2, 3, 4, 5, ...$ids], $child, 'id');
    }

    /** Rows that wait in several lanes: a group goes behind all of them, and stays whole. */
    public function testAGroupOverSeveralLanesIsWholeAndLast(): void
    {
        $child = $this->runToItsEnd(<<<'PHP'
            $buffer = Child::buffer(lanes: 4, routeBy: 'id', batchSize: 5);
            for ($round = 1; $round <= 100; $round++) {
                $ids = range(1 + $round % 7, 12);
                foreach ($ids as $id) {
                    $buffer->put(Child::ORDERS, ['id' => $id, 'v' => "before {$round}", 'n' => 1]);
                }
                $buffer->group(static function () use ($buffer, $round, $ids): void {
                    foreach (array_reverse($ids) as $id) {
                        $buffer->put(Child::ORDERS, ['id' => $id, 'v' => "of {$round}", 'n' => 0]);
                    }
                });
                if ($round % 10 === 0) {
                    // Whole: all of its rows are there, or none is.
                    $pdo ??= Child::connect();
                    $seen = $pdo->query('SELECT v FROM ' . Child::ORDERS . ' WHERE id > 7')->fetchAll(PDO::FETCH_COLUMN);
                    $groups = array_filter(array_unique($seen), static fn (string $v): bool => str_starts_with($v, 'of'));
                    foreach ($groups as $group) {
                        $of = array_filter($seen, static fn (string $v): bool => $v === $group);
                        $later = array_filter($seen, static fn (string $v): bool
                            => (int) substr($v, (int) strpos($v, ' ')) > (int) substr($group, 3));
                        if (count($of) + count($later) !== count($seen)) {
                            Child::say('a part of a group: ' . json_encode($seen));
                        }
                    }
                }
            }
            $buffer->flush();
            PHP);
        self::assertSame('', $child->said(), $child->describe());
        $rows = $this->rows(Child::ORDERS, 'id, v, n', 'id');
        foreach ($rows as ['id' => $id, 'v' => $v, 'n' => $n]) {
            $rounds = array_filter(range(1, 100), static fn (int $round): bool => $id >= 1 + $round % 7);
            self::assertSame(['of ' . max($rounds), (string) count($rounds)], [$v, $n], "order {$id}");
        }
        self::assertCount(12, $rows);
    }
}
