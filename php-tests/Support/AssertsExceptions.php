<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Support;

/** One way to say that something throws: the class, the whole message and the code. */
trait AssertsExceptions
{
    /** What the callable throws, or null. */
    protected static function thrownBy(callable $act): ?\Throwable
    {
        try {
            $act();
        } catch (\Throwable $thrown) {
            return $thrown;
        }

        return null;
    }

    /**
     * @template T of \Throwable
     *
     * @param class-string<T> $class the exact class
     *
     * @return T
     */
    protected static function assertThrows(string $class, string $message, callable $act, int $code = 0): \Throwable
    {
        $thrown = self::thrownBy($act);
        self::assertNotNull($thrown, "nothing was thrown, expected {$class}: {$message}");
        self::assertSame(
            [$class, $message, $code],
            [get_class($thrown), $thrown->getMessage(), $thrown->getCode()],
        );

        return $thrown;
    }

    /**
     * The same for messages that hold a port, a version or a number of bytes.
     *
     * @template T of \Throwable
     *
     * @param class-string<T> $class
     *
     * @return T
     */
    protected static function assertThrowsMatching(
        string $class,
        string $pattern,
        callable $act,
        int $code = 0,
    ): \Throwable {
        $thrown = self::thrownBy($act);
        self::assertNotNull($thrown, "nothing was thrown, expected {$class}: {$pattern}");
        self::assertSame([$class, $code], [get_class($thrown), $thrown->getCode()], $thrown->getMessage());
        self::assertMatchesRegularExpression($pattern, $thrown->getMessage());

        return $thrown;
    }

    /**
     * The PHP warnings and notices raised while the callable runs.
     *
     * @return list<string>
     */
    protected static function warningsOf(callable $act): array
    {
        $warnings = [];
        set_error_handler(static function (int $level, string $message) use (&$warnings): bool {
            $warnings[] = $message;

            return true;
        });
        try {
            $act();
        } finally {
            restore_error_handler();
        }

        return $warnings;
    }
}
