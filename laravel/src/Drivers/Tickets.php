<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Drivers;

use ValueError;

/** Owns what waitFor() says of its arguments, in the extension's words. */
final class Tickets
{
    /**
     * @param int  $last        the ticket of the last group that the buffer has taken
     * @param bool $isGathering rows wait that have no ticket yet
     *
     * @return bool false: nothing was taken yet, and there is nothing to wait for
     *
     * @throws ValueError the buffer has given no such ticket; or the time is negative
     */
    public static function check(int $ticket, ?int $timeoutMs, int $last, bool $isGathering): bool
    {
        if ($timeoutMs !== null && $timeoutMs < 0) {
            throw new ValueError('waitFor(): Argument #2 ($timeoutMs) must be 0 or more');
        }
        if ($ticket === 0) {
            return $last === 0 && !$isGathering ? false : throw new ValueError(
                'waitFor(): Argument #1 ($ticket) must be a ticket, and 0 is none: it is what add(), put() and delete()'
                . ' return within group() or a transaction: lastTicket() returns the ticket afterwards',
            );
        }
        if ($ticket < 0 || $ticket > $last) {
            throw new ValueError('waitFor(): Argument #1 ($ticket) must be a ticket of this buffer, which has given '
                . ($last === 0 ? 'none yet' : "those from 1 to {$last}"));
        }

        return true;
    }
}
