<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Support\Expressions;

/** SQL as in CakePHP and Laminas: an interface of this name. */
interface ExpressionInterface
{
}
