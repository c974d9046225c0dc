<?php

declare(strict_types=1);

namespace Tests\Process;

use Tests\Support\Answers;
use Tests\Support\HttpConnection;
use Tests\Support\ServeProcess;
use Tests\Support\ServerTestCase;

/** The exchange served by `php artisan serve`. */
final class ServeTest extends ServerTestCase
{
    private const CONNECTIONS = 4;

    private ?ServeProcess $server = null;

    protected function tearDown(): void
    {
        $this->server?->kill();
        parent::tearDown();
    }

    public function testWhatIsAnsweredIsWhatIsInTheTables(): void
    {
        $this->server = new ServeProcess(self::CONNECTIONS);
        $connections = [];
        for ($number = 0; $number < self::CONNECTIONS; $number++) {
            $connections[] = new HttpConnection($this->server->port());
        }
        $answers = new Answers();
        foreach (array_chunk(self::orders(), self::CONNECTIONS) as $orders) {
            foreach ($orders as $number => $order) {
                $connections[$number]->send('POST', '/orders', $order);
            }
            foreach (array_keys($orders) as $number) {
                [$status, $answer] = $connections[$number]->answer();
                self::assertSame(201, $status, json_encode($answer) . $this->server->log());
                $answers->add($answer);
            }
        }
        $connections[0]->send('GET', '/orders/' . self::ORDERS);
        [$status, $answer] = $connections[0]->answer();
        self::assertSame([200, self::ORDERS], [$status, $answer['order']['id'] ?? null], json_encode($answer));
        $this->server->stop();

        $this->assertTablesAreAsAnswered($answers);
    }
}
