<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Tests\Support;

use Illuminate\Foundation\Exceptions\Handler;
use Throwable;

/** Laravel's exception handler, which also keeps what was reported to it. */
final class RecordingHandler extends Handler
{
    /** @var list<Throwable> */
    public array $reported = [];

    public function report(Throwable $e): void
    {
        $this->reported[] = $e;
    }
}
