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
use Bench\Rows;
use Bench\Schema;

require __DIR__ . '/lib/autoload.php';

const ROUNDS = 15;
const PAIRS_A_ROUND = 20_000;
const RECOVERIES = 3;
const SYNC_ROUNDS = 7;
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

/** @param list<float> $values */
function median(array $values): float
{
    sort($values);

    return $values[intdiv(count($values), 2)];
}

/**
 * @param list<float> $values
 * @param list<float> $to
 */
function ratio(array $values, array $to): float
{
    return median(array_map(static fn (float $one, float $other): float => $one / $other, $values, $to));
}

function target(string $what, float $value, float $bound, bool $isAtLeast): void
{
    $isReached = $isAtLeast ? $value >= $bound : $value <= $bound;
    $verdict = $isReached ? 'reached' : 'not reached';
    printf("%-64s %6.2f  (%s %.2f: %s)\n", $what, $value, $isAtLeast ? '≥' : '≤', $bound, $verdict);
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
function measureAdd(string $folder): void
{
    $never = ['flushIntervalMs' => 3_600_000, 'maxPendingRows' => 200_000];
    $buffers = [
        'without' => buffer(null, ...$never),
        'ledger' => buffer(null, ...$never, ledger: 'always'),
        'none' => buffer($folder, ...$never),
        'interval' => buffer($folder, ...$never, journalSync: 'interval'),
    ];
    $id = 0;
    $adds = $wholes = [];
    for ($round = -1; $round < ROUNDS; $round++) {
        foreach ($buffers as $name => $buffer) {
            $add = seconds(static function () use ($buffer, &$id): void {
                add($buffer, PAIRS_A_ROUND, $id);
            });
            $flush = seconds(static fn (): int => $buffer->flush());
            // The first round warms up.
            if ($round >= 0) {
                $adds[$name][] = $add;
                $wholes[$name][] = $add + $flush;
            }
        }
    }
    foreach ($buffers as $name => $buffer) {
        $buffer->close();
        printf(
            "%-64s %6.0f ns, %8.0f pairs/s until all is committed\n",
            "add() of a pair, {$name}",
            1e9 * median($adds[$name]) / PAIRS_A_ROUND,
            PAIRS_A_ROUND / median($wholes[$name]),
        );
    }
    target('add() of a pair, journal to without', ratio($adds['none'], $adds['without']), 1.3, false);
    target('throughput, journal to ledger alone', ratio($wholes['ledger'], $wholes['none']), 0.95, true);
}

/** Writes pairs with a journal, then has a process die with as many, and writes those. */
function measureRecovery(string $folder, int $pairs): void
{
    $server = (int) getenv('DB_SERVER_PID');
    $normal = $recovered = $memory = [];
    for ($round = 0; $round < RECOVERIES; $round++) {
        Schema::create(Database::pdo());
        $normal[] = (float) stream_get_contents(start('write', $folder, $pairs));
        Schema::create(Database::pdo());
        posix_kill($server, SIGSTOP);
        $memory[] = (float) stream_get_contents(start('die', $folder, $pairs));
        posix_kill($server, SIGCONT);
        $recovered[] = seconds(static function () use ($folder): void {
            WriteBuffer\Journal::recover($folder, Database::dsn());
        });
        $rows = (int) Database::pdo()->query('SELECT COUNT(*) FROM trades')->fetchColumn();
        if ($rows !== $pairs) {
            exit("{$rows} trades were recovered, of {$pairs}\n");
        }
    }
    printf("%-64s %6.0f pairs/s, normally %.0f\n", 'recovery', $pairs / median($recovered), $pairs / median($normal));
    target('recovery, to the normal rate', ratio($normal, $recovered), 0.9, true);
    target('memory of a further row that waits, in bytes, file-backed pages apart', median($memory), 1, false);
}

/** Calls sync() after each pair, and fdatasync() after each page, in so many processes. */
function measureSync(string $folder, int $processes): void
{
    Schema::create(Database::pdo());
    $rates = [];
    for ($round = 0; $round < SYNC_ROUNDS; $round++) {
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
            $rates[$part][] = array_sum(array_map('floatval', array_map('stream_get_contents', $outputs)));
        }
    }
    $what = "sync() after each pair, {$processes} processes";
    printf("%-64s %6.0f/s, fdatasync() %.0f/s\n", $what, median($rates['sync']), median($rates['fdatasync']));
    target($what . ', to fdatasync()', ratio($rates['sync'], $rates['fdatasync']), 0.9, true);
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
switch (ctype_digit($part) ? '' : $part) {
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
        $folder = sys_get_temp_dir() . '/write-buffer-journal-' . getmypid();
        Schema::create(Database::pdo());
        measureAdd($folder);
        measureSync($folder, 1);
        measureSync($folder, SYNC_PROCESSES);
        measureRecovery($folder, (int) ($part ?: 500_000));
        array_map('unlink', glob("{$folder}/*") ?: []);
        rmdir($folder);
}
