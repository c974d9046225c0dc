<?php

declare(strict_types=1);

namespace Structure;

use RuntimeException;

/**
 * A crate's modules, and which file imports what from which.
 *
 * A path is followed to the file that defines its item, through `use`, re-exports and aliases. Two
 * things are no import: to declare a module, and to re-export an item of a module below.
 */
final class RustCrate
{
    private readonly RustModule $root;

    /** @var list<RustModule> */
    private array $modules = [];

    /** @var array<string, true> look-ups under way: a name may refer to itself */
    private array $pending = [];

    public function __construct(private readonly Tree $tree, string $root)
    {
        $this->root = new RustModule($root, dirname($root), null);
        $this->read($this->root);
    }

    /** @return list<string> */
    public static function roots(Tree $tree): array
    {
        return array_values(array_filter(
            array_keys($tree->files),
            static fn (string $path): bool => preg_match('~^(?:.*/)?src/(?:lib|main)\.rs$~', $path) === 1
        ));
    }

    /**
     * Where each file stands: `x.rs` beside the folder `x/` counts as `x/mod.rs`.
     *
     * @return array<string, string>
     */
    public function places(): array
    {
        $places = [];
        foreach ($this->modules as $module) {
            $places[$module->file] ??= $module->file;
            $isFolder = $module->parent !== null && $module->folder !== dirname($module->file);
            foreach ($module->children as $child) {
                if ($isFolder && $child->file !== $module->file) {
                    $places[$module->file] = $module->folder . '/mod.rs';
                }
            }
        }

        return $places;
    }

    /** @return list<Import> */
    public function imports(): array
    {
        $imports = [];
        foreach ($this->modules as $module) {
            foreach ($module->uses as $use) {
                $found = $this->resolve($module, $use->path);
                if ($use->alias === '*' && $found !== null) {
                    $found = [$found[0], '*'];
                }
                $isReexport = $found !== null && $use->isPublic && $found[0]->isBelow($module)
                    && !isset($module->words[$use->alias]);
                if (!$isReexport) {
                    $imports[] = self::import($module, $use->line, $found);
                }
            }
            foreach ($module->paths as [$path, $line]) {
                $imports[] = self::import($module, $line, $this->resolve($module, $path));
            }
        }

        return array_values(array_filter($imports));
    }

    /**
     * Returns null if nothing is imported from another file.
     *
     * @param array{RustModule, ?string}|null $found
     */
    private static function import(RustModule $module, int $line, ?array $found): ?Import
    {
        // To import a module is no import: the paths to its items count.
        if ($found === null || $found[1] === null || $found[0]->file === $module->file) {
            return null;
        }

        return new Import($module->file, $line, $found[0]->file, $found[1]);
    }

    private function read(RustModule $module): void
    {
        $outlined = RustReader::read($this->tree->files[$module->file], $module);
        $this->remember($module);
        foreach ($outlined as [$parent, $name]) {
            $folder = "{$parent->folder}/{$name}";
            $file = isset($this->tree->files["{$folder}.rs"]) ? "{$folder}.rs" : "{$folder}/mod.rs";
            if (!isset($this->tree->files[$file])) {
                throw new RuntimeException("{$parent->file}: no file of its module {$name}");
            }
            $parent->children[$name] = new RustModule($file, $folder, $parent);
            $this->read($parent->children[$name]);
        }
    }

    private function remember(RustModule $module): void
    {
        $this->modules[] = $module;
        foreach ($module->children as $child) {
            $this->remember($child);
        }
    }

    /**
     * Returns the module and the item at the end of a path; no item if the path ends with a module.
     * Returns null if the path leads to another crate.
     *
     * @param list<string> $path
     *
     * @return array{RustModule, ?string}|null
     */
    private function resolve(RustModule $from, array $path): ?array
    {
        $module = $from;
        foreach ($path as $index => $name) {
            $isLast = $index === count($path) - 1;
            if ($name === 'crate') {
                $module = $this->root;
            } elseif ($name === 'super') {
                $module = $module->parent ?? $module;
            } elseif ($name !== 'self') {
                $found = $this->lookUp($module, $name, $isLast);
                if ($found === null && $index === 0) {
                    return null;
                }
                // A macro made a name that is not in the text.
                $found ??= [$module, $name];
                if ($found[1] !== null) {
                    return $found;
                }
                $module = $found[0];
            }
        }

        return [$module, null];
    }

    /** @return array{RustModule, ?string}|null */
    private function lookUp(RustModule $module, string $name, bool $isLast, bool $isGlob = false): ?array
    {
        $child = isset($module->children[$name]) ? [$module->children[$name], null] : null;
        $item = isset($module->items[$name]) ? [$module, $name] : null;
        // A module and a function can have the same name.
        $found = $isLast ? $item ?? $child : $child ?? $item;
        $key = spl_object_id($module) . ' ' . $name;
        if ($found !== null || isset($this->pending[$key])) {
            return $found;
        }
        $this->pending[$key] = true;
        try {
            // A glob takes only what is public.
            $uses = array_filter($module->uses, static fn (RustUse $use): bool => $use->isPublic || !$isGlob);
            foreach ($uses as $use) {
                $found ??= $use->alias === $name ? $this->resolve($module, $use->path) : null;
            }
            foreach ($uses as $use) {
                $glob = $found === null && $use->alias === '*' ? $this->resolve($module, $use->path) : null;
                $found ??= $glob !== null ? $this->lookUp($glob[0], $name, $isLast, true) : null;
            }
        } finally {
            unset($this->pending[$key]);
        }

        return $found;
    }
}
