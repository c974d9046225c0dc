<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Support;

enum Priority: int
{
    case Low = 1;
    case High = 9;
}
