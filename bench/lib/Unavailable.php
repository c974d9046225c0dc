<?php

declare(strict_types=1);

namespace Bench;

use RuntimeException;

/** A contestant that this build of the extension does not have. */
final class Unavailable extends RuntimeException
{
}
