<?php

declare(strict_types=1);

namespace Structure;

use PhpToken;

/** How comments are written in a file. */
enum Language
{
    case Rust;
    case Php;
    /** Shell, make, TOML and others: a comment begins with `#` and has a line of its own. */
    case Hash;

    private const EXTENSIONS = [
        'rs' => self::Rust,
        'c' => self::Rust,
        'h' => self::Rust,
        'php' => self::Php,
        'bash' => self::Hash,
        'sh' => self::Hash,
        'toml' => self::Hash,
        'ini' => self::Hash,
        'yml' => self::Hash,
        'yaml' => self::Hash,
    ];

    private const HASH_NAMES = ['Makefile', '.editorconfig', '.env.example', '.gitattributes', '.gitignore'];

    /** Null: a file of data or of prose. */
    public static function of(string $path, string $text): ?self
    {
        if (in_array(basename($path), self::HASH_NAMES, true)) {
            return self::Hash;
        }
        if (str_starts_with($text, '#!')) {
            return str_contains(strtok($text, "\n"), 'php') ? self::Php : self::Hash;
        }

        return self::EXTENSIONS[pathinfo($path, PATHINFO_EXTENSION)] ?? null;
    }

    /**
     * The file's lines without comments; a line of comment alone is blank.
     *
     * @return list<string>
     */
    public function code(string $text): array
    {
        $code = match ($this) {
            self::Rust => RustToken::text(RustToken::lex($text)),
            self::Php => self::phpCode($text),
            self::Hash => preg_replace('/^[ \t]*#(?!!).*$/m', '', $text),
        };

        return explode("\n", $code);
    }

    private static function phpCode(string $text): string
    {
        $code = '';
        foreach (PhpToken::tokenize($text) as $token) {
            $isComment = $token->is([T_COMMENT, T_DOC_COMMENT]);
            $code .= $isComment ? str_repeat("\n", substr_count($token->text, "\n")) : $token->text;
        }

        return $code;
    }
}
