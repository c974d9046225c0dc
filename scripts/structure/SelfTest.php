<?php

declare(strict_types=1);

namespace Structure;

use RuntimeException;

/** Small projects, and what the rules must find in each: nothing less, nothing more. */
final class SelfTest
{
    /** @return list<string> */
    public static function run(): array
    {
        $findings = [];
        foreach (self::cases() as $name => [$files, $expected]) {
            $found = Rules::findings(new Tree($files));
            if ($found !== $expected) {
                $findings[] = "scripts/structure/SelfTest.php: {$name}: expected:\n" . implode("\n", $expected)
                    . "\nbut found:\n" . implode("\n", $found);
            }
        }

        return [...$findings, ...self::testOfGit()];
    }

    /** @return iterable<string, array{array<string, string>, list<string>}> */
    private static function cases(): iterable
    {
        yield from self::commentLines();
        yield from self::fileLengths();
        yield from self::circlesOfRustFiles();
        yield from self::circlesOfRustFolders();
        yield from self::circlesOfPhp();
    }

    /** @return iterable<string, array{array<string, string>, list<string>}> */
    private static function commentLines(): iterable
    {
        // With what precedes it in the cases below, 100 and 101 characters, and more bytes.
        $fits = str_repeat('ü', 96);
        $long = $fits . '!';
        $files = static fn (string $text): array => [
            'a.rs' => "fn a() {}\n/// {$text}\n",
            'b.rs' => "/*\n  {$text}--\n*/\n",
            'c.c' => "//  {$text}\n",
            'd.php' => "<?php\n/**\n *  {$text}\n */\n#   {$text}\n",
            'e.toml' => "#   {$text}\n",
            'f' => "#!/bin/sh\n  # {$text}\n",
            'g' => "#!/usr/bin/env php\n<?php\n//  {$text}\n",
            'Makefile' => "#   {$text}\n",
        ];
        $lines = ['a.rs:2', 'b.rs:2', 'c.c:1', 'd.php:3', 'd.php:5', 'e.toml:1', 'f:2', 'g:3', 'Makefile:1'];
        yield 'comment lines that fit' => [$files($fits), []];
        yield 'long comment lines' => [$files($long), array_map(
            static fn (string $line): string => "{$line}: a comment line of 101 characters: wrap it at 100",
            $lines
        )];
        yield 'text that looks like comments' => [[
            'a.rs' => "const A: &str = \"\\\"\n// {$long}{$long}\n\";\n"
                . "const B: &str = r#\"\n// \"{$long}{$long}\n\"#;\n",
            'b.php' => "<?php\n\$a = <<<'A'\n    # {$long}{$long}\n    A;\n#[B('{$long}{$long}')]\nfunction c() {}\n",
            'c.md' => "# {$long}{$long}\n",
            'd' => "#!/bin/sh {$long}{$long}\necho # {$long}{$long}\n",
        ], []];
        yield 'comments after text that looks like more text' => [[
            'a.rs' => "const A: &str = r\"\\\";\n//  {$long}\nconst B: &[u8] = br##\"\"#\"##;\n//  {$long}\n"
                . "const C: char = '\"';\n//  {$long}\nconst D: u8 = b'\"';\n/*/* */ {$fits} */\n",
        ], [
            'a.rs:2: a comment line of 101 characters: wrap it at 100',
            'a.rs:4: a comment line of 101 characters: wrap it at 100',
            'a.rs:6: a comment line of 101 characters: wrap it at 100',
            'a.rs:8: a comment line of 107 characters: wrap it at 100',
        ]];
        $link = 'https://example.org/' . str_repeat('a', 100);
        yield 'long links' => [[
            'a.rs' => "/// {$link}\n/// - <{$link}>\n/// [a]: {$link}\n/// | a | [b]({$link}) |\n",
            'b.php' => "<?php\n/**\n * @see {$link}\n */\n",
        ], []];
        yield 'text beside long links' => [[
            'a.rs' => "/// See {$link}\n/// {$link} too\n/// | {$long} | [b]({$link}) |\n",
        ], [
            'a.rs:1: a comment line of 128 characters: wrap it at 100',
            'a.rs:2: a comment line of 128 characters: wrap it at 100',
            'a.rs:3: a comment line of 233 characters: wrap it at 100',
        ]];
    }

    /** @return iterable<string, array{array<string, string>, list<string>}> */
    private static function fileLengths(): iterable
    {
        $fits = str_repeat("a();\n", 400);
        $finding = ':1: 401 lines of code: split the file, or give the reason in scripts/long-files.txt;'
            . ' 400 are allowed';
        yield 'files that fit' => [[
            'a.rs' => "// a\n\n/* a\n */\n" . $fits . "#[cfg(test)]\n#[rustfmt::skip]\nmod tests {\n{$fits}}\n",
            'b.rs' => "#[cfg(all(test, unix))]\nuse a::{b};\n#[cfg(test)]\nconst B: [u8; 1] = [0];\n" . $fits,
            'c.php' => "<?php\n/**\n * c\n */\n\n" . substr($fits, 5),
            'd' => "#!/bin/sh\n# d\n\n" . substr($fits, 5),
            'e.md' => $fits . $fits,
        ], []];
        yield 'long files' => [[
            'a.rs' => $fits . "fn a() {} // a\n",
            'b.rs' => "#[cfg(not(test))]\n" . $fits,
            'c.php' => "<?php\n" . $fits,
            'd' => "#!/bin/sh\n" . $fits,
        ], ["a.rs{$finding}", "b.rs{$finding}", "c.php{$finding}", "d{$finding}"]];
        yield 'a list of long files' => [[
            'a.rs' => $fits . "fn a() {}\n",
            'scripts/long-files.txt' => "# path: reason\na.rs: it is a table\n",
        ], []];
        yield 'a list with lines to delete' => [[
            'a.rs' => $fits,
            'b.rs' => $fits . "fn b() {}\n",
            'scripts/long-files.txt' => "a.rs: it was long\nc.rs: it is gone\n\nb.rs:\n",
        ], [
            'scripts/long-files.txt:1: a.rs is no long file: delete the line',
            'scripts/long-files.txt:2: c.rs is no long file: delete the line',
            'scripts/long-files.txt:4: write "path: reason"',
            "b.rs{$finding}",
        ]];
    }

    /** @return iterable<string, array{array<string, string>, list<string>}> */
    private static function circlesOfRustFiles(): iterable
    {
        $crate = static fn (string $a, string $b, string $root = "mod a;\npub(crate) mod b;"): array => [
            'src/lib.rs' => $root,
            'src/a.rs' => $a . "\npub struct A;",
            'src/b.rs' => $b . "\npub enum B {}",
        ];
        $circle = static fn (string ...$imports): array => [self::circle('src', 'files', 'a.rs, b.rs', ...$imports)];
        $aOfB = 'src/a.rs:1: B from src/b.rs';
        $bOfA = 'src/b.rs:1: A from src/a.rs';
        $both = $circle($aOfB, $bOfA);
        $rootAndA = [self::circle(
            'src',
            'files',
            'a.rs, lib.rs',
            'src/a.rs:1: Root from src/lib.rs',
            'src/lib.rs:3: A from src/a.rs'
        )];
        yield 'one way' => [$crate('use crate::b::B;', ''), []];
        yield 'both ways by use' => [$crate('use crate::b::B;', 'use super::a::A;'), $both];
        yield 'in groups' => [$crate('use crate::{b::{self, B as C}};', 'use {std::fmt, super::{a::{A}}};'), $both];
        yield 'by paths' => [$crate('fn a() -> Vec<crate::b::B> {}', 'impl super::a::A {}'), $both];
        yield 'by an imported module' => [
            $crate('use crate::b::{self}; type C = b::B;', 'use super::a as c; fn b(_: c::A) {}'),
            $both,
        ];
        yield 'by an imported module without a use' => [$crate('use crate::b;', 'use crate::a::A;'), []];
        yield 'by a glob' => [
            $crate('use crate::b::*;', 'use crate::a::A;'),
            $circle('src/a.rs:1: * from src/b.rs', $bOfA),
        ];
        yield 'by a re-export' => [
            $crate('use crate::B;', 'use crate::A;', "mod a;\nmod b;\npub use a::A;\npub use b::B;"),
            $both,
        ];
        yield 'by a glob that re-exports' => [
            $crate('use crate::B; impl A { const B: A; }', 'use crate::A;', "mod a;\nmod b;\npub use {a::*, b::*};"),
            $both,
        ];
        yield 'by a private import of the parent' => [
            $crate('use super::B;', 'use super::A;', "mod a;\nmod b;\nuse a::A;\nuse b::B;"),
            $both,
        ];
        yield 'by a name of another crate' => [
            $crate('use crate::b::Other;', 'pub use other::Other; use crate::a::A;'),
            $circle('src/a.rs:1: Other from src/b.rs', $bOfA),
        ];
        yield 'by a name from a macro' => [
            $crate('use crate::b::Made;', 'make! { Made } use crate::a::A;'),
            $circle('src/a.rs:1: Made from src/b.rs', $bOfA),
        ];
        yield 'by a macro' => [
            $crate(
                'use crate::c;',
                'use crate::a::A; macro_rules! c { () => {} } pub(crate) use c;',
                'mod a; mod b; pub use b::*;'
            ),
            $circle('src/a.rs:1: c from src/b.rs', $bOfA),
        ];
        yield 'by a module inside of the file' => [
            $crate("mod c {\n    use super::super::b::B;\n}", 'use crate::a::A;'),
            $circle('src/a.rs:2: B from src/b.rs', $bOfA),
        ];
        yield 'a module inside of the file, and the file' => [
            $crate('mod c { use super::A; }', '', "mod a;\nmod b;\nuse a::A;"),
            [],
        ];
        yield 'in comments, texts, tests, visibilities and other crates only' => [$crate(
            "/// [`crate::b::B`]\nconst A: &str = \"crate::b::B\";\n#[cfg(test)]\nmod tests { use crate::b::B; }\n"
            . "#[cfg(test)] use crate::b::B as C;\npub(in crate::b) fn a(_: ::b::B, _: std::b::B) {}",
            'use crate::a::A;'
        ), []];
        yield 'a crate named like a module' => [
            $crate('use crate::Root;', '', "mod a;\nmod b;\nuse ::a::A;\npub struct Root(::a::A);"),
            [],
        ];
        yield 'a function named like a module' => [
            $crate('use crate::b::B;', '', "mod a;\nmod b;\npub fn b(_: a::A) {}"),
            [],
        ];
        yield 'an imported function named like a module' => [
            $crate('use crate::b;', '', "mod a;\nmod b;\npub fn b(_: a::A) {}"),
            [str_replace('Root', 'b', $rootAndA[0])],
        ];
        yield 'a file that names itself' => [$crate('use crate::a::A as B; use a::a; fn c(_: self::A) {}', ''), []];
        yield 'the root names what a child defines' => [
            $crate('use crate::Root;', '', "mod a;\nmod b;\npub struct Root(a::A);"),
            $rootAndA,
        ];
        yield 'the root imports what a child defines' => [
            $crate('use crate::Root;', '', "mod a;\nmod b;\nuse a::A;\npub struct Root;"),
            $rootAndA,
        ];
        yield 'the root re-exports what a child defines' => [
            $crate('use crate::Root;', '', "mod a;\nmod b;\npub(crate) use a::A;\npub struct Root;"),
            [],
        ];
        yield 'the root re-exports what a child defines, and uses it' => [
            $crate('use crate::Root;', '', "mod a;\nmod b;\npub use a::A;\npub struct Root(A);"),
            $rootAndA,
        ];
        yield 'a file re-exports what another defines' => [
            $crate('pub use crate::b::B;', 'use crate::a::A;'),
            $both,
        ];
        yield 'around three files, beside a fourth' => [[
            'x/src/main.rs' => "mod a;\nmod b;\nmod c;\nmod d;",
            'x/src/a.rs' => 'use crate::b::{B, E}; pub struct A(crate::b::B);',
            'x/src/b.rs' => "use crate::c::C;\npub struct B(crate::d::D);\npub enum E {}",
            'x/src/c.rs' => 'pub struct C(crate::a::A);',
            'x/src/d.rs' => 'pub struct D;',
        ], [self::circle(
            'x/src',
            'files',
            'a.rs, b.rs, c.rs',
            'x/src/a.rs:1: B, E from x/src/b.rs',
            'x/src/b.rs:1: C from x/src/c.rs',
            'x/src/c.rs:1: A from x/src/a.rs'
        )]];
    }

    /** @return iterable<string, array{array<string, string>, list<string>}> */
    private static function circlesOfRustFolders(): iterable
    {
        $crate = static fn (array $files): array => array_combine(
            array_map(static fn (string $path): string => "src/{$path}", array_keys($files)),
            $files
        );
        yield 'two folders' => [$crate([
            'lib.rs' => "mod a;\nmod b;",
            'a/mod.rs' => "mod c;\nmod d;",
            'a/c.rs' => 'use crate::b::e::E;',
            'a/d.rs' => 'pub struct D;',
            'b/mod.rs' => "pub mod e;\npub use crate::a::d::D;",
            'b/e.rs' => 'pub struct E;',
        ]), [self::circle(
            'src',
            'folders',
            'a, b',
            'src/a/c.rs:1: E from src/b/e.rs',
            'src/b/mod.rs:2: D from src/a/d.rs'
        )]];
        yield 'a folder, with its file beside it, and a file' => [$crate([
            'lib.rs' => "mod a;\nmod b;",
            'a.rs' => "mod c;\nuse crate::b::B;",
            'a/c.rs' => 'pub struct C;',
            'b.rs' => 'pub struct B(crate::a::c::C);',
        ]), [self::circle(
            'src',
            'folders',
            'a, b.rs',
            'src/a.rs:2: B from src/b.rs',
            'src/b.rs:1: C from src/a/c.rs'
        )]];
        yield 'a folder inside of a folder, and the outer mod.rs' => [$crate([
            'lib.rs' => 'mod a;',
            'a/mod.rs' => "mod b;\npub struct A(b::B);",
            'a/b/mod.rs' => "mod c;\npub struct B;",
            'a/b/c.rs' => 'use super::super::A;',
        ]), [self::circle(
            'src',
            'folders',
            'a/b, a/mod.rs',
            'src/a/b/c.rs:1: A from src/a/mod.rs',
            'src/a/mod.rs:2: B from src/a/b/mod.rs'
        )]];
        yield 'folders that use those below' => [$crate([
            'lib.rs' => "pub mod a;\npub mod b;\npub use a::c::C;\nfn main() { b::run() }",
            'a/mod.rs' => "pub mod c;\npub trait A {}",
            'a/c.rs' => 'use super::A; pub struct C;',
            'b/mod.rs' => 'use crate::C; pub fn run() {}',
        ]), []];
    }

    /** @return iterable<string, array{array<string, string>, list<string>}> */
    private static function circlesOfPhp(): iterable
    {
        $class = static fn (string $namespace, string $name, string $use, string $body = ''): string =>
            "<?php\nnamespace {$namespace};\n{$use}\nfinal class {$name}\n{\n{$body}\n}\n";
        $folder = 'laravel/src';
        yield 'PHP: two files of a namespace' => [[
            "{$folder}/A.php" => $class('N', 'A', '', 'function a(B $b) {}'),
            "{$folder}/B.php" => $class('N', 'B', '', 'function b() { return new A(); }'),
        ], [self::circle(
            $folder,
            'files',
            'A.php, B.php',
            "{$folder}/A.php:6: B from {$folder}/B.php",
            "{$folder}/B.php:6: A from {$folder}/A.php"
        )]];
        yield 'PHP: names of other things' => [[
            "{$folder}/A.php" => $class('N', 'A', '', 'function a(B $b) {}'),
            "{$folder}/B.php" => $class(
                'N',
                'B',
                '',
                "/** {@see A} */\nconst A = 'A';\nfunction A() { \$this->A(self::A, \$this?->A, '\\N\\A'); }"
            ),
        ], []];
        yield 'PHP: names of other namespaces' => [[
            "{$folder}/A.php" => $class('N', 'A', '', 'function a(B $b, C $c, D $d) {}'),
            "{$folder}/B.php" => $class('N', 'B', 'use Other\A;', 'function b(A $a) {}'),
            "{$folder}/C.php" => $class('N', 'C', 'use Other\B as A;', 'function b(A $a, Other\A $b) {}'),
            "{$folder}/D.php" => $class('N', 'D', '', 'function b(\A $a, \Other\A $b) {}'),
        ], []];
        yield 'PHP: names in full' => [[
            "{$folder}/A.php" => $class('N', 'A', '', 'function a(namespace\B $b) {}'),
            "{$folder}/B.php" => $class('N', 'B', '', 'function b(\N\A $a) {}'),
        ], [self::circle(
            $folder,
            'files',
            'A.php, B.php',
            "{$folder}/A.php:6: B from {$folder}/B.php",
            "{$folder}/B.php:6: A from {$folder}/A.php"
        )]];
        yield 'PHP: two folders' => [[
            "{$folder}/C/A.php" => $class('N\C', 'A', 'use N\D\{B as E, F};'),
            "{$folder}/C/G.php" => $class('N\C', 'G', ''),
            "{$folder}/D/B.php" => $class('N\D', 'B', 'use N\C;', 'use C\G;'),
            "{$folder}/D/F.php" => $class('N\D', 'F', ''),
        ], [self::circle(
            $folder,
            'folders',
            'C, D',
            "{$folder}/C/A.php:3: B from {$folder}/D/B.php",
            "{$folder}/C/A.php:3: F from {$folder}/D/F.php",
            "{$folder}/D/B.php:6: G from {$folder}/C/G.php"
        )]];
        yield 'PHP: one way' => [[
            "{$folder}/C/A.php" => $class('N\C', 'A', 'use N\D\B;'),
            "{$folder}/D/B.php" => $class('N\D', 'B', '', 'function b(F $f) {}'),
            "{$folder}/D/F.php" => $class('N\D', 'F', ''),
        ], []];
    }

    /** A tree has a repository's new files, but no ignored or deleted ones. */
    private static function testOfGit(): array
    {
        $folder = sys_get_temp_dir() . '/write-buffer-structure-' . bin2hex(random_bytes(8));
        mkdir($folder);
        try {
            foreach (['.gitignore', 'added.rs', 'deleted.rs', 'ignored.rs', 'new.rs'] as $path) {
                file_put_contents("{$folder}/{$path}", "ignored.rs\n");
            }
            self::git($folder, 'init', '--quiet');
            self::git($folder, 'add', '.gitignore', 'added.rs', 'deleted.rs');
            unlink("{$folder}/deleted.rs");
            $paths = array_keys(Tree::ofGit($folder)->files);
            sort($paths);
            $found = implode(', ', $paths);

            return $found === '.gitignore, added.rs, new.rs' ? [] : ["scripts/structure/Tree.php: found {$found}"];
        } finally {
            self::execute(['rm', '-rf', $folder]);
        }
    }

    private static function git(string $folder, string ...$arguments): void
    {
        self::execute(['git', '-C', $folder, ...$arguments]);
    }

    /** @param list<string> $command */
    private static function execute(array $command): void
    {
        if (proc_close(proc_open($command, [], $pipes)) !== 0) {
            throw new RuntimeException('failed: ' . implode(' ', $command));
        }
    }

    private static function circle(string $root, string $kind, string $members, string ...$imports): string
    {
        return "{$root}: a circle of {$kind}: {$members}; move what they share to a file below them:"
            . implode('', array_map(static fn (string $import): string => "\n    {$import}", $imports));
    }
}
