<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Chaos\Support\Soak;

/**
 * The tables of the soak. Nobody harms the first five.
 *
 * Each row has a `tag`: the worker and the step that added it last. In a table of upserts `n` is a
 * sum that counts the writes of a row, so `n` and `tag` together say which write came last, and how
 * many there were. A table of inserts has a key of the server's own, so a row that is written twice
 * is there twice.
 */
final class Tables
{
    public const ORDERS = 'wb_soak_orders';
    public const TRADES = 'wb_soak_trades';
    public const TICKS = 'wb_soak_ticks';
    public const ACCOUNTS = 'wb_soak_accounts';
    public const PRICES = 'wb_soak_prices';
    /** Dropped and created. Inserts. */
    public const DROPPED = 'wb_soak_dropped';
    /** Dropped and created, or made anew beside and renamed. Upserts. */
    public const REMADE = 'wb_soak_remade';
    /** Renamed, and renamed back. Upserts. */
    public const RENAMED = 'wb_soak_renamed';
    /** Has a column `extra` now and then. Inserts. */
    public const COLUMNS = 'wb_soak_columns';
    /** The writing account has rights now and then. Upserts. */
    public const RIGHTS = 'wb_soak_rights';
    /** Locked now and then. Upserts. */
    public const LOCKED = 'wb_soak_locked';

    /** A row that the watcher commits now and then, by plain PDO. */
    public const BEAT = 'wb_soak_beat';

    public const EXTRA = 'extra VARCHAR(30) NULL';

    private const UPSERTS = 'id BIGINT PRIMARY KEY, tag BIGINT NOT NULL, n INT NOT NULL';
    private const INSERTS = 'seq BIGINT AUTO_INCREMENT PRIMARY KEY, id BIGINT NOT NULL, tag BIGINT NOT NULL';

    /** @return array<string, string> their definitions */
    public static function definitions(): array
    {
        return [
            self::ORDERS => 'id BIGINT PRIMARY KEY, v VARCHAR(20) NOT NULL, tag BIGINT NOT NULL, n INT NOT NULL',
            self::TRADES => self::INSERTS . ', KEY (id)',
            self::TICKS => self::UPSERTS,
            self::ACCOUNTS => 'id BIGINT PRIMARY KEY, available DECIMAL(20,4) NOT NULL DEFAULT 0,'
                . ' transfers BIGINT NOT NULL DEFAULT 0, tag BIGINT NOT NULL',
            self::PRICES => 'id BIGINT PRIMARY KEY, version BIGINT NOT NULL, tag BIGINT NOT NULL',
            self::DROPPED => self::INSERTS,
            self::REMADE => self::UPSERTS,
            self::RENAMED => self::UPSERTS,
            self::COLUMNS => self::INSERTS . ', ' . self::EXTRA,
            self::RIGHTS => self::UPSERTS,
            self::LOCKED => self::UPSERTS,
            self::BEAT => 'id INT PRIMARY KEY, n BIGINT NOT NULL',
        ];
    }

    /** Another definition of a table that is made anew: other columns in another order. */
    public static function otherDefinition(string $table): string
    {
        return match ($table) {
            self::DROPPED => 'tag BIGINT NOT NULL, id DECIMAL(20,0) NOT NULL, seq BIGINT AUTO_INCREMENT PRIMARY KEY',
            self::REMADE => 'n BIGINT NOT NULL, more INT NULL, tag BIGINT NOT NULL, id BIGINT PRIMARY KEY',
        };
    }

    /** @return array<string, array<string, mixed>> their rules */
    public static function rules(): array
    {
        $counted = ['merge' => ['n' => 'sum']];

        return [
            self::ORDERS => $counted,
            self::TICKS => $counted,
            self::ACCOUNTS => ['merge' => ['available' => 'sum', 'transfers' => 'sum']],
            self::PRICES => ['guard' => 'version'],
            self::DROPPED => ['mode' => 'insert'],
            self::REMADE => $counted,
            self::RENAMED => $counted,
            self::COLUMNS => ['mode' => 'insert'],
            self::RIGHTS => $counted,
            self::LOCKED => $counted,
        ];
    }

    /** @return list<string> tables whose rows have a `tag` and `n` */
    public static function upserts(): array
    {
        return [self::ORDERS, self::TICKS, self::REMADE, self::RENAMED, self::RIGHTS, self::LOCKED];
    }

    /** @return list<string> tables whose rows are inserted */
    public static function inserts(): array
    {
        return [self::TRADES, self::DROPPED, self::COLUMNS];
    }
}
