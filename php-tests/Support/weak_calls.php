<?php

// No declare(strict_types=1), so PHP converts the arguments of these calls.

namespace WriteBuffer\Tests\Support;

/** @return array<string, mixed> */
function settings_of_a_buffer_made_weakly(): array
{
    $buffer = new \WriteBuffer('memory:', '10', '20000', 2.0, '', tables: [], maxPendingRows: '30');
    $buffer->put(5, ['id' => 1]);
    $flushed = $buffer->flush('1000');

    return ['flushed' => $flushed] + $buffer->__debugInfo();
}

function wrong_weak_call(): void
{
    new \WriteBuffer('memory:', 'many');
}
