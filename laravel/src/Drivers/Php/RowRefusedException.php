<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Drivers\Php;

use RuntimeException;

/** A row refused by a check of ours, as the server would refuse it: its group is given up. */
final class RowRefusedException extends RuntimeException
{
}
