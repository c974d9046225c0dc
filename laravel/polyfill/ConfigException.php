<?php

declare(strict_types=1);

namespace WriteBuffer;

/**
 * A setting, a table or a row that cannot work, whatever the state of the server. Nothing was
 * taken. If the extension is loaded, its own class is used.
 */
final class ConfigException extends \InvalidArgumentException implements NotTaken
{
}
