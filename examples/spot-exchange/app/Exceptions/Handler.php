<?php

declare(strict_types=1);

namespace App\Exceptions;

use Illuminate\Foundation\Exceptions\Handler as ExceptionHandler;
use Illuminate\Http\JsonResponse;
use Throwable;

/** Owns how an exception becomes a response: JSON, and 422 for an order that was rejected. */
class Handler extends ExceptionHandler
{
    /**
     * A rejected order concerns the customer, not the operator.
     *
     * @var string[]
     */
    protected $dontReport = [
        OrderRejectedException::class,
    ];

    public function register(): void
    {
        $this->renderable(static fn (OrderRejectedException $e): JsonResponse => new JsonResponse(
            ['message' => $e->getMessage()],
            JsonResponse::HTTP_UNPROCESSABLE_ENTITY,
        ));
    }

    /** Every route is part of the API. */
    protected function shouldReturnJson($request, Throwable $e): bool
    {
        return true;
    }
}
