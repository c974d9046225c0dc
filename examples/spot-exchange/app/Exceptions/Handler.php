<?php

declare(strict_types=1);

namespace App\Exceptions;

use Illuminate\Foundation\Exceptions\Handler as ExceptionHandler;

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
}
