<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Drivers\Php;

use RuntimeException;

/** The driver's own check refused a row, as the server would: its group is given up. */
final class RowRefusedException extends RuntimeException
{
}
