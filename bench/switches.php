<?php

/**
 * What PHP's thread waits for in 40,000 calls of add() while the server is stopped. Times say
 * little of it on a busy machine, where a thread is put aside at any moment. The kernel counts
 * apart how often a thread gave the processor away itself, since it had to wait: its voluntary
 * context switches. Beside it the same loop with a method that does nothing; and, under strace, the
 * futexes that PHP's thread waited for, and its other calls of the kernel.
 *
 *   scripts/with-mariadb scripts/php-with-extension bench/switches.php
 *   scripts/with-mysql scripts/php-with-extension bench/switches.php
 */

declare(strict_types=1);

use Bench\Database;
use Bench\Findings;
use Bench\Rows;
use Bench\Schema;
use Bench\Server;
use Bench\Task;

require __DIR__ . '/lib/autoload.php';

const ADDS = 40_000;
const WARM = 2_000;
const WAIT_S = 60;
/** By name: the settings, and whether the server is stopped. */
const BUFFERS = [
    'server stopped' => [[], true],
    'server stopped, 4 lanes' => [['lanes' => 4], true],
    'server stopped, with a journal' => [['journal' => true], true],
    'server at work' => [[], false],
];

/** How often a thread has waited for something. */
function voluntary_switches(string $thread = '/proc/thread-self'): int
{
    // A thread may end after it was listed.
    preg_match('/^voluntary_ctxt_switches:\s+(\d+)$/m', (string) @file_get_contents("{$thread}/status"), $found);

    return (int) ($found[1] ?? 0);
}

/** Waits until every thread of the buffer waits for the server, which is stopped. */
function await_stand_still(WriteBuffer $buffer): void
{
    $deadline = microtime(true) + WAIT_S;
    $now = null;
    do {
        if (microtime(true) > $deadline) {
            throw new RuntimeException('The flusher does not wait for the server.');
        }
        usleep(20_000);
        $before = $now;
        $threads = array_filter(glob('/proc/self/task/*') ?: [], static fn (string $thread): bool => basename($thread) !== (string) getmypid());
        $now = array_map('voluntary_switches', $threads);
    } while ($now !== $before || $buffer->getMetrics()['thread_state'] !== 'writing');
}

/**
 * The loop, alone with its marks: posix_getppid() is one call of the kernel, and nothing else.
 *
 * @param list<array{array<string, int|string>, array<string, int|string>}> $pairs
 *
 * @return int voluntary context switches
 */
function loop(object $target, array $pairs): int
{
    $before = voluntary_switches();
    posix_getppid();
    foreach ($pairs as [$order, $trade]) {
        $target->add($order, $trade);
    }
    posix_getppid();

    return voluntary_switches() - $before;
}

/** @param array<string, mixed> $settings @return int as loop() */
function with_buffer(array $settings, bool $isStopped): int
{
    $reader = Database::pdo(direct: true);
    Schema::create($reader);
    $folder = sys_get_temp_dir() . '/write-buffer-switches-' . getmypid();
    if (isset($settings['journal'])) {
        $settings['journal'] = $folder;
    }
    $buffer = new WriteBuffer(...[
        'dsn' => Database::dsn(),
        'maxPendingRows' => 4 * ADDS,
        'maxPendingBytes' => 1 << 31,
        ...$settings,
    ]);
    $pairs = (new Rows())->pairs(WARM + ADDS);
    $add = static function (int $from, int $to) use ($buffer, $pairs): void {
        for ($at = $from; $at < $to; $at++) {
            $buffer->add(...$pairs[$at]);
        }
    };
    $add(0, WARM / 2);
    $buffer->flush();
    if ($isStopped) {
        Server::stop();
        $add(WARM / 2, WARM);
        await_stand_still($buffer);
    } else {
        $add(WARM / 2, WARM);
    }
    $counted = loop($buffer, array_slice($pairs, WARM));
    Server::continue();
    $buffer->flush();
    $buffer->close();
    $rows = (int) $reader->query('SELECT COUNT(*) FROM orders')->fetchColumn();
    if ($rows !== WARM + ADDS) {
        throw new RuntimeException("{$rows} orders were written");
    }
    if (isset($settings['journal'])) {
        exec('rm -r ' . escapeshellarg($folder));
    }

    return $counted;
}

/**
 * Runs the loop with the server stopped in a process under strace.
 *
 * @return array{int, int} futexes that PHP's thread waited for, and its other calls of the kernel
 */
function trace(): array
{
    $output = (string) tempnam(sys_get_temp_dir(), 'strace');
    $command = [
        'strace', '-f', '-qq', '-o', $output, PHP_BINARY, '-d', 'extension=' . getenv('WRITE_BUFFER_EXTENSION'), __FILE__,
        '{"traced":true}',
    ];
    $process = proc_open($command, [1 => ['pipe', 'w']], $pipes);
    if ($process === false) {
        throw new RuntimeException('strace is missing; run: scripts/install-packages bench');
    }
    $said = stream_get_contents($pipes[1]);
    if (proc_close($process) !== 0) {
        throw new RuntimeException("The process under strace has failed: {$said}");
    }
    $lines = file($output, FILE_IGNORE_NEW_LINES) ?: [];
    unlink($output);
    $marks = array_keys(preg_grep('/^\d+ +getppid\(/', $lines) ?: []);
    if (count($marks) !== 2) {
        throw new RuntimeException('strace has not seen both ends of the loop.');
    }
    $thread = strtok($lines[$marks[0]], ' ');
    $ofLoop = preg_grep("/^{$thread} +\w+\(/", array_slice($lines, $marks[0] + 1, $marks[1] - $marks[0] - 1)) ?: [];
    $waits = preg_grep('/ futex\([^,]*, FUTEX_(WAIT|LOCK)/', $ofLoop) ?: [];

    return [count($waits), count($ofLoop) - count($waits)];
}

Findings::run(static function (Task $task, Findings $findings): void {
    if ($task->bool('traced')) {
        with_buffer([], true);

        return;
    }
    $pairs = (new Rows())->pairs(ADDS);
    for ($round = 0; $round < $task->rounds(7, 1); $round++) {
        $none = new class () {
            public function add(array $order, array $trade): void
            {
            }
        };
        $findings->add('voluntary context switches, a method that does nothing', '', loop($none, $pairs));
        foreach (BUFFERS as $name => [$settings, $isStopped]) {
            $switches = with_buffer($settings, $isStopped);
            $label = "voluntary context switches of PHP's thread in 40,000 adds, {$name}";
            $settings === [] && $isStopped
                ? $findings->atMost(0, $label, '', $switches)
                : $findings->add($label, '', $switches);
        }
        [$waits, $others] = trace();
        $findings->atMost(0, "futexes that PHP's thread waited for in 40,000 adds, server stopped", '', $waits);
        $findings->add('  other calls of the kernel meanwhile', '', $others);
    }
});
