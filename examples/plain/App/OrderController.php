<?php

declare(strict_types=1);

namespace App;

use Symfony\Component\HttpFoundation\{JsonResponse, Request};
use WriteBuffer\{Buffer, RefusedException, Retryable};

final class OrderController
{
    public function __construct(private readonly Buffer $buffer)
    {
    }

    /** Answers when the order is in the table. */
    public function place(Request $request): JsonResponse
    {
        $order = $request->toArray();
        try {
            $this->buffer->waitFor($this->buffer->put('orders', $order), timeoutMs: 2_000);
        } catch (RefusedException $refused) {
            error_log($refused->getMessage());

            return new JsonResponse(['error' => 'refused'], 422);
        } catch (Retryable) {                           // no room, no server, too late: it may still be written
            return new JsonResponse(['error' => 'try again with the same id'], 503);
        }

        return new JsonResponse(['id' => $order['id']], 201);
    }
}
