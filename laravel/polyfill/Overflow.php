<?php

declare(strict_types=1);

namespace WriteBuffer;

/**
 * What add() does in the background if a bound is reached. If the extension is loaded,
 * its own enum is used.
 */
enum Overflow: string
{
    case Block = 'block';
    case Throw = 'throw';
}
