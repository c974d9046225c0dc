<?php

declare(strict_types=1);

namespace Structure;

/** What a module declares, imports and names. */
final class RustModule
{
    /** @var array<string, RustModule> */
    public array $children = [];

    /** @var array<string, true> the names that it defines itself */
    public array $items = [];

    /** @var list<RustUse> */
    public array $uses = [];

    /** @var list<array{list<string>, int}> the paths in its code, with their lines */
    public array $paths = [];

    /** @var array<string, true> the words in its code, without paths and `use` declarations */
    public array $words = [];

    /** @param string $folder where the files of its children are */
    public function __construct(
        public readonly string $file,
        public readonly string $folder,
        public readonly ?RustModule $parent
    ) {
    }

    public function isBelow(self $module): bool
    {
        $above = $this->parent;
        while ($above !== null && $above !== $module) {
            $above = $above->parent;
        }

        return $above !== null;
    }
}
