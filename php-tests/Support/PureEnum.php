<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Support;

/** An enum without values. */
enum PureEnum
{
    case Block;
}
