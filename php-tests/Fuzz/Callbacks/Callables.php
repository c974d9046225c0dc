<?php

namespace WriteBuffer\Tests\Fuzz\Callbacks;

use WriteBuffer\Tests\Fuzz\World;

/** A callable, as an object, as a method, and by magic. */
class Callables
{
    /** @var \Closure|null the last one's */
    private static $last;

    /** @param \Closure $act */
    public function __construct(private $act)
    {
        self::$last = $act;
    }

    public function __invoke()
    {
        World::mutate();

        return ($this->act)();
    }

    public function &act()
    {
        $result = ($this->act)();
        World::mutate();

        return $result;
    }

    public function __call($name, $arguments)
    {
        World::mutate();

        return ($this->act)();
    }

    public static function __callStatic($name, $arguments)
    {
        $act = self::$last;
        World::mutate();

        return $act();
    }
}
