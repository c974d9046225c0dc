<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\DeadLetters;

use WriteBuffer\ConfigException;

/**
 * Owns the ids of the failures that a buffer's retry() has put back: none is put back twice by one
 * object. The extension does the same.
 *
 * Bound: the last IDS_MAX are remembered.
 */
final class PutBack
{
    private const IDS_MAX = 10_000;

    /** @var array<string, true> */
    private array $ids = [];

    /**
     * @param list<mixed> $failures retry()'s
     *
     * @throws ConfigException one was put back already, or is there twice
     */
    public function check(array $failures): void
    {
        $ids = [];
        foreach ($failures as $at => $failure) {
            $id = self::idOf($failure);
            if ($id !== null && isset($this->ids[" {$id}"]) || isset($ids[" {$id}"])) {
                throw new ConfigException(sprintf(
                    'none was put back: failure %d was put back already, by this buffer: its rows would be written twice.'
                        . " Leave it out; if they are to be written twice, take its 'id' away",
                    $at + 1,
                ));
            }
            if ($id !== null) {
                $ids[" {$id}"] = true;
            }
        }
    }

    public function enter(mixed $failure): void
    {
        $id = self::idOf($failure);
        if ($id === null) {
            return;
        }
        $this->ids[" {$id}"] = true;
        if (count($this->ids) > self::IDS_MAX) {
            unset($this->ids[array_key_first($this->ids)]);
        }
    }

    private static function idOf(mixed $failure): ?string
    {
        $id = is_array($failure) ? $failure['id'] ?? null : null;

        return is_string($id) ? $id : null;
    }
}
