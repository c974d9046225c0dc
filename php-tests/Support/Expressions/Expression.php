<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Support\Expressions;

/** SQL as in Laravel 8 and Yii: a class of this name that has a text. */
class Expression
{
    public function __toString(): string
    {
        return 'now()';
    }
}
