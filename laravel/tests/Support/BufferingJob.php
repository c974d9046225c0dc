<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Tests\Support;

use Illuminate\Bus\Queueable;
use Illuminate\Contracts\Queue\ShouldQueue;
use Illuminate\Queue\InteractsWithQueue;
use Illuminate\Support\Facades\DB;
use RuntimeException;
use WriteBuffer\Buffer;
use WriteBuffer\Laravel\Queue\FlushBuffer;

/**
 * A job that notes how many rows the table has, and adds one. It may fail, hang, or leave a
 * transaction open.
 */
final class BufferingJob implements ShouldQueue
{
    use InteractsWithQueue;
    use Queueable;

    /**
     * @var array<int, int> how many rows were there when the job began, by the id of the job's row
     */
    public static array $seen = [];

    public function __construct(
        public readonly int $id,
        public readonly string $what = '',
        public readonly ?int $value = 0,
    ) {
    }

    /** @return list<object> */
    public function middleware(): array
    {
        return $this->what === 'flush' ? [new FlushBuffer()] : [];
    }

    public function handle(Buffer $buffer): void
    {
        self::$seen[$this->id] = DB::table('orders')->count();
        if ($this->what === 'leave open') {
            DB::beginTransaction();
        }
        $buffer->add(['id' => $this->id, 'v' => $this->value]);
        if ($this->what === 'hang') {
            // Somebody kills it.
            echo "taken\n";
            fgets(STDIN);
        }
        if ($this->what === 'fail') {
            throw new RuntimeException('on purpose');
        }
    }
}
