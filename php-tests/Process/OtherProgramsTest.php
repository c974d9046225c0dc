<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Process;

use WriteBuffer\Tests\Process\Support\Child;
use WriteBuffer\Tests\Process\Support\ProcessTestCase;

/** Programs that the process starts, or becomes, inherit neither sockets nor blocked signals. */
final class OtherProgramsTest extends ProcessTestCase
{
    /** Else `echo` would write into the session, or into the file. */
    public function testNoSocketOrFileTakesTheNumbersOfClosedOutputs(): void
    {
        $folder = sys_get_temp_dir() . '/wb-outputs-' . bin2hex(random_bytes(6));
        mkdir($folder);
        $child = $this->runToItsEnd(<<<'PHP'
            array_map(fclose(...), [STDIN, STDOUT, STDERR]);
            $numbers = static fn (): array => array_map(
                static fn (int $number): string => (string) @readlink("/proc/self/fd/{$number}"),
                [0, 1, 2],
            );
            $buffer = Child::buffer(background: false, deadLetterFile: "{$argv[1]}/dead");
            Child::add($buffer, 1);
            $buffer->flush();
            $seen = $numbers();
            foreach ([0, 1, 2] as $number) {
                $output = @fopen("php://fd/{$number}", 'w');
                $output === false || fwrite($output, 'an output that nobody reads');
            }
            Child::add($buffer, 2);
            $buffer->flush();
            file_put_contents("{$argv[1]}/seen", json_encode($seen + ['metrics' => $buffer->getMetrics()['reconnects']]));
            PHP, [$folder]);
        $seen = json_decode((string) file_get_contents("{$folder}/seen"), true);
        array_map('unlink', glob("{$folder}/*"));
        rmdir($folder);
        foreach ([0, 1, 2] as $number) {
            self::assertStringStartsNotWith('socket:', $seen[$number], "the descriptor {$number}");
        }
        self::assertSame(0, $seen['metrics'], 'the session lives');
        $this->assertOrders([1, 2], $child);
    }

    public function testOtherProgramsStartWithACleanSlate(): void
    {
        $child = $this->runToItsEnd(<<<'PHP'
            $look = 'grep SigBlk /proc/self/status; ls -l /proc/self/fd';
            $started = static function (string $name, ?string $seen): void {
                preg_match('/SigBlk:\s*(\w+)/', (string) $seen, $mask);
                Child::report($name, [
                    'blocked' => $mask[1] ?? 'nothing seen',
                    'sockets' => substr_count((string) $seen, 'socket:'),
                ]);
            };
            // The test's own sockets may be open in its children.
            $started('before', shell_exec($look));
            $buffer = Child::buffer(flushIntervalMs: 1);
            for ($id = 1; $id <= 500; $id++) {
                Child::add($buffer, $id);
                if ($id % 100 === 0) {
                    $started("shell_exec {$id}", shell_exec($look));
                    $lines = [];
                    exec($look, $lines);
                    $started("exec {$id}", implode("\n", $lines));
                    $pipe = popen($look, 'r');
                    $started("popen {$id}", stream_get_contents($pipe));
                    pclose($pipe);
                    $process = proc_open(['sh', '-c', $look], [1 => ['pipe', 'w']], $pipes);
                    $started("proc_open {$id}", stream_get_contents($pipes[1]));
                    proc_close($process);
                    Child::say(Child::reap(Child::fork(static function () use ($id, $look): void {
                        pcntl_exec('/bin/sh', ['-c', "echo begin; {$look}; echo end"]);
                    })));
                }
            }
            $buffer->flush();
            Child::report('reconnects', $buffer->getMetrics()['reconnects']);
            PHP);
        $before = $child->reported('before');
        self::assertSame('0000000000000000', $before['blocked']);
        foreach ([100, 200, 300, 400, 500] as $id) {
            foreach (['shell_exec', 'exec', 'popen', 'proc_open'] as $function) {
                self::assertSame(
                    $before,
                    $child->reported("{$function} {$id}"),
                    "{$function} {$id}",
                );
            }
        }
        self::assertSame(5, substr_count($child->said(), "exit 0\n"), $child->describe());
        self::assertSame(5, preg_match_all('/^SigBlk:\s*0000000000000000$/m', $child->said()), $child->describe());
        self::assertSame(5, preg_match_all('/^begin\n(.*?)^end$/ms', $child->said(), $seen), $child->describe());
        foreach ($seen[1] as $files) {
            self::assertSame($before['sockets'], substr_count($files, 'socket:'), $files);
        }
        self::assertSame(0, $child->reported('reconnects'), $child->describe());
        $this->assertOrders(range(1, 500), $child);
        $this->assertOneConnection($child);
    }

    public function testAnotherProgramMayTakeTheProcessOver(): void
    {
        $child = $this->runToItsEnd(<<<'PHP'
            $look = static fn (): int => substr_count((string) shell_exec('ls -l /proc/self/fd'), 'socket:');
            Child::report('sockets before', $look());
            $buffer = Child::buffer();
            Child::add($buffer, 1, 50);
            $buffer->flush();
            Child::await('a thread', static fn () => Child::flusherCount() === 1);
            pcntl_exec('/bin/sh', ['-c', 'grep -E "SigBlk|Threads" /proc/self/status; ls -l /proc/self/fd']);
            PHP);
        self::assertMatchesRegularExpression('/^SigBlk:\s*0{16}$/m', $child->said());
        self::assertMatchesRegularExpression('/^Threads:\s*1$/m', $child->said());
        self::assertSame($child->reported('sockets before'), substr_count($child->said(), 'socket:'), $child->describe());
        $this->assertOrders(range(1, 50), $child);
    }
}
