<?php

/**
 * What a journal costs and gives: add() and throughput with one to without; recovery to the normal
 * rate; sync() to the disk's own fdatasync(); the memory of rows that wait for a server that is
 * away. Medians of the rounds' own ratios, in rounds that take turns.
 *
 *   scripts/with-mariadb scripts/php-with-extension bench/journal.php [PAIRS]
 *   scripts/with-mysql scripts/php-with-extension bench/journal.php [PAIRS]
 *
 * PAIRS are the orders with a trade that are recovered, by default 500,000. The journal lies in the
 * system's folder for temporary files: TMPDIR says which. It must be on a disk.
 */

declare(strict_types=1);

use Bench\Database;
use Bench\Findings;
use Bench\Rows;
use Bench\Schema;
use Bench\Server;
use Bench\Task;

require __DIR__ . '/lib/autoload.php';

const PAIRS_A_ROUND = 20_000;
/** So many that processes which begin at one moment are at work together nearly all of the time. */
const SYNCS = 1000;
const SYNC_PROCESSES = 4;
const FILE_BYTES = 8 << 20;
const PAGE_BYTES = 4096;
/** Nothing is refused for want of room. */
const BOUNDS = ['maxPendingRows' => 100_000_000, 'journalMaxBytes' => 8 << 30];

/** Adds pairs that are alike but for their ids, after this one. */
function add(WriteBuffer $buffer, int $count, int &$id): void
{
    static $pair = null;
    [$order, $trade] = $pair ??= (new Rows())->pair(1);
    for ($left = $count; $left > 0; $left--) {
        $order['id'] = $trade['id'] = ++$id;
        $buffer->add($order, $trade);
    }
}

function buffer(?string $journal, mixed ...$settings): WriteBuffer
{
    $settings += ['orderTable' => 'orders', 'tradeTable' => 'trades'];

    return new WriteBuffer(...[...$settings, 'dsn' => Database::dsn(), 'journal' => $journal]);
}

function seconds(callable $what): float
{
    $start = hrtime(true);
    $what();

    return (hrtime(true) - $start) / 1e9;
}

/** Starts this script once more, for another part. Returns its output. */
function start(string|int ...$arguments): mixed
{
    $extension = (string) getenv('WRITE_BUFFER_EXTENSION');
    $command = [PHP_BINARY, '-d', "extension={$extension}", __FILE__, ...array_map('strval', $arguments)];

    return popen(implode(' ', array_map('escapeshellarg', $command)), 'r');
}

/** Resident memory that no file stands behind, in bytes. */
function anonymousBytes(): int
{
    preg_match('/^RssAnon:\s+(\d+) kB$/m', (string) file_get_contents('/proc/self/status'), $found);

    return (int) $found[1] * 1024;
}

/** add(), and all until it is committed. */
function measureAdd(Findings $findings, string $folder, int $rounds): void
{
    $never = ['flushIntervalMs' => 3_600_000, 'maxPendingRows' => 200_000];
    $buffers = [
        'without' => buffer(null, ...$never),
        'ledger' => buffer(null, ...$never, ledger: 'always'),
        'none' => buffer($folder, ...$never),
        'interval' => buffer($folder, ...$never, journalSync: 'interval'),
    ];
    $id = 0;
    for ($round = -1; $round < $rounds; $round++) {
        $adds = $wholes = [];
        foreach ($buffers as $name => $buffer) {
            $adds[$name] = seconds(static function () use ($buffer, &$id): void {
                add($buffer, PAIRS_A_ROUND, $id);
            });
            $wholes[$name] = $adds[$name] + seconds(static fn (): int => $buffer->flush());
            // The first round warms up.
            if ($round >= 0) {
                $findings->add("add() of a pair, {$name}", 'ns', 1e9 * $adds[$name] / PAIRS_A_ROUND);
                $findings->add("until all is committed, {$name}", 'pairs/s', PAIRS_A_ROUND / $wholes[$name]);
            }
        }
        if ($round >= 0) {
            $findings->atMost(1.3, 'add() of a pair, journal to without', '', $adds['none'] / $adds['without']);
            $findings->atLeast(0.95, 'throughput, journal to ledger alone', '', $wholes['ledger'] / $wholes['none']);
        }
    }
    foreach ($buffers as $buffer) {
        $buffer->close();
    }
}

/** Writes pairs with a journal, then has a process die with as many, and writes those. */
function measureRecovery(Findings $findings, string $folder, int $pairs, int $rounds): void
{
    for ($round = 0; $round < $rounds; $round++) {
        Schema::create(Database::pdo());
        $normal = (float) stream_get_contents(start('write', $folder, $pairs));
        Schema::create(Database::pdo());
        posix_kill(Server::pid(), SIGSTOP);
        $memory = (float) stream_get_contents(start('die', $folder, $pairs));
        posix_kill(Server::pid(), SIGCONT);
        $recovered = seconds(static function () use ($folder): void {
            WriteBuffer\Journal::recover($folder, Database::dsn());
        });
        $rows = (int) Database::pdo()->query('SELECT COUNT(*) FROM trades')->fetchColumn();
        if ($rows !== $pairs) {
            throw new RuntimeException("{$rows} trades were recovered, of {$pairs}");
        }
        $findings->add('recovery', 'pairs/s', $pairs / $recovered);
        $findings->add('the normal rate', 'pairs/s', $pairs / $normal);
        $findings->atLeast(0.9, 'recovery, to the normal rate', '', $normal / $recovered);
        $findings->atMost(1, 'memory of a further row that waits, file-backed pages apart', 'bytes', $memory);
    }
}

/** Calls sync() after each pair, and fdatasync() after each page, in so many processes. */
function measureSync(Findings $findings, string $folder, int $processes, int $rounds): void
{
    Schema::create(Database::pdo());
    for ($round = 0; $round < $rounds; $round++) {
        $rates = [];
        foreach (['sync', 'fdatasync'] as $part) {
            $gate = "{$folder}.gate";
            touch($gate);
            $outputs = [];
            for ($process = 0; $process < $processes; $process++) {
                $outputs[] = start($part, $folder, $process + $round * $processes, $gate);
            }
            // One that begins alone has the disk to itself.
            while (count(glob("{$gate}.*") ?: []) < $processes) {
                usleep(1_000);
            }
            unlink($gate);
            $rates[$part] = array_sum(array_map('floatval', array_map('stream_get_contents', $outputs)));
        }
        $what = "sync() after each pair, {$processes} processes";
        $findings->add($what, 'calls/s', $rates['sync']);
        $findings->atLeast(0.9, "{$what}, to fdatasync()", '', $rates['sync'] / $rates['fdatasync']);
    }
}

/** Calls a second, once all processes are ready. */
function rate(callable $what, string $gate): float
{
    $ready = "{$gate}." . getmypid();
    touch($ready);
    for (clearstatcache(); file_exists($gate); clearstatcache()) {
        usleep(1_000);
    }
    unlink($ready);

    return SYNCS / seconds(static function () use ($what): void {
        for ($call = 0; $call < SYNCS; $call++) {
            $what($call);
        }
    });
}

$part = $argv[1] ?? '';
$folder = $argv[2] ?? '';
switch (ctype_digit($part) || Task::isGiven() ? '' : $part) {
    case 'write':
        $buffer = buffer($folder, ...BOUNDS);
        $id = 0;
        echo seconds(static function () use ($buffer, $argv, &$id): void {
            add($buffer, (int) $argv[3], $id);
            $buffer->flush();
        });
        $buffer->close();
        break;

    case 'die':
        $buffer = buffer($folder, ...BOUNDS);
        $id = 0;
        $half = intdiv((int) $argv[3], 2);
        // By then the part of maxPendingBytes is full that is for what is written next.
        add($buffer, $half, $id);
        $before = anonymousBytes();
        add($buffer, (int) $argv[3] - $half, $id);
        echo (anonymousBytes() - $before) / 2 / ($id - $half);
        fflush(STDOUT);
        posix_kill(getmypid(), SIGKILL);
        break;

    case 'sync':
        $buffer = buffer($folder, flushIntervalMs: 3_600_000);
        $id = (int) $argv[3] << 32;
        // The folder is made once.
        add($buffer, 1, $id);
        $buffer->sync();
        echo rate(static function () use ($buffer, &$id): void {
            add($buffer, 1, $id);
            $buffer->sync();
        }, $argv[4]);
        $buffer->close();
        break;

    case 'fdatasync':
        $path = "{$folder}.{$argv[3]}";
        file_put_contents($path, str_repeat("\1", FILE_BYTES));
        $file = fopen($path, 'r+');
        fdatasync($file);
        $page = str_repeat("\2", PAGE_BYTES);
        echo rate(static function (int $call) use ($file, $page): void {
            fseek($file, PAGE_BYTES * $call % FILE_BYTES);
            fwrite($file, $page);
            fdatasync($file);
        }, $argv[4]);
        unlink($path);
        break;

    default:
        Findings::run(static function (Task $task, Findings $findings) use ($part): void {
            $folder = sys_get_temp_dir() . '/write-buffer-journal-' . getmypid();
            Schema::create(Database::pdo());
            measureAdd($findings, $folder, $task->rounds(15, 3));
            foreach ([1, SYNC_PROCESSES] as $processes) {
                measureSync($findings, $folder, $processes, $task->rounds(7, 1));
            }
            $pairs = ctype_digit($part) ? (int) $part : ($task->bool('short') ? 50_000 : 500_000);
            measureRecovery($findings, $folder, $pairs, $task->rounds(3, 1));
            array_map('unlink', glob("{$folder}/*") ?: []);
            rmdir($folder);
        });
}
