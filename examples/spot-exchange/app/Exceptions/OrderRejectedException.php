<?php

declare(strict_types=1);

namespace App\Exceptions;

use DomainException;

/** The exchange rejected the order: nothing was matched, reserved or saved. */
final class OrderRejectedException extends DomainException
{
}
