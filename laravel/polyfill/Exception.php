<?php

declare(strict_types=1);

namespace WriteBuffer;

/** Implemented by every exception of a buffer, apart from PHP's own TypeError. The extension's own interface wins. */
interface Exception extends \Throwable
{
}
