<?php

declare(strict_types=1);

namespace WriteBuffer;

/**
 * Rows were given up: they are failures. If the extension is loaded, its own class is used.
 */
final class RefusedException extends FlushException
{
}
