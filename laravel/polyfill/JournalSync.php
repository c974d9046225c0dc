<?php

declare(strict_types=1);

namespace WriteBuffer;

/**
 * When what was taken survives the machine. If the extension is loaded, its
 * own enum is used.
 */
enum JournalSync: string
{
    case None = 'none';
    case Interval = 'interval';
    case Always = 'always';
}
