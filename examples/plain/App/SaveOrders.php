<?php

declare(strict_types=1);

namespace App;

use Symfony\Component\Messenger\Handler\{Acknowledger, BatchHandlerInterface, BatchHandlerTrait};
use WriteBuffer\Buffer;

/** Takes ten messages at a time, and acknowledges each one once its row is committed. */
final class SaveOrders implements BatchHandlerInterface
{
    use BatchHandlerTrait;

    public function __construct(private readonly Buffer $buffer)
    {
    }

    public function __invoke(OrderPlaced $order, ?Acknowledger $ack = null): mixed
    {
        return $this->handle($order, $ack);
    }

    private function process(array $jobs): void
    {
        $tickets = array_map(fn (array $job): int => $this->buffer->put('orders', (array) $job[0]), $jobs);
        foreach ($jobs as $n => [, $ack]) {
            try {
                $this->buffer->waitFor($tickets[$n]);
                $ack->ack();
            } catch (\WriteBuffer\Exception $e) {
                $ack->nack($e);
            }
        }
    }
}
