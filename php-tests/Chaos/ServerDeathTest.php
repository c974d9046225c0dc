<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Chaos;

use WriteBuffer\Tests\Chaos\Support\ChaosTestCase;

/** A server that is killed and started again, under load. */
final class ServerDeathTest extends ChaosTestCase
{
    private const RESTART_TIMEOUT_S = 180.0;

    protected function tearDown(): void
    {
        if (getenv('DB_CONTROL_DIR') !== false) {
            $this->bringServerBack();
        }
        parent::tearDown();
    }

    public function testAServerThatIsKilledUnderLoad(): void
    {
        $this->startWriter($this->dsn(), 1);
        $this->startWriter($this->dsn(), 2, settings: 'lanes: 4');
        self::wantServer(true);
        $deaths = self::scaled(2, 10);
        for ($death = 1; $death <= $deaths; $death++) {
            $this->awaitMoreOrders(300);
            $pid = self::serverPid();
            self::assertTrue(posix_kill($pid, SIGKILL), "death {$death} of {$deaths}");
            $this->awaitUnderLoad(
                'another server process',
                fn (): bool => self::serverPid() !== $pid,
                self::RESTART_TIMEOUT_S,
            );
            $this->forgetConnections();
        }
        $this->awaitMoreOrders(300);
        $this->assertNothingLostOrDoubled();
        self::assertGreaterThanOrEqual($deaths, $this->total('reconnects'), $this->describeAll());
    }
}
