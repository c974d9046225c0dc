<?php

declare(strict_types=1);

namespace Structure;

/** Reads the modules of one file. */
final class RustReader
{
    private const ITEM_KEYWORDS = ['const', 'enum', 'fn', 'static', 'struct', 'trait', 'type', 'union'];

    private int $at = 0;

    /** @var list<array{RustModule, string}> children with files of their own: parent, name */
    private array $outlined = [];

    /** @param list<RustToken> $tokens the significant ones */
    private function __construct(private readonly array $tokens)
    {
    }

    /** @return list<array{RustModule, string}> children with files of their own: parent, name */
    public static function read(string $text, RustModule $module): array
    {
        $reader = new self(RustToken::significant(RustToken::lex($text)));
        $reader->readBody($module);

        return $reader->outlined;
    }

    private function word(int $offset = 0): string
    {
        return $this->tokens[$this->at + $offset]->text ?? '';
    }

    /** Stops at the brace that ends the module, or at the file's end. */
    private function readBody(RustModule $module): void
    {
        $depth = 0;
        for (; $this->at < count($this->tokens); $this->at++) {
            $token = $this->tokens[$this->at];
            $next = $this->word(1);
            if ($token->text === '{') {
                $depth++;
            } elseif ($token->text === '}') {
                $depth--;
                if ($depth < 0) {
                    return;
                }
            } elseif ($token->kind !== 'word') {
                continue;
            } elseif ($token->text === 'use') {
                $isPublic = in_array($this->word(-1), ['pub', ')'], true);
                $this->at++;
                $this->readUse($module, [], $isPublic);
            } elseif ($token->text === 'mod' && $this->word(2) === ';') {
                $this->outlined[] = [$module, $next];
            } elseif ($token->text === 'mod' && $this->word(2) === '{') {
                $child = new RustModule($module->file, "{$module->folder}/{$next}", $module);
                $module->children[$next] = $child;
                $this->at += 3;
                $this->readBody($child);
            } elseif ($next === '::' && $this->word(-1) !== '::') {
                $this->readPath($module, $token->line);
            } else {
                $module->words[$token->text] = true;
                if ($depth === 0) {
                    $this->readItem($module, $token->text, $next);
                }
            }
        }
    }

    private function readItem(RustModule $module, string $word, string $next): void
    {
        if ($word === 'macro_rules') {
            $module->items[$this->word(2)] = true;
        } elseif (in_array($word, self::ITEM_KEYWORDS, true)) {
            $module->items[$next === 'mut' ? $this->word(2) : $next] = true;
        }
    }

    /** Stops at the path's last word. */
    private function readPath(RustModule $module, int $line): void
    {
        $path = [$this->word()];
        while ($this->word(1) === '::' && ($this->tokens[$this->at + 2]->kind ?? '') === 'word') {
            $this->at += 2;
            $path[] = $this->word();
        }
        $module->paths[] = [$path, $line];
    }

    /**
     * Reads a `use` declaration, or a part of it, from the current token on. Stops after it.
     *
     * @param list<string> $path what precedes it
     */
    private function readUse(RustModule $module, array $path, bool $isPublic): void
    {
        $line = $this->tokens[$this->at]->line;
        while (true) {
            $word = $this->word();
            $this->at++;
            if ($word === '{') {
                while ($this->word() !== '}') {
                    $this->readUse($module, $path, $isPublic);
                    $this->at += $this->word() === ',' ? 1 : 0;
                }
                $this->at++;

                return;
            }
            if ($word === '*') {
                $module->uses[] = new RustUse($path, '*', $isPublic, $line);

                return;
            }
            if ($word !== 'self' || $path === []) {
                // An empty word stands for the `::` before the name of another crate.
                $path[] = $word === '::' ? '' : $word;
            }
            if ($word === '::') {
                continue;
            }
            if ($this->word() !== '::') {
                break;
            }
            $this->at++;
        }
        $alias = end($path);
        if ($this->word() === 'as') {
            $alias = $this->word(1);
            $this->at += 2;
        }
        $module->uses[] = new RustUse($path, $alias, $isPublic, $line);
    }
}
