<?php

declare(strict_types=1);

namespace WriteBuffer;

/**
 * Which transactions are entered in the ledger. If the extension is loaded,
 * its own enum is used.
 */
enum Ledger: string
{
    case Auto = 'auto';
    case Always = 'always';
    case Never = 'never';
}
