<?php

declare(strict_types=1);

namespace WriteBuffer;

/** A setting, a table or a row that cannot work. Nothing was taken. The extension's own class wins over this one. */
final class ConfigException extends \InvalidArgumentException implements Exception
{
}
