<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Drivers\Php;

use WriteBuffer\Laravel\Rows\Row;

/**
 * Groups that were given up: in memory until they are taken, within GROUPS_MAX, and in the dead-letter file, a JSON line each, in the
 * extension's format. While the file cannot be written to, or memory has no room and there is no file, nothing is given up.
 */
final class Failures
{
    private const GROUPS_MAX = 1_000;

    /** @var list<array{rows: list<array{table: string, row: array<string, mixed>}>, code: int, message: string, time: float}> */
    private array $letters = [];

    public function __construct(private readonly ?string $file)
    {
    }

    /**
     * @param list<Row> $group
     *
     * @return array{rows: list<array{table: string, row: array<string, mixed>}>, code: int, message: string, time: float}|string
     *         the letter, or why it could not be kept
     */
    public function keep(array $group, int $code, string $message): array|string
    {
        $letter = [
            'rows' => array_map(
                static fn (Row $row): array => ['table' => $row->table, 'row' => $row->plainValues()],
                $group,
            ),
            'code' => $code,
            'message' => $message,
            'time' => microtime(true),
        ];
        if ($this->file === null && count($this->letters) >= self::GROUPS_MAX) {
            return self::GROUPS_MAX . ' groups that were given up wait for takeFailures(), and there is no deadLetterFile';
        }
        if ($this->file !== null && !$this->append($this->file, $letter)) {
            return "the dead-letter file {$this->file} cannot be written to";
        }
        if (count($this->letters) >= self::GROUPS_MAX) {
            array_shift($this->letters);
        }

        return $this->letters[] = $letter;
    }

    /** @return list<array{rows: list<array{table: string, row: array<string, mixed>}>, code: int, message: string, time: float}> */
    public function take(): array
    {
        [$letters, $this->letters] = [$this->letters, []];

        return $letters;
    }

    public function untakenRows(): int
    {
        return array_sum(array_map(static fn (array $letter): int => count($letter['rows']), $this->letters));
    }

    /** @param array<string, mixed> $letter */
    private function append(string $file, array $letter): bool
    {
        foreach ($letter['rows'] as $at => $row) {
            $letter['rows'][$at]['row'] = array_map(
                static fn (mixed $value): mixed => is_string($value) && preg_match('//u', $value) !== 1
                    ? ['base64' => base64_encode($value)]
                    : $value,
                $row['row'],
            );
        }
        $line = json_encode(
            ['time' => $letter['time'], 'code' => $letter['code'], 'message' => $letter['message'], 'rows' => $letter['rows']],
            JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES | JSON_INVALID_UTF8_SUBSTITUTE | JSON_THROW_ON_ERROR,
        ) . "\n";
        $isNew = !file_exists($file);
        $handle = @fopen($file, 'ab');
        if ($handle === false) {
            return false;
        }
        if ($isNew) {
            chmod($file, 0600);
        }
        $isWritten = flock($handle, LOCK_EX) && fwrite($handle, $line) === strlen($line) && fflush($handle) && fsync($handle);

        return fclose($handle) && $isWritten;
    }
}
