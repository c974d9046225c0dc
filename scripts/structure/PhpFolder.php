<?php

declare(strict_types=1);

namespace Structure;

use PhpToken;

/** The classes of a folder, and which file names which: by `use`, by namespace, or in full. */
final class PhpFolder
{
    private const CLASS_KEYWORDS = [T_CLASS, T_INTERFACE, T_TRAIT, T_ENUM];

    private const NAMES = [T_STRING, T_NAME_QUALIFIED, T_NAME_FULLY_QUALIFIED, T_NAME_RELATIVE];

    /** The word after one of these is not a class. */
    private const MEMBERS = [T_OBJECT_OPERATOR, T_NULLSAFE_OBJECT_OPERATOR, T_DOUBLE_COLON, T_FUNCTION, T_CONST];

    /** @var array<string, list<PhpToken>> */
    private array $tokens = [];

    /** @var array<string, string> files by class */
    private array $classes = [];

    /** @var array<string, string> namespaces by file */
    private array $namespaces = [];

    public function __construct(Tree $tree, string $folder)
    {
        foreach ($tree->files as $path => $text) {
            if (str_starts_with($path, $folder . '/') && str_ends_with($path, '.php')) {
                $this->tokens[$path] = array_values(array_filter(
                    PhpToken::tokenize($text),
                    static fn (PhpToken $token): bool => !$token->isIgnorable()
                ));
                $this->findClasses($path);
            }
        }
    }

    /** @return array<string, string> */
    public function places(): array
    {
        return array_combine(array_keys($this->tokens), array_keys($this->tokens));
    }

    /** @return list<Import> */
    public function imports(): array
    {
        $imports = [];
        foreach ($this->tokens as $path => $tokens) {
            foreach ($this->names($path, $tokens) as [$class, $line]) {
                $file = $this->classes[$class] ?? $path;
                if ($file !== $path) {
                    $imports[] = new Import($path, $line, $file, substr(strrchr('\\' . $class, '\\'), 1));
                }
            }
        }

        return $imports;
    }

    private function findClasses(string $path): void
    {
        $this->namespaces[$path] = '';
        foreach ($this->tokens[$path] as $index => $token) {
            $next = $this->tokens[$path][$index + 1] ?? null;
            if ($token->is(T_NAMESPACE)) {
                $this->namespaces[$path] = $next->text . '\\';
            } elseif ($token->is(self::CLASS_KEYWORDS) && $next?->is(T_STRING)) {
                $this->classes[$this->namespaces[$path] . $next->text] = $path;
            }
        }
    }

    /**
     * The full names of what may be classes, with their lines.
     *
     * @param list<PhpToken> $tokens
     *
     * @return list<array{string, int}>
     */
    private function names(string $path, array $tokens): array
    {
        $names = $aliases = [];
        $depth = 0;
        for ($i = 0; $i < count($tokens); $i++) {
            $token = $tokens[$i];
            if ($token->is(['{', T_CURLY_OPEN, T_DOLLAR_OPEN_CURLY_BRACES])) {
                $depth++;
            } elseif ($token->is('}')) {
                $depth--;
            }
            if ($depth === 0 && $token->is(T_USE) && $tokens[$i + 1]->is(self::NAMES)) {
                foreach ($this->readUse($tokens, $i) as $alias => $class) {
                    $aliases[$alias] = $class;
                    $names[] = [$class, $token->line];
                }
            } elseif ($token->is(self::NAMES) && !($tokens[$i - 1] ?? null)?->is(self::MEMBERS)) {
                $names[] = [$this->fullName($token, $this->namespaces[$path], $aliases), $token->line];
            }
        }

        return $names;
    }

    /**
     * Reads the `use` declaration at $i, and moves $i to its end.
     *
     * @param list<PhpToken> $tokens
     *
     * @return array<string, string> classes by alias
     */
    private function readUse(array $tokens, int &$i): array
    {
        $classes = [];
        $group = $name = '';
        for ($i++; !$tokens[$i]->is([';', T_CLOSE_TAG]); $i++) {
            if ($tokens[$i]->is('{')) {
                $group = $name;
            } elseif ($tokens[$i]->is(T_AS)) {
                $classes[$tokens[++$i]->text] = array_pop($classes);
            } elseif ($tokens[$i]->is(self::NAMES)) {
                $name = ltrim($tokens[$i]->text, '\\');
                if (!$tokens[$i + 1]->is(T_NS_SEPARATOR)) {
                    $class = $group === '' ? $name : $group . '\\' . $name;
                    $classes[substr(strrchr('\\' . $class, '\\'), 1)] = $class;
                }
            }
        }

        return $classes;
    }

    /** @param array<string, string> $aliases */
    private function fullName(PhpToken $token, string $namespace, array $aliases): string
    {
        if ($token->is(T_NAME_FULLY_QUALIFIED)) {
            return substr($token->text, 1);
        }
        if ($token->is(T_NAME_RELATIVE)) {
            return $namespace . substr($token->text, strlen('namespace\\'));
        }
        [$first, $rest] = explode('\\', $token->text, 2) + [1 => null];
        $class = $aliases[$first] ?? $namespace . $first;

        return $rest === null ? $class : $class . '\\' . $rest;
    }
}
