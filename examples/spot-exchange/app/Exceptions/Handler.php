<?php

declare(strict_types=1);

namespace App\Exceptions;

use Illuminate\Foundation\Exceptions\Handler as ExceptionHandler;
use Illuminate\Http\JsonResponse;
use Throwable;

class Handler extends ExceptionHandler
{
    /**
     * An order that the exchange refuses is the customer's business, not the operator's.
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

    /** There is nothing here but the API. */
    protected function shouldReturnJson($request, Throwable $e): bool
    {
        return true;
    }
}
