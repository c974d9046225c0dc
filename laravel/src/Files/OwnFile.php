<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Files;

use RuntimeException;

/**
 * Opens files of this process's own user and no others, in whatever folder they are, as the
 * extension does.
 *
 * Invariants, checked on what is open:
 * - The file is a regular one, of this user, and no other user may write to it. What is made here
 *   has mode 0600 from its first moment.
 * - The last part of the path is no link of somebody else's. A link of this user's or of root's is
 *   followed, and so are links further up.
 * - Opening never waits: a FIFO or a device is refused.
 *
 * Bound: LOCK_TIMEOUT_S for a lock.
 */
final class OwnFile
{
    private const LOCK_TIMEOUT_S = 5.0;
    private const LOCK_POLL_US = 5_000;
    /** How often a file is opened anew that was removed between opening and locking it. */
    private const OPENS_MAX = 10;
    /** Links in a row that are followed. */
    private const LINKS_MAX = 8;

    private const TYPE = 0170000;
    private const REGULAR = 0100000;
    private const LINK = 0120000;
    private const WRITABLE_BY_OTHERS = 0022;

    /**
     * Opens and locks a file for reading and writing, and makes it if it may.
     *
     * @param int|float|null $deadline when the caller's time is over, in hrtime()'s nanoseconds
     *
     * @return resource|null null: there is none, and it was not to be made
     *
     * @throws RuntimeException why it is not opened
     */
    public static function locked(string $path, bool $create, int|float|null $deadline = null): mixed
    {
        $limit = min($deadline ?? INF, hrtime(true) + self::LOCK_TIMEOUT_S * 1e9);
        for ($opens = 0; $opens < self::OPENS_MAX; $opens++) {
            clearstatcache(true, $path);
            $handle = self::open($path, $create);
            if ($handle === null) {
                return null;
            }
            while (!flock($handle, LOCK_EX | LOCK_NB)) {
                if (hrtime(true) >= $limit) {
                    throw new RuntimeException("{$path} cannot be locked: another process holds its lock (lsof names it)");
                }
                usleep(self::LOCK_POLL_US);
            }
            // Somebody may have removed it meanwhile: a line in it would be lost.
            if (fstat($handle)['nlink'] > 0) {
                return $handle;
            }
            fclose($handle);
        }

        throw new RuntimeException("{$path} cannot be locked: it is removed again and again");
    }

    /**
     * Opens and locks a file that is there, and does not wait for its lock.
     *
     * @return resource|false|null null: there is none. false: somebody else holds its lock
     *
     * @throws RuntimeException why it is not opened
     */
    public static function lockedNow(string $path): mixed
    {
        clearstatcache(true, $path);
        $handle = self::open($path, false);
        if ($handle === null || !flock($handle, LOCK_EX | LOCK_NB)) {
            return $handle === null ? null : false;
        }

        return fstat($handle)['nlink'] > 0 ? $handle : null;
    }

    /**
     * A new file beside another one, with a name that nobody can foretell.
     *
     * @return string its path
     *
     * @throws RuntimeException it cannot be made
     */
    public static function beside(string $path): string
    {
        $folder = dirname($path);
        // It makes the file with O_EXCL and mode 0600; if it cannot, it takes another folder.
        $made = @tempnam($folder, '.' . substr(basename($path), 0, 40) . '.');
        if ($made === false || realpath(dirname($made)) !== realpath($folder)) {
            if ($made !== false) {
                unlink($made);
            }
            throw new RuntimeException("no file can be made in the folder {$folder}");
        }

        return $made;
    }

    /**
     * The text of a file of this user, or of root or the one that is given.
     *
     * @return string|null null: there is none, it is another user's, or it cannot be read
     */
    public static function text(string $path, ?int $otherUser = null): ?string
    {
        $link = @lstat($path);
        if ($link === false || ($link['mode'] & self::TYPE) !== self::REGULAR) {
            return null;
        }
        // "n": opening waits for nobody.
        $handle = @fopen($path, 'rbn');
        if ($handle === false) {
            return null;
        }
        try {
            $found = fstat($handle);
            $isTrusted = in_array($found['uid'], [self::user(), 0, $otherUser], true);

            return $isTrusted && self::isSame($found, $link) ? (string) stream_get_contents($handle) : null;
        } finally {
            fclose($handle);
        }
    }

    /** The user whose files this process makes. */
    public static function user(): int
    {
        return function_exists('posix_geteuid') ? posix_geteuid() : fstat(tmpfile())['uid'];
    }

    /** @return resource|null */
    private static function open(string $path, bool $create, int $links = 0): mixed
    {
        if ($links > self::LINKS_MAX) {
            throw new RuntimeException("{$path} is a link that leads to no file");
        }
        $link = @lstat($path);
        if ($link === false) {
            if (!$create) {
                return null;
            }
            $handle = self::make($path);
            if ($handle !== false) {
                return $handle;
            }
            // Another process may have made it first.
            clearstatcache(true, $path);
            $link = @lstat($path)
                ?: throw new RuntimeException("{$path} cannot be made: " . (error_get_last()['message'] ?? ''));
        }
        if (($link['mode'] & self::TYPE) === self::LINK) {
            if (!in_array($link['uid'], [self::user(), 0], true)) {
                throw new RuntimeException(self::ofUser($path, 'a link', $link['uid']));
            }
            $target = (string) readlink($path);

            $target = str_starts_with($target, '/') ? $target : dirname($path) . "/{$target}";

            return self::open($target, $create, $links + 1);
        }
        if (($link['mode'] & self::TYPE) !== self::REGULAR) {
            throw new RuntimeException("{$path} is no file");
        }
        $handle = @fopen($path, 'r+bn');
        if ($handle === false) {
            if ($link['uid'] !== self::user()) {
                throw new RuntimeException(self::ofUser($path, 'a file', $link['uid']));
            }
            throw new RuntimeException("{$path} cannot be opened: " . (error_get_last()['message'] ?? ''));
        }
        self::check($path, fstat($handle), $link);

        return $handle;
    }

    /**
     * PHP gives a new file the mode that the process's mask leaves.
     *
     * @return resource|false
     */
    private static function make(string $path): mixed
    {
        $mask = umask(0177);
        try {
            return @fopen($path, 'x+bn');
        } finally {
            umask($mask);
        }
    }

    /**
     * @param array<int|string, int> $found
     * @param array<int|string, int> $link
     */
    private static function check(string $path, array $found, array $link): void
    {
        if (($found['mode'] & self::TYPE) !== self::REGULAR || !self::isSame($found, $link)) {
            throw new RuntimeException("{$path} is no file, or was exchanged for another one");
        }
        if ($found['uid'] !== self::user()) {
            throw new RuntimeException(self::ofUser($path, 'a file', $found['uid']));
        }
        if (($found['mode'] & self::WRITABLE_BY_OTHERS) !== 0) {
            $mode = sprintf('%04o', $found['mode'] & 07777);
            throw new RuntimeException(
                "{$path} can be written to by other users (mode {$mode}): look at what is in it, and run chmod 600"
            );
        }
        if ($found['nlink'] > 1 && (fileperms(dirname($path)) & self::WRITABLE_BY_OTHERS) !== 0) {
            throw new RuntimeException(
                "{$path} has other names too (hard links), in a folder in which others may write: copy it, and remove"
                . ' the other names'
            );
        }
    }

    /**
     * Whether what is open is what stood there: nobody put a link in its place.
     *
     * @param array<int|string, int> $found
     * @param array<int|string, int> $link
     */
    private static function isSame(array $found, array $link): bool
    {
        return [$found['dev'], $found['ino']] === [$link['dev'], $link['ino']];
    }

    private static function ofUser(string $path, string $what, int $user): string
    {
        return "{$path} is {$what} of the user {$user}, and this process is the user " . self::user()
            . ': remove it, or change its owner';
    }
}
