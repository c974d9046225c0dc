<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Support\Expressions;

/** SQL whose class has another name, below one that says what it is. */
final class RawSum extends Expression
{
}
