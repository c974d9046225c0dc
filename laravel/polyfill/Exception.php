<?php

declare(strict_types=1);

namespace WriteBuffer;

/**
 * Implemented by every exception of a buffer, apart from PHP's own TypeError. If the extension is
 * loaded, its own interface is used.
 */
interface Exception extends \Throwable
{
}
