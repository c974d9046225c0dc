<?php

declare(strict_types=1);

namespace WriteBuffer;

/** The buffer was closed. Nothing was taken. The extension's own class wins over this one. */
final class ClosedException extends \RuntimeException implements Exception
{
}
