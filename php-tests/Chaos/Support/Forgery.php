<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Chaos\Support;

/** An answer that the fault proxy gave in the server's place. */
final class Forgery
{
    private const REPORT = '/^struck (?<name>\S+) connection=\d+ code=(?<code>\d+) when=(?<when>\w+)'
        . ' then=(?<then>\w+) on=(?<way>\w+) (?<text>.*)$/';

    private function __construct(
        public readonly int $code,
        public readonly bool $isCarriedOut,
        public readonly bool $isCut,
        public readonly string $way,
        public readonly string $text,
    ) {
    }

    /** What a line of the proxy says of a fault, if it says so. */
    public static function read(string $name, string $line): ?self
    {
        if (preg_match(self::REPORT, $line, $match) !== 1 || $match['name'] !== $name) {
            return null;
        }

        return new self(
            (int) $match['code'],
            $match['when'] === 'after',
            $match['then'] === 'cut',
            $match['way'],
            $match['text'],
        );
    }

    /** Whether the command carried rows of the load. */
    public function isOfRows(): bool
    {
        return in_array($this->way, ['prepare', 'execute'], true)
            && preg_match('/^(INSERT|UPDATE)/', $this->text) === 1;
    }
}
