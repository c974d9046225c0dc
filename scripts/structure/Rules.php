<?php

declare(strict_types=1);

namespace Structure;

/** All rules. */
final class Rules
{
    /** PHP code whose files and folders must not import each other in circles. */
    private const PHP_FOLDERS = ['laravel/src'];

    /** @return list<string> */
    public static function findings(Tree $tree): array
    {
        $findings = [CommentLines::findings($tree), FileLengths::findings($tree)];
        foreach (RustCrate::roots($tree) as $root) {
            $crate = new RustCrate($tree, $root);
            $findings[] = Circles::findings(dirname($root), $crate->imports(), $crate->places());
        }
        foreach (self::PHP_FOLDERS as $folder) {
            $php = new PhpFolder($tree, $folder);
            $findings[] = Circles::findings($folder, $php->imports(), $php->places());
        }

        return array_merge(...$findings);
    }
}
