<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Unit;

use Bench\InstructionFile;
use PHPUnit\Framework\Attributes\DataProvider;
use PHPUnit\Framework\TestCase;

require_once __DIR__ . '/../../bench/lib/InstructionFile.php';

/** How `make test-instructions` judges what it has counted. */
final class InstructionFileTest extends TestCase
{
    private const TOOLS = ['processor' => 'x86_64', 'rustc' => '1.95.0'];

    private const OTHER_TOOLS = ['processor' => 'x86_64', 'rustc' => '1.96.0'];

    /**
     * @dataProvider counts
     *
     * @param array<string, int>    $now
     * @param array<string, string> $tools
     */
    #[DataProvider('counts')]
    public function testComplainsOfWhatHasChanged(array $now, array $tools, bool $isFine): void
    {
        $kept = new InstructionFile(self::TOOLS, ['add' => 10_000, 'write' => 5_000]);
        $complaints = $kept->complaints(new InstructionFile($tools, $now));
        self::assertSame($isFine, $complaints === [], implode("\n", $complaints));
    }

    /** @return array<string, array{array<string, int>, array<string, string>, bool}> */
    public static function counts(): array
    {
        return [
            'as before' => [['add' => 10_000, 'write' => 5_000], self::TOOLS, true],
            'a little more, and less' => [['add' => 10_190, 'write' => 4_910], self::TOOLS, true],
            'more' => [['add' => 10_210, 'write' => 5_000], self::TOOLS, false],
            'less' => [['add' => 10_000, 'write' => 4_890], self::TOOLS, false],
            'nothing counted' => [['add' => 10_000, 'write' => 0], self::TOOLS, false],
            'a figure that is gone' => [['add' => 10_000], self::TOOLS, false],
            'a new figure' => [['add' => 10_000, 'write' => 5_000, 'find' => 1], self::TOOLS, false],
            'more, with another compiler' => [['add' => 10_900, 'write' => 5_000], self::OTHER_TOOLS, true],
            'much more, with another compiler' => [['add' => 11_100, 'write' => 5_000], self::OTHER_TOOLS, false],
            'much less, with another compiler' => [['add' => 5_000, 'write' => 5_000], self::OTHER_TOOLS, true],
        ];
    }

    public function testNamesTheToolsThatDiffer(): void
    {
        $kept = new InstructionFile(self::TOOLS, []);
        self::assertSame('', $kept->otherTools($kept));
        $other = new InstructionFile(['processor' => 'aarch64', 'php' => '8.2.0'], []);
        self::assertSame(
            'processor aarch64 instead of x86_64, php 8.2.0 instead of none, rustc none instead of 1.95.0',
            $kept->otherTools($other),
        );
    }

    public function testCannotCompareProcessors(): void
    {
        $kept = new InstructionFile(self::TOOLS, []);
        self::assertTrue($kept->isComparable(new InstructionFile(self::OTHER_TOOLS, [])));
        self::assertFalse($kept->isComparable(new InstructionFile(['processor' => 'aarch64'], [])));
    }

    public function testComesBackAsItWasWritten(): void
    {
        $path = tempnam(sys_get_temp_dir(), 'write-buffer-test');
        try {
            $file = new InstructionFile(self::TOOLS, ['add()' => 3_671]);
            $file->write($path);
            self::assertEquals($file, InstructionFile::read($path));
        } finally {
            unlink($path);
        }
    }
}
