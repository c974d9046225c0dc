<?php

declare(strict_types=1);

namespace WriteBuffer;

/**
 * The group alone passes maxPendingRows or maxPendingBytes. It was not taken, and never will be. If
 * the extension is loaded, its own class is used.
 */
final class TooLargeException extends \LengthException implements NotTaken
{
}
