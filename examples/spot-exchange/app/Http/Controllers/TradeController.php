<?php

declare(strict_types=1);

namespace App\Http\Controllers;

use App\Http\Requests\ListTradesRequest;
use App\Models\Trade;
use Illuminate\Http\JsonResponse;
use WriteBuffer\Buffer;

/** Owns `GET /trades`. */
final class TradeController
{
    /** Lists a market's trades, the newest first. */
    public function index(ListTradesRequest $request, Buffer $buffer): JsonResponse
    {
        // The answer comes from the table, since a buffer finds rows by their keys alone.
        $buffer->flush();
        $trades = Trade::query()
            ->where('symbol', $request->query('symbol'))
            ->orderByDesc('id')
            ->limit((int) $request->query('limit', (string) ListTradesRequest::LIMIT_DEFAULT))
            ->get();

        return new JsonResponse([
            'trades' => $trades->map(static fn (Trade $trade): array => $trade->getAttributes())->all(),
        ]);
    }
}
