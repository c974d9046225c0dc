<?php

declare(strict_types=1);

namespace WriteBuffer\Synchronous;

use WriteBuffer\NotTaken;

/**
 * The same of a `SyncWriteBuffer`, which keeps nothing: the group was neither taken nor written. If
 * the extension is loaded, its own class is used.
 */
final class TimeoutException extends \WriteBuffer\TimeoutException implements NotTaken
{
}
