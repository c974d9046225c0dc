<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Support\Expressions;

/** SQL that says so by its interface, without a text. */
final class Literal implements ExpressionInterface
{
}
