<?php

declare(strict_types=1);

namespace WriteBuffer;

/**
 * The buffer was closed. Nothing was taken. If the extension is loaded, its own class is used.
 */
final class ClosedException extends \LogicException implements NotTaken
{
}
