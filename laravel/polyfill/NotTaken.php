<?php

declare(strict_types=1);

namespace WriteBuffer;

/**
 * The group was not taken: the buffer is as it was. If the extension is loaded, its own interface
 * is used.
 */
interface NotTaken extends Exception
{
}
