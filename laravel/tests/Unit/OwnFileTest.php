<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Tests\Unit;

use PHPUnit\Framework\TestCase;
use RuntimeException;
use WriteBuffer\Laravel\DeadLetters\DeadLetterFile;
use WriteBuffer\Laravel\Drivers\Metrics;
use WriteBuffer\Laravel\Files\OwnFile;
use WriteBuffer\Laravel\Status\StatusFolder;

/** Files in folders in which others may write too. */
final class OwnFileTest extends TestCase
{
    private const NOBODY = 65_534;

    private string $folder;

    protected function setUp(): void
    {
        $this->folder = sys_get_temp_dir() . '/wb-own-' . bin2hex(random_bytes(6));
        mkdir($this->folder, 0700);
    }

    protected function tearDown(): void
    {
        foreach (array_diff((array) scandir($this->folder), ['.', '..']) as $name) {
            unlink("{$this->folder}/{$name}");
        }
        rmdir($this->folder);
    }

    private function file(string $name, int $mode = 0600): string
    {
        file_put_contents("{$this->folder}/{$name}", "{}\n");
        chmod("{$this->folder}/{$name}", $mode);

        return "{$this->folder}/{$name}";
    }

    private static function refusal(callable $open): string
    {
        try {
            $open();
        } catch (RuntimeException $e) {
            return $e->getMessage();
        }

        return 'nothing was refused';
    }

    public function testWhatIsMadeIsItsOwnersFromTheStart(): void
    {
        $mask = umask(0);
        self::assertNull(OwnFile::locked("{$this->folder}/f", false));
        $handle = OwnFile::locked("{$this->folder}/f", true);
        self::assertSame([0600, OwnFile::user()], [fstat($handle)['mode'] & 0777, fstat($handle)['uid']]);
        $beside = OwnFile::beside("{$this->folder}/f");
        self::assertSame([0600, $this->folder], [fileperms($beside) & 0777, dirname($beside)]);
        self::assertNotSame($beside, OwnFile::beside("{$this->folder}/f"));
        self::assertSame(0, umask($mask), 'the mask is as it was');
        self::assertStringContainsString('no file can be made', self::refusal(fn () => OwnFile::beside('/nowhere/f')));
    }

    public function testWhatIsNotOursIsRefused(): void
    {
        $others = [
            'is no file' => $this->folder,
            '(mode 0666)' => $this->file('for-all', 0666),
            '(mode 0620)' => $this->file('for-a-group', 0620),
        ];
        symlink('/dev/zero', "{$this->folder}/device");
        symlink('round', "{$this->folder}/round");
        self::assertTrue(posix_mkfifo("{$this->folder}/fifo", 0600));
        $others += ['zero is no file' => "{$this->folder}/device", 'fifo' => "{$this->folder}/fifo", 'leads to no file' => "{$this->folder}/round"];
        if (OwnFile::user() === 0) {
            chown($others['a file of the user 65534'] = $this->file('theirs'), self::NOBODY);
            symlink($this->file('ours'), $others['a link of the user 65534'] = "{$this->folder}/their-link");
            lchown("{$this->folder}/their-link", self::NOBODY);
        }
        foreach ($others as $why => $path) {
            self::assertStringContainsString($why, self::refusal(static fn () => OwnFile::locked($path, true)));
            self::assertStringContainsString(
                $why,
                self::refusal(static fn () => (new DeadLetterFile($path))->append(
                    ['rows' => [], 'status' => 'refused', 'code' => 1, 'message' => '', 'time' => 1.0],
                )),
            );
            self::assertNull(str_contains($path, 'for-') ? null : OwnFile::text($path), $why);
        }
    }

    public function testLinksOfOurOwnAreFollowed(): void
    {
        symlink('real', "{$this->folder}/link");
        symlink("{$this->folder}/link", "{$this->folder}/again");
        fclose(OwnFile::locked("{$this->folder}/again", true));
        self::assertSame(0600, fileperms("{$this->folder}/real") & 0777);
        fclose(OwnFile::locked("{$this->folder}/again", false));
    }

    public function testALockIsWaitedForInBounds(): void
    {
        $path = $this->file('f');
        $held = fopen($path, 'r+');
        self::assertTrue(flock($held, LOCK_EX));
        $deadline = hrtime(true) + 20e6;
        self::assertStringContainsString(
            'another process holds its lock',
            self::refusal(static fn () => OwnFile::locked($path, true, $deadline)),
        );
        self::assertGreaterThanOrEqual($deadline, hrtime(true));
        fclose($held);
        fclose(OwnFile::locked($path, true, $deadline));
    }

    public function testStatusFilesAreTheirUsersAndNoOthersAreRead(): void
    {
        $folder = new StatusFolder("{$this->folder}/status");
        $folder->publish('default', Metrics::none(), microtime(true));
        [$file] = (array) glob("{$this->folder}/status/*");
        self::assertSame([0700, 0600], [fileperms("{$this->folder}/status") & 0777, fileperms($file) & 0777]);
        $text = file_get_contents($file);
        // Neither is waited for, nor read.
        posix_mkfifo("{$this->folder}/status/fifo.json", 0600);
        file_put_contents("{$this->folder}/elsewhere", $text);
        symlink("{$this->folder}/elsewhere", "{$this->folder}/status/link.json");
        if (OwnFile::user() === 0) {
            file_put_contents("{$this->folder}/status/theirs.json", $text);
            chown("{$this->folder}/status/theirs.json", self::NOBODY);
        }
        self::assertCount(1, $folder->all());
        // A link in the place of our own file is replaced, not followed.
        unlink($file);
        symlink("{$this->folder}/elsewhere", $file);
        $folder->publish('default', ['rows_committed' => 7] + Metrics::none(), microtime(true) + 9);
        self::assertSame([false, $text], [is_link($file), file_get_contents("{$this->folder}/elsewhere")]);
        array_map('unlink', (array) glob("{$this->folder}/status/*"));
        rmdir("{$this->folder}/status");
    }
}
