<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Support;

/** An application's own enum, with words that the extension's have, too. */
enum OwnWords: string
{
    case Upsert = 'upsert';
    case Block = 'block';
}
