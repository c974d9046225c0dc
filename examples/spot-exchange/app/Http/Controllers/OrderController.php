<?php

declare(strict_types=1);

namespace App\Http\Controllers;

use App\Http\Requests\PlaceOrderRequest;
use App\Matching\Trade;
use App\Models\Order;
use App\Services\OrderDesk;
use Illuminate\Http\JsonResponse;
use Symfony\Component\HttpKernel\Exception\NotFoundHttpException;

/** Owns `POST /orders` and `GET /orders/{id}`. */
final class OrderController
{
    public function store(PlaceOrderRequest $request, OrderDesk $desk): JsonResponse
    {
        [$order, $trades] = $desk->place($request->order(...));

        return new JsonResponse([
            'order' => $order->getAttributes(),
            'trades' => array_map(static fn (Trade $trade): array => $trade->getAttributes(), $trades),
        ], JsonResponse::HTTP_CREATED);
    }

    public function show(string $id, OrderDesk $desk): JsonResponse
    {
        $order = Order::findBuffered((int) $id);
        if ($order === null) {
            // Another process may have answered with it a moment ago, and may be writing it now.
            $desk->awaitOthers();
            $order = Order::findBuffered((int) $id) ?? throw new NotFoundHttpException("There is no order {$id}.");
        }

        return new JsonResponse(['order' => $order->getAttributes()]);
    }
}
