<?php

declare(strict_types=1);

namespace WriteBuffer;

/**
 * Another try may help. With NotTaken: make the same call again. Without: the rows are buffered, so
 * call flush(). If the extension is loaded, its own interface is used.
 */
interface Retryable extends Exception
{
}
