<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Console;

use WriteBuffer\Laravel\Files\OwnFile;

/**
 * Owns what `write-buffer:install` checks of a journal's folder. It makes nothing there: the folder
 * belongs to the user who runs PHP, who may be another one than whoever installs.
 */
final class JournalChecks
{
    /** File systems whose locks and pages two machines do not share. */
    private const NETWORK = ['nfs', 'nfs4', 'cifs', 'smb3', 'smbfs', '9p', 'afs', 'ceph', 'glusterfs', 'fuse.sshfs',
        'fuse.glusterfs', 'fuse.s3fs'];

    /** Those that are memory. */
    private const MEMORY = ['tmpfs', 'ramfs'];

    /**
     * @param string $path   of the folder
     * @param string $public the folder that the web server serves
     *
     * @return iterable<string> what would fail, or harm
     */
    public static function problems(string $path, string $public): iterable
    {
        $real = self::real($path);
        foreach ([$public, ...array_filter(glob("{$public}/*") ?: [], is_link(...))] as $served) {
            $served = realpath($served);
            if ($served !== false && str_starts_with("{$real}/", rtrim($served, '/') . '/')) {
                yield "its journal {$path} is below {$served}, which the web server serves: name another folder, such as"
                    . " storage_path('write-buffer')";
                break;
            }
        }
        $type = self::fileSystem($real);
        if (in_array($type, self::NETWORK, true)) {
            yield "its journal {$path} is on a network's file system ({$type}), whose locks do not tell who lives: name a"
                . ' folder on a disk of this machine';
        }
        clearstatcache();
        if (!file_exists($path)) {
            $parent = dirname($path);
            if (!is_dir($parent) || !is_writable($parent)) {
                yield "its journal {$path} cannot be made: " . (is_dir($parent)
                    ? 'the user ' . OwnFile::user() . " may not write to {$parent}"
                    : "there is no folder {$parent}");
            }

            return;
        }
        if (!is_dir($path)) {
            yield "its journal {$path} is no folder";

            return;
        }
        if (fileowner($path) !== OwnFile::user()) {
            yield "its journal {$path} is the user " . fileowner($path) . "'s, and this process is the user " . OwnFile::user()
                . ': run this command as the user who runs PHP, or name a folder for each user';
        } elseif (!is_writable($path)) {
            yield "its journal {$path} cannot be written to";
        }
        $mode = (int) fileperms($path) & 0777;
        if (($mode & 0077) !== 0) {
            yield sprintf('its journal %s has the mode %04o, and holds rows: run chmod 700 %s', $path, $mode, $path);
        }
    }

    /** @return iterable<string> what works, and is less than somebody may think */
    public static function remarks(string $path): iterable
    {
        $type = self::fileSystem(self::real($path));
        if (in_array($type, self::MEMORY, true)) {
            yield "its journal {$path} is in memory ({$type}): it survives the process, and neither a power cut nor the end of"
                . ' a container, whatever journal_sync says';
        }
        if ($type === 'overlay') {
            yield "its journal {$path} is in a container's own layer, which goes with the container: mount a volume there";
        }
    }

    /** The path with its links followed, as far as it is there. */
    private static function real(string $path): string
    {
        $real = realpath($path);
        if ($real !== false) {
            return $real;
        }
        $parent = dirname($path);

        return $parent === $path ? $path : rtrim(self::real($parent), '/') . '/' . basename($path);
    }

    /** The type of the file system that a path is on, where Linux tells; else an empty text. */
    private static function fileSystem(string $path): string
    {
        $found = ['', ''];
        foreach (@file('/proc/self/mounts') ?: [] as $line) {
            [, $point, $type] = explode(' ', $line) + ['', '', ''];
            $point = rtrim(stripcslashes($point), '/') . '/';
            // The later one lies over an earlier one.
            if (str_starts_with("{$path}/", $point) && strlen($point) >= strlen($found[0])) {
                $found = [$point, $type];
            }
        }

        return $found[1];
    }
}
