<?php

declare(strict_types=1);

namespace WriteBuffer;

/**
 * What a column holds if a row meets an earlier one of its key. If the extension is loaded,
 * its own enum is used.
 */
enum Merge: string
{
    case Replace = 'replace';
    case Keep = 'keep';
    case Sum = 'sum';
    case Min = 'min';
    case Max = 'max';
}
