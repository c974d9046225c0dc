<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Process;

use WriteBuffer\Tests\Process\Support\ProcessTestCase;

/** `retry()` waits for room, and a signal's handler may end that. */
final class RetryTest extends ProcessTestCase
{
    public function testAHandlerThatThrowsEndsItAndWhatWasPutBackIsSaid(): void
    {
        $child = $this->start(<<<'PHP'
            $buffer = new WriteBuffer('memory:', batchSize: 2, maxPendingRows: 2, overflowTimeoutMs: 600_000);
            WriteBuffer\MemorySink::failNext(2006, 1_000_000);
            pcntl_async_signals(true);
            pcntl_signal(SIGALRM, static function () use ($buffer): void {
                if ($buffer->lastTicket() === 2) {
                    throw new DomainException('enough');
                }
                pcntl_alarm(1);
            });
            pcntl_alarm(1);
            $failure = static fn (int $id): array => ['id' => "f{$id}", 'rows' => [['table' => 't', 'row' => ['id' => $id]]]];
            try {
                $buffer->retry(array_map($failure, [1, 2, 3, 4]));
            } catch (DomainException $e) {
                $incomplete = $e->getPrevious();
                Child::report('incomplete', [$incomplete::class, $incomplete->getMessage(), $incomplete->getTakenGroups()]);
            }
            WriteBuffer\MemorySink::reset();
            Child::report('rest', $buffer->retry(array_map($failure, [3, 4])));
            $buffer->flush();
            Child::report('rows', array_column(WriteBuffer\MemorySink::tables()['t'], 'id'));
            PHP);
        self::assertSame('exit 0', $child->finish(60), $child->describe());
        self::assertSame(
            ['WriteBuffer\IncompleteException', 'retry() put back 2 of 4 failures; the rest was not', 2],
            $child->reported('incomplete'),
        );
        self::assertSame(2, $child->reported('rest'));
        self::assertSame([1, 2, 3, 4], $child->reported('rows'));
    }
}
