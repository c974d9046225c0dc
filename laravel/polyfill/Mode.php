<?php

declare(strict_types=1);

namespace WriteBuffer;

/**
 * How the rows of a table are written. If the extension is loaded,
 * its own enum is used.
 */
enum Mode: string
{
    case Upsert = 'upsert';
    case Insert = 'insert';
}
