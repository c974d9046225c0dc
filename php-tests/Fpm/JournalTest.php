<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Fpm;

use WriteBuffer\Journal;
use WriteBuffer\Tests\Fpm\Support\FpmTestCase;
use WriteBuffer\Tests\Support\KeepsJournal;

/** Workers that are killed: the next ones write what they took. */
final class JournalTest extends FpmTestCase
{
    use KeepsJournal;

    private const KILLS = 8;
    private const REQUESTS = 5;

    protected function setUp(): void
    {
        parent::setUp();
        $this->makeJournal();
    }

    protected function tearDown(): void
    {
        parent::tearDown();
        $this->removeJournal();
    }

    public function testTheNextWorkerWritesWhatAKilledOneTook(): void
    {
        $fpm = $this->startFpm(['pm.max_children' => 1]);
        // Nothing is due before a worker ends.
        $settings = $this->settings(batchSize: 1_000, flushIntervalMs: self::NEVER_MS, journal: $this->journal);
        $id = 0;
        for ($kill = 1; $kill <= self::KILLS; $kill++) {
            for ($request = 0; $request < self::REQUESTS; $request++) {
                $answer = $this->request($fpm, $settings, ++$id);
            }
            // What the workers before it have left.
            $orders = ($kill - 1) * self::REQUESTS;
            self::await("{$orders} orders", fn (): bool => $this->orderCount() === $orders);
            if ($kill % 2 === 0) {
                // Else it is killed amid the rest of the recovery.
                self::await('no folder but its own', fn (): bool => count($this->folders()) === 1);
            }
            self::assertTrue(posix_kill($answer->pid, SIGKILL));
            self::await('another worker', static fn (): bool => array_diff($fpm->workers(), [$answer->pid]) !== []);
        }
        self::assertCount(self::KILLS, array_unique($this->answeringWorkers()));
        // It recovers while it takes requests, and when it ends has both.
        $this->request($fpm, $settings, ++$id);
        self::await('no folder but its own', fn (): bool => count($this->folders()) === 1);
        self::assertSame(self::KILLS * self::REQUESTS, $this->orderCount());
        self::assertSame('exit 0', $fpm->stop(), $fpm->log());
        $this->assertExpectedOrders();
        self::assertSame([], $this->folders());
        self::assertSame([], $this->deadLetters());
    }

    /** Several workers, each of which is killed while the others take requests. */
    public function testWorkersAreKilledUnderLoad(): void
    {
        $fpm = $this->startFpm(['pm.max_children' => 3]);
        $settings = $this->settings(batchSize: 6, flushIntervalMs: 1, journal: $this->journal, lanes: 2);
        $id = 0;
        for ($kill = 1; $kill <= self::KILLS; $kill++) {
            $clients = [];
            for ($number = 0; $number < 30; $number++) {
                $clients[] = [$this->send($fpm, $settings, ++$id), $id];
                if (count($clients) === 3) {
                    foreach ($clients as [$client, $of]) {
                        $answer = $client->answer();
                        $this->assertAdded($answer, $of);
                    }
                    $clients = [];
                }
            }
            self::assertTrue(posix_kill($answer->pid, SIGKILL));
            self::await('its end', static fn (): bool => !in_array($answer->pid, $fpm->workers(), true));
        }
        self::assertSame('exit 0', $fpm->stop(), $fpm->log());
        Journal::recover($this->journal, $this->dsn());
        $this->assertExpectedOrders();
        self::assertSame([], $this->folders());
        self::assertSame([], $this->deadLetters());
    }
}
