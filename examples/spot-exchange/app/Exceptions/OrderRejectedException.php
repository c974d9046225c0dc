<?php

declare(strict_types=1);

namespace App\Exceptions;

use DomainException;

/** The exchange did not take the order: nothing was matched, reserved or saved. */
final class OrderRejectedException extends DomainException
{
}
