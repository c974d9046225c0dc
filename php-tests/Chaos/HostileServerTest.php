<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Chaos;

use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\Tests\Chaos\Support\ChaosTestCase;
use WriteBuffer\Tests\Chaos\Support\HostileServer;
use WriteBuffer\Tests\Process\Support\ChildProcess;

/**
 * Whatever a server does, a buffer returns in time and within its memory, and never says that it
 * has written what it has not. PHP lives, and the row is still there.
 */
final class HostileServerTest extends ChaosTestCase
{
    /** What flush() is given. */
    private const FLUSH_MS = 1_000;

    /** The DSN's time-outs. They bound add() and put(), which have no time of their own. */
    private const TIMEOUTS = 'connect_timeout_ms=30000&read_timeout_ms=30000&write_timeout_ms=30000';

    /** When flush() and the end must have returned. A wait for the DSN's time-outs is too long. */
    private const RETURNS_WITHIN_S = 25.0;

    /** When put() must have returned: after some answers, each within the DSN's time-outs. */
    private const PUTS_WITHIN_S = 100.0;

    private const MEMORY_MAX_KIB = 64 * 1_024;

    /** No backoff lets more attempts begin in that time. */
    private const CONNECTIONS_MAX = 100;

    private const MESSAGE_BYTES_MAX = 4_096;

    /** Modes that run side by side: most of them wait. */
    private const SIDE_BY_SIDE = 10;

    private const CHILD = <<<'PHP'
        [, $dsn, $background] = $argv;
        $memory = static fn (): int => (int) Child::status('/proc/self', 'VmHWM');
        $timed = static function (callable $act): array {
            $began = hrtime(true);
            $thrown = Child::thrownBy($act);

            return [(hrtime(true) - $began) / 1e9, $thrown[0], base64_encode($thrown[1])];
        };
        $buffer = new WriteBuffer(dsn: $dsn, background: (bool) $background, shutdownTimeoutMs: 500, flushIntervalMs: 3_600_000);
        $before = $memory();
        $flushed = null;
        Child::report('put', $timed(static fn () => $buffer->put('t', ['id' => 1, 'v' => 'x'])));
        Child::report('flush', $timed(static function () use ($buffer, &$flushed): void {
            $flushed = $buffer->flush((int) getenv('FLUSH_MS'));
        }));
        Child::report('flushed', $flushed);
        $metrics = $buffer->getMetrics();
        Child::report('added', $metrics['rows_added']);
        Child::report('kept', $metrics['rows_pending'] + $metrics['rows_refused']);
        set_error_handler(static fn (): bool => true);
        Child::report('end', $timed(static function () use (&$buffer): void {
            $buffer = null;
        }));
        Child::report('grown', $memory() - $before);
        PHP;

    /** @return array<string, array{ChildProcess, HostileServer}> by where they write */
    private function startAgainst(string $mode, ?string $dsn = null): array
    {
        putenv('FLUSH_MS=' . self::FLUSH_MS);
        $running = [];
        foreach (['foreground' => '', 'background' => '1'] as $where => $background) {
            $server = new HostileServer($mode);
            $at = str_replace(':PORT/', ":{$server->port}/", $dsn ?? 'mysql://u:its-secret@127.0.0.1:PORT/d?' . self::TIMEOUTS);
            $running["{$mode}, in the {$where}"] = [$this->start(self::CHILD, [$at, $background]), $server];
        }

        return $running;
    }

    /**
     * What does not hold of a buffer before a hostile server.
     *
     * @return list<string>
     */
    private static function wrongs(ChildProcess $child, HostileServer $server): array
    {
        try {
            $ending = $child->finish(self::PUTS_WITHIN_S + 2 * self::RETURNS_WITHIN_S);
        } catch (\RuntimeException) {
            return ['it hangs'];
        }
        if ($ending !== 'exit 0' || $child->complained() !== '') {
            return ["it ended by {$ending}: " . substr($child->complained(), 0, 300)];
        }
        $flushed = $child->reported('flushed');
        $checks = [
            'says that it has written' => $flushed === null || ($flushed === 0 && $child->reported('added') === 0),
            'the row is gone' => $child->reported('kept') === $child->reported('added'),
            'took memory' => $child->reported('grown') < self::MEMORY_MAX_KIB,
            'connects too often' => $server->count('connection') < self::CONNECTIONS_MAX,
            'the server committed' => $server->count('committed') === 0,
            'sent a file' => $server->count('got a file') === 0,
            'gave the password away' => !str_contains($server->said(), 'its-secret'),
        ];
        foreach (['put' => self::PUTS_WITHIN_S, 'flush' => self::RETURNS_WITHIN_S, 'end' => self::RETURNS_WITHIN_S] as $call => $within) {
            [$seconds, $class, $message] = $child->reported($call);
            $message = (string) base64_decode($message, true);
            $passed = ($passed ?? 0) + $seconds;
            $said = preg_match('/no answer within (\d+) ms/', $message, $found) === 1 ? (int) $found[1] / 1_000 : 0;
            $checks += [
                "{$call} tells of a longer wait than there was" => $said <= $passed,
                "{$call} came late" => $seconds < $within,
                "{$call} threw {$class}" => $class === '' || str_starts_with($class, 'WriteBuffer\\'),
                "{$call} has a message that nobody can read" => preg_match('/^[^\x00-\x1f\x7f]*$/Du', $message) === 1,
                "{$call} has a message that is too long" => strlen($message) < self::MESSAGE_BYTES_MAX,
                "{$call} tells of a panic" => stripos($message, 'panic') === false,
                "{$call} tells the password" => !str_contains($message, 'its-secret'),
            ];
        }

        return array_keys(array_filter($checks, static fn (bool $holds): bool => !$holds));
    }

    /**
     * Asserts what must hold of any server.
     *
     * @param array<string, array{ChildProcess, HostileServer}> $running
     */
    private static function assertHeldOff(array $running): void
    {
        $all = [];
        foreach ($running as $case => [$child, $server]) {
            $wrongs = self::wrongs($child, $server);
            if ($wrongs !== []) {
                $all[$case] = implode('; ', $wrongs) . "\n{$child->describe()}\nThe server said: " . substr($server->said(), 0, 500);
            }
        }
        self::assertSame([], $all);
    }

    public function testAnHonestServerGetsTheRow(): void
    {
        foreach ($this->startAgainst('honest') as $case => [$child, $server]) {
            self::assertSame('exit 0', $child->finish(), "{$case}\n{$child->describe()}");
            self::assertSame(1, $child->reported('flushed'), "{$case}\n{$child->describe()}\n{$server->said()}");
            self::assertSame(1, $server->count('committed'), $case);
        }
    }

    /** @return iterable<string, array{list<string>}> modes that run side by side */
    public static function modes(): iterable
    {
        $reads = ['version', 'variables', 'definition', 'columns', 'indexes', 'references', 'triggers', 'engine'];
        $all = ['greeting', 'login', 'version', 'settings', ...array_slice($reads, 1), 'begin', 'prepare', 'execute', 'commit'];
        $some = static fn (array $phases, string ...$short): array => self::scaled($short, $phases);
        $groups = ['slow' => [], 'silent' => [], 'rows' => [], 'flood' => [], 'results' => [], 'raw' => [], 'odd' => []];
        foreach ($some($all, 'greeting', 'login', 'columns', 'begin', 'prepare', 'execute', 'commit') as $phase) {
            $groups['slow'][] = "slow 300 at {$phase}";
            $groups['raw'][] = "raw at {$phase}";
        }
        foreach ($some($all, 'login', 'indexes', 'commit') as $phase) {
            array_push($groups['silent'], "silent at {$phase}", "claim 16777214 at {$phase}");
            array_push($groups['odd'], "close at {$phase}", "infile at {$phase}");
        }
        foreach ($some($reads, 'version', 'columns') as $phase) {
            array_push($groups['silent'], "count 1099511627776 at {$phase}", "count 65535 at {$phase}");
            array_push($groups['rows'], "rows 1000 at {$phase}", "rows 0 at {$phase}", "rows 1000000 at {$phase}");
        }
        foreach ($some($all, 'greeting', 'settings', 'execute') as $phase) {
            $groups['flood'][] = "flood 1200000000 at {$phase}";
        }
        foreach ($some(array_slice($all, 2), 'version', 'prepare', 'commit') as $phase) {
            $groups['results'][] = "results at {$phase}";
            array_push($groups['odd'], "sequence 7 at {$phase}", "refuse 1064 100000 at {$phase}");
        }
        foreach (['ff', 'fb', 'fe', '00', '01', 'feffffffffffffffff', '00feffffffffffffffff', 'ff0000', '0000', 'fc', 'fd00'] as $hex) {
            foreach ($some($all, 'columns', 'prepare') as $phase) {
                $groups['raw'][] = "raw {$hex} at {$phase}";
            }
        }
        array_push($groups['odd'], 'oks 2 at settings', 'oks 2 at begin', 'oks 100000 at begin', 'oks 2 at execute', 'shift');
        foreach (['old', 'mysql_clear_password', 'dialog', 'sha256_password', str_repeat('x', 9_000), 'endless', 'more'] as $plugin) {
            $groups['odd'][] = "switch {$plugin}";
        }
        array_push($groups['odd'], 'key 0', 'key 8', 'key 65536', 'key 1000000');
        foreach ($groups as $name => $modes) {
            foreach (array_chunk($modes, $name === 'flood' ? 3 : self::SIDE_BY_SIDE) as $number => $chunk) {
                yield "{$name} {$number}" => [$chunk];
            }
        }
    }

    /**
     * @dataProvider modes
     *
     * @param list<string> $modes
     */
    #[DataProvider('modes')]
    public function testWhateverAServerDoes(array $modes): void
    {
        $running = array_merge(...array_map(fn (string $mode): array => $this->startAgainst($mode), $modes));
        self::assertHeldOff($running);
        foreach ($running as $case => [$child, $server]) {
            self::assertGreaterThan(0, $server->count('struck'), "{$case}: was not done\n{$child->describe()}");
            if (str_starts_with($case, 'key')) {
                self::assertSame(0, $server->count('encrypted'), "{$case}: a password was encrypted by a bad key");
            }
        }
    }

    public function testTheKeyOfAServerIsTaken(): void
    {
        foreach ($this->startAgainst('key 2048') as $case => [$child, $server]) {
            self::assertHeldOff([$case => [$child, $server]]);
            self::assertGreaterThan(0, $server->count('encrypted 256'), $server->said());
        }
    }

    public function testDamagedAnswers(): void
    {
        $seed = (int) (getenv('WRITE_BUFFER_TEST_SEED') ?: 1);
        foreach (array_chunk(range($seed, $seed + self::scaled(19, 299)), self::SIDE_BY_SIDE) as $seeds) {
            self::assertHeldOff(array_merge(...array_map(fn (int $seed): array => $this->startAgainst("damage {$seed}"), $seeds)));
        }
    }

    /** What came before TLS is not used after it. */
    public function testForgedAnswersBeforeTlsAreNotBelieved(): void
    {
        $this->createTable('t', 'id INT PRIMARY KEY, v VARCHAR(50)');
        $ca = rawurlencode(self::setting('DB_TLS_DIR') . '/ca.pem');
        $dsn = (string) preg_replace('/:\d+\//', ':PORT/', self::setting('WRITE_BUFFER_TEST_DSN'));
        foreach (['identity', 'ca', 'none'] as $verify) {
            $trust = $verify === 'none' ? '' : "&tls_ca={$ca}";
            $options = "?tls=required&tls_verify={$verify}{$trust}&" . self::TIMEOUTS;
            $running = $this->startAgainst('forge ' . self::setting('DB_PORT'), $dsn . $options);
            self::assertHeldOff($running);
            foreach ($running as $case => [, $server]) {
                self::assertGreaterThan(0, $server->count('struck'), $case);
            }
        }
        self::assertSame([], $this->rows('t', '*', '1'));
    }
}
