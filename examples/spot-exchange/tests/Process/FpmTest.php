<?php

declare(strict_types=1);

namespace Tests\Process;

use PHPUnit\Framework\Attributes\DataProvider;
use Tests\Support\Answers;
use Tests\Support\ServerTestCase;
use WriteBuffer\Tests\Fpm\Support\Answer;
use WriteBuffer\Tests\Fpm\Support\FastCgiClient;
use WriteBuffer\Tests\Fpm\Support\FpmServer;

/** The exchange in the workers of php-fpm. */
final class FpmTest extends ServerTestCase
{
    private const WORKERS = 3;

    private ?FpmServer $fpm = null;

    protected function tearDown(): void
    {
        $this->fpm?->kill();
        parent::tearDown();
    }

    /** @return array<string, array{bool}> */
    public static function buffers(): array
    {
        return ['a buffer of the request' => [false], 'a persistent buffer' => [true]];
    }

    /** @dataProvider buffers */
    #[DataProvider('buffers')]
    public function testWhatIsAnsweredIsWhatIsInTheTables(bool $isPersistent): void
    {
        $this->fpm = $this->startFpm($isPersistent);
        $answers = new Answers();
        $threads = [];
        foreach (array_chunk(self::orders(), self::ORDERS / 2) as $half) {
            foreach (array_chunk($half, self::WORKERS) as $orders) {
                $requests = array_map(fn (array $order): FastCgiClient => $this->request('POST', '/orders', $order), $orders);
                foreach (self::answersOf($requests) as $answer) {
                    self::assertSame(201, $answer->status, $answer->describe());
                    $answers->add(json_decode($answer->body, true));
                }
            }
            $threads[] = $this->bufferThreads();
        }
        $answer = $this->request('GET', '/orders/' . self::ORDERS)->answer();
        self::assertSame(200, $answer->status, $answer->describe());
        if ($isPersistent) {
            self::assertCount(self::WORKERS, $threads[0], 'each worker has a buffer, which outlives the request');
            self::assertSame($threads[0], $threads[1], 'the same one in all of its requests');
        }
        self::assertSame('exit 0', $this->fpm->stop(), $this->fpm->log());

        $this->assertTablesAreAsAnswered($answers);
    }

    private function startFpm(bool $isPersistent): FpmServer
    {
        $binary = getenv('PHP_FPM');
        if (!is_string($binary) || $binary === '') {
            self::markTestSkipped('Needs a php-fpm, in PHP_FPM: see scripts/fetch-fpm.');
        }
        $environment = [
            'APP_DEBUG' => 'true',
            'LOG_CHANNEL' => 'null',
            'WRITE_BUFFER_STATUS' => 'false',
            'EXCHANGE_LOCK_TIMEOUT_S' => '60',
            'WRITE_BUFFER_PERSISTENT' => $isPersistent ? 'exchange' : '',
        ];
        foreach (['DB_HOST', 'DB_PORT', 'DB_SOCKET', 'DB_DATABASE', 'DB_USERNAME', 'DB_PASSWORD'] as $name) {
            $environment[$name] = (string) getenv($name);
        }
        $pool = ['pm.max_children' => self::WORKERS];
        foreach (array_filter($environment, static fn (string $value): bool => $value !== '') as $name => $value) {
            // In quotes, since null and true are keywords of an ini file.
            $pool["env[{$name}]"] = "\"{$value}\"";
        }

        return new FpmServer($binary, null, $pool);
    }

    /** @param array<string, mixed>|null $body */
    private function request(string $method, string $uri, ?array $body = null): FastCgiClient
    {
        return new FastCgiClient(
            $this->fpm->socket(),
            (string) realpath(__DIR__ . '/../../public/index.php'),
            $body === null ? '' : json_encode($body, JSON_THROW_ON_ERROR),
            ['REQUEST_METHOD' => $method, 'REQUEST_URI' => $uri, 'SCRIPT_NAME' => '/index.php'],
        );
    }

    /**
     * @param list<FastCgiClient> $requests
     *
     * @return iterable<Answer> each as it comes, as a web server takes them
     */
    private static function answersOf(array $requests): iterable
    {
        $deadline = hrtime(true) + FpmServer::TIMEOUT_S * 1e9;
        while ($requests !== []) {
            foreach ($requests as $number => $request) {
                if ($request->hasAnswer()) {
                    unset($requests[$number]);
                    yield $request->answer();
                }
            }
            if (hrtime(true) > $deadline) {
                self::fail('waited in vain for ' . count($requests) . ' answers');
            }
            usleep(500);
        }
    }

    /** @return list<int> the thread ids of the workers' buffers */
    private function bufferThreads(): array
    {
        $threads = [];
        foreach ($this->fpm->workers() as $pid) {
            foreach (glob("/proc/{$pid}/task/*/comm") ?: [] as $file) {
                // A thread may end between the listing and the reading.
                if (rtrim((string) @file_get_contents($file)) === 'write_buffer') {
                    $threads[] = (int) explode('/', $file)[4];
                }
            }
        }
        sort($threads);

        return $threads;
    }
}
