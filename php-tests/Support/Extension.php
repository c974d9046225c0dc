<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Support;

/** The extension's file, for the PHP processes that tests start. */
final class Extension
{
    /** The file; null if PHP loads the extension by itself. */
    public static function file(): ?string
    {
        $built = dirname(__DIR__, 2) . '/target/release/libwrite_buffer.so';
        foreach ([getenv('WRITE_BUFFER_EXTENSION'), $built] as $file) {
            if (is_string($file) && is_file($file)) {
                return $file;
            }
        }

        return null;
    }
}
