<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Chaos\Support;

use RuntimeException;

/** A running crates/fault-proxy. It arms faults, and counts which have struck. */
final class FaultProxy
{
    private const TIMEOUT_S = 120.0;

    /** @var resource|null */
    private $process;

    /** @var array<int, resource> */
    private array $pipes = [];

    private string $unread = '';

    /** @var list<string> all that it said */
    private array $lines = [];

    /** @var array<string, int> how many lines began with these two words */
    private array $counts = [];

    public function __construct(string $host, string $port)
    {
        $process = proc_open(
            [self::binary(), "{$host}:{$port}"],
            [['pipe', 'r'], ['pipe', 'w'], ['redirect', 1]],
            $this->pipes,
        );
        if ($process === false) {
            throw new RuntimeException('cannot start the proxy');
        }
        $this->process = $process;
        stream_set_blocking($this->pipes[1], false);
    }

    public function __destruct()
    {
        $this->stop();
    }

    private static function binary(): string
    {
        $built = dirname(__DIR__, 3) . '/target/release/fault-proxy';
        $binary = (string) (getenv('WRITE_BUFFER_FAULT_PROXY') ?: $built);
        if (!is_executable($binary)) {
            throw new RuntimeException("{$binary} is missing; run: make build-fault-proxy");
        }

        return $binary;
    }

    public function port(): int
    {
        return (int) substr($this->waitFor('port '), strlen('port '));
    }

    /**
     * Arms a fault, such as `cut-before every=3 on statement COMMIT`. The proxy's documentation
     * lists all.
     */
    public function arm(string $name, string $fault): void
    {
        $this->send("arm {$name} {$fault}", "armed {$name}");
    }

    /** Disarms a fault. Returns whether it was still armed. */
    public function disarm(string $name): bool
    {
        $answers = $this->count('disarmed', $name) + $this->count('missing', $name);
        $disarmed = $this->count('disarmed', $name);
        fwrite($this->pipes[0], "disarm {$name}\n");
        $this->awaitUntil("an answer to disarm {$name}", function () use ($name, $answers): bool {
            return $this->count('disarmed', $name) + $this->count('missing', $name) > $answers;
        });

        return $this->count('disarmed', $name) > $disarmed;
    }

    /** Closes all connections. */
    public function cut(): void
    {
        $this->send('cut', 'cut ');
    }

    /** Delays what either side says. */
    public function setLatency(int $latencyMs): void
    {
        $this->send("latency {$latencyMs}", "latency {$latencyMs}");
    }

    /**
     * How often a fault has struck. With an answer (`ok`, `error`, `none`): how often after this
     * answer.
     */
    public function struck(string $name, ?string $answer = null): int
    {
        return $this->count('struck', $name, $answer);
    }

    /** @return list<Forgery> the answers that a fault forged */
    public function forged(string $name): array
    {
        $this->read(0.0);

        return array_values(array_filter(array_map(
            static fn (string $line): ?Forgery => Forgery::read($name, $line),
            $this->lines,
        )));
    }

    /** How often the server gave this answer to a packet that a fault had held. */
    public function answered(string $name, string $answer): int
    {
        return $this->count('answered', $name, $answer);
    }

    /** The last lines that it printed, for the message of a failed assertion. */
    public function describe(): string
    {
        return "--- the proxy said:\n" . implode("\n", array_slice($this->lines, -20));
    }

    public function stop(): void
    {
        if ($this->process === null) {
            return;
        }
        array_map('fclose', $this->pipes);
        proc_terminate($this->process, SIGKILL);
        proc_close($this->process);
        $this->process = null;
    }

    private function count(string $event, string $name, ?string $answer = null): int
    {
        $this->read(0.0);

        return $this->counts["{$event} {$name}" . ($answer === null ? '' : " {$answer}")] ?? 0;
    }

    private function send(string $line, string $answer): void
    {
        $seen = count($this->lines);
        fwrite($this->pipes[0], $line . "\n");
        $this->waitFor($answer, $seen);
    }

    private function waitFor(string $start, int $from = 0): string
    {
        $found = '';
        $this->awaitUntil("a line “{$start}”", function () use ($start, $from, &$found): bool {
            foreach (array_slice($this->lines, $from) as $line) {
                if (str_starts_with($line, 'error')) {
                    throw new RuntimeException("the proxy refused: {$line}");
                }
                if (str_starts_with($line, $start)) {
                    $found = $line;

                    return true;
                }
            }

            return false;
        });

        return $found;
    }

    private function awaitUntil(string $what, callable $condition): void
    {
        $deadline = hrtime(true) + self::TIMEOUT_S * 1e9;
        while (!$condition()) {
            if (hrtime(true) > $deadline) {
                throw new RuntimeException("waited in vain for {$what}\n{$this->describe()}");
            }
            $this->read(0.05);
        }
    }

    /** Reads what it has printed, or waits for something. */
    private function read(float $seconds): void
    {
        $read = [$this->pipes[1]];
        $write = $except = null;
        if (stream_select($read, $write, $except, 0, (int) ($seconds * 1e6)) !== 1) {
            return;
        }
        $chunk = (string) fread($this->pipes[1], 65_536);
        if ($chunk === '' && feof($this->pipes[1])) {
            throw new RuntimeException("the proxy has ended\n{$this->describe()}");
        }
        $lines = explode("\n", $this->unread . $chunk);
        $this->unread = (string) array_pop($lines);
        foreach ($lines as $line) {
            $this->lines[] = $line;
            if (preg_match('/^(\w+) (\S+)(?: connection=\d+)?(?: answer=(\w+)| code=.*)?$/', $line, $match) === 1) {
                $keys = ["{$match[1]} {$match[2]}"];
                if (isset($match[3])) {
                    $keys[] = "{$match[1]} {$match[2]} {$match[3]}";
                }
                foreach ($keys as $key) {
                    $this->counts[$key] = ($this->counts[$key] ?? 0) + 1;
                }
            }
        }
    }
}
