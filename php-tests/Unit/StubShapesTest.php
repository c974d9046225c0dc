<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Unit;

use PHPStan\PhpDocParser\Ast\PhpDoc\ReturnTagValueNode;
use WriteBuffer\Buffer;
use WriteBuffer\FlushException;
use WriteBuffer\Journal;
use WriteBuffer\MemorySink;
use WriteBuffer\Merge;
use WriteBuffer\Mode;
use WriteBuffer\Tests\Support\KeepsJournal;
use WriteBuffer\Tests\Support\MemoryTestCase;
use WriteBuffer\Tests\Support\Shapes;
use WriteBuffer\Tests\Support\StubDocs;

/** The shapes that the stub names, against what the extension returns. */
final class StubShapesTest extends MemoryTestCase
{
    use KeepsJournal;

    protected function setUp(): void
    {
        parent::setUp();
        if (!StubDocs::canBeRead()) {
            self::markTestSkipped(StubDocs::UNREADABLE);
        }
    }

    private static function stub(): StubDocs
    {
        return StubDocs::ofTheStub();
    }

    public function testWhatIsReturnedHasItsShape(): void
    {
        $file = sys_get_temp_dir() . '/wb-shapes-' . bin2hex(random_bytes(6)) . '.jsonl';
        $tables = ['log' => ['mode' => 'insert'], 't' => ['merge' => ['n' => 'sum']]];
        $buffer = $this->buffer(tables: $tables, background: true, lanes: 2, deadLetterFile: $file);
        try {
            $buffer->put('t', ['id' => 1, 'n' => '1.5', 'f' => 0.5, 'nothing' => null]);
            self::assertHasShape('find', $buffer->find('t', 1));
            self::assertHasShape('find', $buffer->find('t', 2));
            $buffer->delete('t', 1);
            self::assertHasShape('find', $buffer->find('t', 1));
            $buffer->put('log', [['id' => 1], ['id' => 1]], tag: 'twice');
            MemorySink::failNext(1451, 100);
            $buffer->group(static function () use ($buffer): void {
                $buffer->delete('t', 3);
                $buffer->put('t', ['id' => 4]);
            });
            try {
                $buffer->flush();
                self::fail('nothing was refused');
            } catch (FlushException $refused) {
                self::assertHasShape('getFailures', $refused->getFailures(), FlushException::class);
            }
            MemorySink::reset();
            self::assertNotSame([], $buffer->failures());
            self::assertHasShape('failures', $buffer->failures());
            self::assertHasShape('getMetrics', $buffer->getMetrics());
            $buffer->put('t', ['id' => 5]);
            $buffer->flush();
            self::assertHasShape('tables', MemorySink::tables(), MemorySink::class);
            $failures = $buffer->takeFailures();
            self::assertHasShape('takeFailures', $failures);
            self::assertNull(self::mismatch('FailureToRetry', $failures[0]), 'it can be put back');
            self::assertHasShape('getMetrics', $this->syncBuffer()->getMetrics());
        } finally {
            MemorySink::reset();
            @unlink($file);
        }
    }

    public function testWhatIsReturnedOfAJournalHasItsShape(): void
    {
        $this->makeJournal();
        try {
            // Nobody listens there.
            $dsn = 'mysql://app@127.0.0.1:1/shop';
            $buffer = new \WriteBuffer($dsn, background: true, journal: $this->journal, shutdownTimeoutMs: 1);
            $buffer->put('t', ['id' => 1]);
            self::assertHasShape('inspect', Journal::inspect($this->journal), Journal::class);
            unset($buffer);
            $recovered = Journal::recover($this->journal, $dsn, 1_000);
            self::assertCount(1, $recovered);
            self::assertHasShape('recover', $recovered, Journal::class);
        } finally {
            $this->removeJournal();
        }
    }

    public function testAValueWithoutItsShapeIsFound(): void
    {
        $parked = ['rows' => 1, 'code' => 1146, 'message' => 'gone', 'age_ms' => 0.5];
        self::assertNull(self::mismatch('ParkedTable', $parked));
        self::assertSame("code is 'x', not int", self::mismatch('ParkedTable', ['code' => 'x'] + $parked));
        self::assertSame('age_ms is missing', self::mismatch('ParkedTable', array_diff_key($parked, ['age_ms' => 0])));
        self::assertSame('more is too much', self::mismatch('ParkedTable', $parked + ['more' => 1]));
        self::assertNotNull(self::mismatch('StoredRow', ['a' => true]));
        self::assertNotNull(self::mismatch('StoredRow', [1 => 'a']));
        self::assertNull(self::mismatch('Rules', ['mode' => Mode::Insert, 'merge' => ['a' => 'sum', 'b' => Merge::Max]]));
        self::assertNotNull(self::mismatch('Rules', ['mode' => 'update']));
        self::assertNotNull(self::mismatch('Rules', ['mode' => Merge::Sum]));
    }

    /** A method's value, against the type that it is documented to return. */
    private static function assertHasShape(string $method, mixed $value, string $class = Buffer::class): void
    {
        $shapes = new Shapes(self::stub(), $class);
        $type = null;
        foreach (self::stub()->doc(self::stub()->method($class, $method))->getTags() as $tag) {
            // The one for analysers is the last one.
            $type = $tag->value instanceof ReturnTagValueNode ? $tag->value->type : $type;
        }
        self::assertNotNull($type, $method);
        self::assertNull($shapes->mismatch($type, $value), "{$method}() does not return {$type}");
    }

    /** A value, against a named type of the interface. */
    private static function mismatch(string $alias, mixed $value): ?string
    {
        return (new Shapes(self::stub(), Buffer::class))->mismatch(self::stub()->aliases(Buffer::class)[$alias], $value);
    }
}
