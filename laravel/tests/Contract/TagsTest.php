<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Tests\Contract;

use PHPUnit\Framework\Attributes\DataProvider;
use ValueError;
use WriteBuffer\FlushException;
use WriteBuffer\Laravel\Drivers\Null\NullBuffer;
use WriteBuffer\Laravel\Testing\BufferFake;

/** The contract: a group's tag comes back in its failure. */
final class TagsTest extends ContractTestCase
{
    /** @dataProvider drivers */
    #[DataProvider('drivers')]
    public function testEachFailureHasItsOwn(string $driver): void
    {
        $buffer = $this->of($driver);
        $refused = static fn (int $order): array => ['id' => 1, 'order_id' => $order];
        $buffer->put('trades', ['id' => 1], 'it is written');
        $buffer->flush();
        $connection = $this->app->make('db')->connection($driver === 'php on sqlite' ? 'sqlite' : 'mysql');
        $groups = [
            static fn () => $buffer->put('trades', $refused(1), 'one'),
            static fn () => $buffer->put('trades', $refused(2)),
            static fn () => $buffer->group(static fn () => $buffer->put('trades', $refused(3), 'inside')),
            static fn () => $buffer->group(static fn () => $buffer->put('trades', $refused(4), 'inside'), 'outside'),
            static fn () => $connection->transaction(static fn () => $buffer->put('trades', $refused(5), 'in a transaction')),
            static fn () => $connection->transaction(
                static fn () => $buffer->group(static fn () => $buffer->put('trades', $refused(6)), 'both'),
            ),
        ];
        $tags = [];
        foreach ($groups as $group) {
            try {
                $group();
                $buffer->flush();
                self::fail('it is refused');
            } catch (FlushException $e) {
                foreach ($e->getFailures() as $failure) {
                    $tags[$failure['rows'][0]['row']['order_id']] = $failure['tag'];
                }
            }
        }
        self::assertSame(
            [1 => 'one', 2 => null, 3 => 'inside', 4 => 'outside', 5 => 'in a transaction', 6 => 'both'],
            $tags,
        );
        $failures = $buffer->takeFailures();
        // A synchronous buffer keeps nothing but what a commit gave it: nobody else has that.
        $kept = $this->isSync() ? ['in a transaction', 'both'] : array_values($tags);
        self::assertSame($kept, array_column($failures, 'tag'));
        self::assertThrown(FlushException::class, static function () use ($buffer, $failures): void {
            $buffer->retry([$failures[0]]);
            $buffer->flush();
        });
        self::assertSame($this->isSync() ? [] : ['one'], array_column($buffer->takeFailures(), 'tag'));
        self::assertCounted($buffer);
    }

    /** @dataProvider drivers */
    #[DataProvider('drivers')]
    public function testWhatIsNoTagIsRefused(string $driver): void
    {
        foreach ([$this->of($driver), new NullBuffer(), new BufferFake()] as $buffer) {
            foreach (["\xff", str_repeat('x', 1_001)] as $tag) {
                foreach (
                    [
                        static fn () => $buffer->put('orders', ['id' => 1, 'user_id' => 7], $tag),
                        static fn () => $buffer->delete('orders', 1, $tag),
                        static fn () => $buffer->group(static fn () => self::fail('it runs'), $tag),
                    ] as $call
                ) {
                    self::assertThrown(ValueError::class, $call, '($tag) must be UTF-8, and at most 1000 bytes long');
                }
            }
            self::assertSame(0, $buffer->lastTicket());
            $buffer->put('orders', ['id' => 1, 'user_id' => 7], str_repeat('x', 1_000));
            $buffer->flush();
        }
    }
}
