<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Testing;

use Closure;
use Illuminate\Contracts\Foundation\Application;
use Throwable;
use WeakReference;
use WriteBuffer\Laravel\Buffers\BufferManager;
use WriteBuffer\Laravel\Buffers\PlacedBuffer;
use WriteBuffer\Laravel\Drivers\Php\PhpBuffer;

/**
 * Owns that the rows of the driver `php` end with the application of a test: they are written into
 * the test's own transaction, before that is rolled back, or the test fails with the reason.
 * Without this they would be written when PHP collects the buffer, within another test.
 *
 * A test case tells no provider that it ends. So the one that makes the application is looked up in
 * the call stack, and called back before everything else. If there is none, or rows were added
 * after that, the end of the application itself, which drops this object, does the same.
 */
final class TestEnd
{
    private function __construct(private readonly BufferManager $buffers)
    {
    }

    public function __destruct()
    {
        try {
            $this->writeAll();
        } catch (Throwable $e) {
            trigger_error(
                "WriteBuffer: the test's application is gone before the rows of the driver php were written:"
                . " {$e->getMessage()}. Call flush() in the test",
                E_USER_WARNING,
            );
        }
    }

    public static function register(Application $app, BufferManager $buffers): void
    {
        if (!$app->runningUnitTests()) {
            return;
        }
        $end = new self($buffers);
        $app->instance(self::class, $end);
        foreach (debug_backtrace(DEBUG_BACKTRACE_PROVIDE_OBJECT | DEBUG_BACKTRACE_IGNORE_ARGS) as $frame) {
            $test = $frame['object'] ?? null;
            if ($test !== null && method_exists($test, 'beforeApplicationDestroyed')) {
                // The test holds the callback for longer than the application lives.
                $end = WeakReference::create($end);
                $callback = static function () use ($end): void {
                    $end->get()?->writeAll();
                };
                Closure::bind(fn () => $this->beforeApplicationDestroyed($callback), $test, $test)();

                return;
            }
        }
    }

    /** @throws Throwable what the first flush that failed has met; its rows are dropped */
    private function writeAll(): void
    {
        $thrown = null;
        foreach ($this->buffers->all() as $buffer) {
            $writer = $buffer instanceof PlacedBuffer ? $buffer->inner() : null;
            if (!$writer instanceof PhpBuffer || count($buffer) === 0) {
                continue;
            }
            try {
                $buffer->flush();
            } catch (Throwable $e) {
                $thrown ??= $e;
                $writer->discard();
            }
        }
        if ($thrown !== null) {
            throw $thrown;
        }
    }
}
