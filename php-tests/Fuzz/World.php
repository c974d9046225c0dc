<?php

namespace WriteBuffer\Tests\Fuzz;

use WriteBuffer\DeadLetterFile;
use WriteBuffer\MemorySink;

/** What the callbacks change. */
final class World
{
    /** @var mixed what is given to the buffer, also by reference */
    public static $given;

    /** @var mixed a callable that is given to the buffer */
    public static $progress;

    /** @var array<int, mixed> parts of it, by reference */
    public static $parts = [];

    /** @var \WriteBuffer|null */
    public static $buffer;

    /** @var list<mixed> */
    public static $junk = [];

    public static int $depth = 0;

    /** A buffer, with a time zone now and then. */
    public static function newBuffer(): \WriteBuffer
    {
        return new \WriteBuffer('memory:', background: false, timeZone: self::pick(2) === 0 ? null : 'Asia/Tokyo');
    }

    /** A dead-letter file, with or without lines. */
    public static function file(): string
    {
        return sys_get_temp_dir() . '/write-buffer-fuzz-' . getmypid() . '.jsonl';
    }

    /** The next number below a limit. */
    public static function pick(int $limit): int
    {
        return mt_rand(0, $limit - 1);
    }

    /**
     * A string that can be told from recycled memory. It is no literal, so PHP counts its
     * references.
     */
    public static function text(): string
    {
        $text = str_repeat(chr(97 + self::pick(26)), 1 + self::pick(40));

        return "v:{$text}:" . strlen($text);
    }

    /** Whether a stored value is one that was given. */
    public static function isGiven(mixed $value): bool
    {
        if (!is_string($value)) {
            return $value === null || is_int($value);
        }
        if (preg_match('/^2\d{3}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}$/D', $value) === 1) {
            return true;
        }

        return preg_match('/^v:(([a-z])\2*):(\d+)$/D', $value, $match) === 1 && strlen($match[1]) === (int) $match[3];
    }

    /** What every callback does before it returns. */
    public static function mutate(): void
    {
        if (self::$depth > 2) {
            return;
        }
        self::$depth++;
        try {
            for ($times = self::pick(4); $times > 0; $times--) {
                self::mutateOnce();
            }
        } finally {
            self::$depth--;
        }
    }

    /**
     * Gives a variable another value. The old one ends a little later: PHP 8.2 itself reads freed
     * memory if a destructor changes the variable that is being assigned. For the same reason no
     * variable here has a type.
     *
     * @param mixed $variable
     */
    public static function replace(&$variable, mixed $value): void
    {
        $old = $variable;
        $variable = $value;
    }

    /** Does something while callbacks change nothing. */
    public static function atPeace(callable $act): void
    {
        self::$depth = 9;
        $act();
        self::$depth = 0;
    }

    private static function mutateOnce(): void
    {
        switch (self::pick(15)) {
            case 0:
                self::replace(self::$given, null);
                self::replace(self::$progress, null);
                break;
            case 1:
                foreach (array_keys(self::$parts) as $at) {
                    self::replace(self::$parts[$at], null);
                }
                break;
            case 2:
                foreach (array_keys(self::$parts) as $at) {
                    self::replace(self::$parts[$at], self::pick(2) === 0 ? [1, self::text()] : self::text());
                }
                break;
            case 3:
                if (is_array(self::$given)) {
                    $old = self::$given;
                    foreach (array_keys($old) as $key) {
                        unset(self::$given[$key]);
                    }
                }
                break;
            case 4:
                if (is_array(self::$given)) {
                    self::$given[] = self::text();
                    self::$given['added'] = self::text();
                }
                break;
            case 5:
                self::replace(self::$parts, []);
                break;
            case 6:
            case 7:
                for ($times = 20; $times > 0; $times--) {
                    self::$junk[] = array_fill(0, self::pick(16), 0x4141);
                    self::$junk[] = str_repeat('J', 1 + self::pick(80));
                }
                break;
            case 8:
                self::replace(self::$junk, []);
                break;
            case 9:
                gc_collect_cycles();
                break;
            case 10:
                self::again();
                break;
            case 11:
                if (self::pick(4) === 0) {
                    throw new \DomainException('thrown by a callback');
                }
                break;
            case 12:
                trigger_error('raised by a callback');
                break;
            case 13:
                self::replace(self::$buffer, self::newBuffer());
                break;
            default:
                foreach (self::$parts as &$part) {
                    if (is_array($part)) {
                        self::replace($part, array_slice(array_reverse($part), 1));
                    }
                }
        }
    }

    /** Calls the same buffer. */
    private static function again(): void
    {
        $buffer = self::$buffer;
        try {
            match (self::pick(self::$depth > 1 ? 13 : 16)) {
                0 => $buffer?->put('t', ['id' => 900, 'a' => self::text()]),
                1 => $buffer?->add(Given::row(), Given::rows()),
                2 => $buffer?->find('t', 900),
                3 => $buffer?->flush(),
                4 => $buffer?->takeFailures(),
                5 => $buffer?->group(static function () use ($buffer): void {
                    self::mutate();
                    $buffer->put('t', ['id' => 901, 'a' => self::text()]);
                    self::mutate();
                }),
                6 => $buffer?->group(static fn () => $buffer->find('t', 901)),
                7 => $buffer?->waitFor(self::pick(1 + (int) $buffer->lastTicket()), self::pick(2) === 0 ? null : 0),
                8 => $buffer?->waitFor(1 + $buffer->committedThrough()),
                9 => $buffer?->failures(),
                10 => $buffer?->retry($buffer->takeFailures()),
                11 => $buffer === null ? null : DeadLetterFile::retry($buffer, self::file()),
                12 => MemorySink::failNext([1062, 1213, 2006][self::pick(3)], 1 + self::pick(6)),
                13 => file_put_contents(self::file(), Given::lines(), FILE_APPEND),
                14 => $buffer?->putAll('t', Given::generator(Given::rows()), static fn () => self::mutate()),
                15 => $buffer?->close(),
            };
        } catch (\TypeError | \ValueError | \DomainException | \WriteBuffer\Exception) {
            // Whatever is refused is not taken.
        }
    }
}
