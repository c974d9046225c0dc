<?php

declare(strict_types=1);

namespace Structure;

use RuntimeException;

/** The text of each file of the project, by its path. */
final class Tree
{
    /** @param array<string, string> $files */
    public function __construct(public readonly array $files)
    {
    }

    /** What git tracks, or would track after `git add`. */
    public static function ofGit(string $folder): self
    {
        // The folder may belong to another user, as in a container.
        $command = ['git', '-C', $folder, '-c', 'safe.directory=*', 'ls-files', '-z', '--cached', '--others'];
        $process = proc_open([...$command, '--exclude-standard'], [1 => ['pipe', 'w']], $pipes);
        $paths = explode("\0", rtrim(stream_get_contents($pipes[1]), "\0"));
        if (proc_close($process) !== 0) {
            throw new RuntimeException('git could not list the files');
        }
        $files = [];
        foreach (array_unique($paths) as $path) {
            $file = $folder . '/' . $path;
            if (is_file($file) && !is_link($file)) {
                $files[$path] = file_get_contents($file);
            }
        }

        return new self($files);
    }
}
