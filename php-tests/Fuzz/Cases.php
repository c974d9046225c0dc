<?php

namespace WriteBuffer\Tests\Fuzz;

/** The cases: a call of each method that reads what it is given. */
final class Cases
{
    /** One case. */
    public static function run(): void
    {
        World::replace(World::$parts, []);
        World::replace(World::$junk, []);
        World::$buffer ??= World::newBuffer();
        $buffer = World::$buffer;
        switch (World::pick(17)) {
            case 0:
            case 1:
                World::replace(World::$given, Given::anyRow());
                $buffer->put('t', World::$given);
                break;
            case 2:
            case 3:
                World::replace(World::$given, Given::anyRows());
                $buffer->put('t', World::$given);
                break;
            case 4:
                $order = Given::anyRow();
                $trades = Given::anyRows();
                World::$parts[] = &$order;
                World::$parts[] = &$trades;
                $buffer->add($order, $trades);
                break;
            case 5:
                World::replace(World::$given, Given::failures());
                $buffer->retry(World::$given);
                break;
            case 6:
                $id = World::pick(2) === 0 ? 5 : Given::value();
                World::$parts[] = &$id;
                World::replace(World::$given, ['id' => &$id]);
                // The name is an object, which PHP converts.
                $buffer->find(new class () {
                    public function __toString(): string
                    {
                        World::mutate();

                        return 't';
                    }
                }, World::pick(3) === 0 ? Given::value() : World::$given);
                break;
            case 7:
                World::replace(World::$given, Given::rules());
                // PHP hears of a number that is no int, and calls the error handler.
                $made = new \WriteBuffer(new class () {
                    public function __toString(): string
                    {
                        World::mutate();

                        return 'memory:';
                    }
                }, background: false, batchSize: 10.5, tables: World::$given);
                World::replace(World::$buffer, $made);
                break;
            case 13:
                file_put_contents(World::file(), Given::lines(), FILE_APPEND);
                \WriteBuffer\DeadLetterFile::retry($buffer, new class () {
                    public function __toString(): string
                    {
                        World::mutate();

                        return World::file();
                    }
                });
                break;
            case 14:
                // PHP hears of a number that is no int, and calls the error handler.
                $buffer->waitFor($buffer->lastTicket() + 0.5, World::pick(3) === 0 ? 0.5 : null);
                break;
            case 15:
                $buffer->put('t', ['id' => 1 + World::pick(20), 'a' => World::text()]);
                $buffer->waitFor($buffer->lastTicket());
                break;
            case 16:
                World::replace(World::$given, $buffer->failures());
                World::mutate();
                $buffer->retry(World::pick(2) === 0 ? $buffer->takeFailures() : World::$given ?? []);
                break;
            case 10:
            case 11:
            case 12:
                World::replace(World::$given, Given::anyImport());
                World::replace(World::$progress, World::pick(2) === 0 ? null : Given::callable(static function (): mixed {
                    World::mutate();

                    return Given::value();
                }));
                $buffer->putAll('t', World::$given, World::$progress);
                break;
            case 8:
            case 9:
                $gather = static function () use ($buffer): mixed {
                    for ($calls = World::pick(4); $calls > 0; $calls--) {
                        World::mutate();
                        World::replace(World::$given, Given::anyRows());
                        $buffer->put('t', World::$given);
                        $buffer->find('t', 1 + World::pick(20));
                    }
                    World::mutate();

                    return Given::value();
                };
                World::replace(World::$given, Given::callable($gather));
                $buffer->group(World::$given);
                break;
        }
    }
}
