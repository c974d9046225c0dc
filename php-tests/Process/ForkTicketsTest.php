<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Process;

use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\Tests\Process\Support\Child;
use WriteBuffer\Tests\Process\Support\ProcessTestCase;

/** A ticket is for a buffer in its process. */
final class ForkTicketsTest extends ProcessTestCase
{
    /** @return iterable<string, array{bool}> */
    public static function modes(): iterable
    {
        yield 'background' => [true];
        yield 'foreground' => [false];
    }

    /**
     * @dataProvider modes
     */
    #[DataProvider('modes')]
    public function testAChildKnowsNoTicketOfItsParent(bool $background): void
    {
        $child = $this->runToItsEnd(
            sprintf('$buffer = Child::buffer(background: %s);', var_export($background, true)) . <<<'PHP'
                Child::add($buffer, 1, 5);
                $pid = Child::fork(static function (): void {
                    global $buffer;
                    Child::report('at first', [$buffer->lastTicket(), $buffer->committedThrough()]);
                    Child::report('thrown', Child::thrownBy(static fn () => $buffer->waitFor(3)));
                    $ticket = $buffer->add(Child::order(101), Child::trades(101));
                    $buffer->waitFor($ticket);
                    Child::report('own', [$ticket, $buffer->lastTicket(), $buffer->committedThrough()]);
                    Child::report('written', (int) Child::connect()->query('SELECT COUNT(*) FROM ' . Child::ORDERS
                        . ' WHERE id = 101')->fetchColumn());
                });
                Child::say(Child::reap($pid));
                $buffer->waitFor(5);
                Child::report('parent', [$buffer->lastTicket(), $buffer->committedThrough()]);
                PHP,
        );
        self::assertStringContainsString("exit 0\n", $child->said(), $child->describe());
        self::assertSame([0, 0], $child->reported('at first'), $child->describe());
        self::assertSame(
            ['ValueError', 'WriteBuffer::waitFor(): Argument #1 ($ticket) must be a ticket of this buffer, which has given none yet'],
            $child->reported('thrown'),
        );
        self::assertSame([1, 1, 1], $child->reported('own'), $child->describe());
        self::assertSame(1, $child->reported('written'), $child->describe());
        self::assertSame([5, 5], $child->reported('parent'), $child->describe());
        $this->assertOrders([...range(1, 5), 101], $child, 'id');
    }
}
