<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Process;

use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\Tests\Process\Support\Child;
use WriteBuffer\Tests\Process\Support\ChildProcess;
use WriteBuffer\Tests\Process\Support\JournalTestCase;

/**
 * A disk that fails, whichever of its calls does: the kernel's answer is replaced by strace. What
 * the buffer said that it took is written once by whoever comes next, and nothing else is.
 */
final class JournalDiskTest extends JournalTestCase
{
    private const GROUPS = 6;

    /** @return iterable<string, array{string, string, int}> calls, their error, and how many */
    public static function faults(): iterable
    {
        yield 'a disk that cannot write' => ['fdatasync,fsync', 'EIO', 10];
        yield 'a disk that is full' => ['fallocate', 'ENOSPC', 4];
    }

    /**
     * @dataProvider faults
     */
    #[DataProvider('faults')]
    public function testWhatWasTakenIsWrittenAndNothingElse(string $calls, string $error, int $most): void
    {
        $thrown = [];
        for ($at = 1; $at <= $most; $at++) {
            $child = $this->writer($calls, "{$error}:when={$at}");
            self::assertSame('signal 9', $child->finish(), $child->describe());
            $said = $child->said();
            $taken = [];
            for ($id = 1; $id <= self::GROUPS; $id++) {
                self::assertSame(1, preg_match("/^{$id} (taken|not|blocked)( .*)?$/m", $said, $outcome), "call {$at}: {$said}");
                if ($outcome[1] !== 'not') {
                    $taken[] = $id;
                }
                if ($outcome[1] !== 'taken') {
                    $thrown[] = $outcome[1] . ($outcome[2] ?? '');
                }
            }
            foreach ($this->recover() as $recovered) {
                self::assertSame([null, null], [$recovered['set_aside'], $recovered['error']], "call {$at}: {$said}");
            }
            $this->assertOrders($taken, $child, 'id');
            $this->assertNothingIsLeft();
            $this->pdo()->exec('DELETE FROM ' . Child::ORDERS);
            $this->pdo()->exec('DELETE FROM ' . Child::TRADES);
        }
        self::assertNotSame([], $thrown, 'the fault was met');
    }

    /**
     * Adds groups, says what became of each, and kills itself.
     */
    private function writer(string $calls, string $error): ChildProcess
    {
        $code = 'const GROUPS = ' . self::GROUPS . ";\n" . <<<'PHP'
            $buffer = Child::buffer(
                batchSize: 10_000,
                flushIntervalMs: 3_600_000,
                journal: $argv[1],
                journalSync: 'always',
            );
            for ($id = 1; $id <= GROUPS; $id++) {
                try {
                    Child::add($buffer, $id);
                    Child::say("{$id} taken");
                } catch (WriteBuffer\NotTaken $e) {
                    Child::say("{$id} not {$e->getMessage()}");
                } catch (WriteBuffer\BlockedException $e) {
                    Child::say("{$id} blocked {$e->getMessage()}");
                }
            }
            posix_kill(getmypid(), SIGKILL);
            PHP;
        $under = ['strace', '-f', '-qqq', '-o', '/dev/null', '-e', "trace={$calls}", '-e', "inject={$calls}:error={$error}"];

        return $this->start($code, [$this->journal], [], $under);
    }
}
