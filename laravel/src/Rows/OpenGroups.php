<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Rows;

use Closure;
use Fiber;
use WeakMap;

/**
 * Owns the groups that callables are collecting, for one buffer.
 *
 * Invariants, as the extension's:
 * - A group belongs to the fiber that opened it: what another fiber adds meanwhile is not in it.
 * - An inner call joins the group, and takes back its own rows if it throws.
 * - A group is taken when its outermost call ends. If that throws, none of its rows is.
 */
final class OpenGroups
{
    private ?OpenGroup $outsideOfFibers = null;

    /** @var WeakMap<Fiber, OpenGroup> */
    private WeakMap $ofFibers;

    public function __construct()
    {
        $this->ofFibers = new WeakMap();
    }

    /** The group to which rows are added now, if any. */
    public function current(): ?OpenGroup
    {
        $fiber = Fiber::getCurrent();

        return $fiber === null ? $this->outsideOfFibers : $this->ofFibers[$fiber] ?? null;
    }

    /** Whether any group is open, in whichever fiber. */
    public function areAny(): bool
    {
        return $this->outsideOfFibers !== null || count($this->ofFibers) > 0;
    }

    /**
     * Runs a callable, and has its rows taken as one group.
     *
     * @param Closure(OpenGroup): void             $take     gets the group, which is open no longer
     * @param (Closure(OpenGroup, int): void)|null $takeBack is told that the parts from a number on
     *                                                       are gone
     *
     * @param string|null                          $tag      the group's, if it has none yet
     *
     * @return mixed what the callable returns
     */
    public function run(callable $rows, Closure $take, ?Closure $takeBack = null, ?string $tag = null): mixed
    {
        Tag::check($tag, 2);
        $fiber = Fiber::getCurrent();
        $outer = $this->current();
        $group = $outer ?? new OpenGroup();
        [$before, $part, $tagBefore] = [count($group->rows), $group->parts, $group->tag];
        $group->tag ??= $tag;
        $this->set($fiber, $group);
        $isDone = false;
        try {
            $result = $rows();
            $isDone = true;
        } finally {
            if (!$isDone) {
                $group->truncate($before);
                $group->tag = $tagBefore;
            }
            if ($outer === null) {
                $group->isOpen = false;
                $this->set($fiber, null);
            }
            if (!$isDone && $takeBack !== null) {
                $takeBack($group, $part);
            }
        }
        if ($outer === null) {
            $take($group);
        }

        return $result;
    }

    private function set(?Fiber $fiber, ?OpenGroup $group): void
    {
        if ($fiber === null) {
            $this->outsideOfFibers = $group;
        } elseif ($group === null) {
            unset($this->ofFibers[$fiber]);
        } else {
            $this->ofFibers[$fiber] = $group;
        }
    }
}
