<?php

declare(strict_types=1);

namespace Bench;

use PDO;

/** The tables of examples/spot-exchange without the balances. */
final class Schema
{
    private const ORDERS = '(
        id BIGINT UNSIGNED NOT NULL PRIMARY KEY,
        user_id BIGINT UNSIGNED NOT NULL,
        symbol VARCHAR(20) NOT NULL,
        side VARCHAR(4) NOT NULL,
        type VARCHAR(6) NOT NULL,
        price DECIMAL(36,18) NULL,
        quantity DECIMAL(36,18) NOT NULL,
        filled_quantity DECIMAL(36,18) NOT NULL,
        status VARCHAR(16) NOT NULL,
        created_at DATETIME(6) NOT NULL,
        updated_at DATETIME(6) NOT NULL';

    private const ORDERS_INDEXES = ',
        INDEX orders_user_id_created_at_index (user_id, created_at),
        INDEX orders_symbol_status_index (symbol, status)';

    private const TRADES = '(
        id BIGINT UNSIGNED NOT NULL PRIMARY KEY,
        symbol VARCHAR(20) NOT NULL,
        maker_order_id BIGINT UNSIGNED NOT NULL,
        taker_order_id BIGINT UNSIGNED NOT NULL,
        maker_user_id BIGINT UNSIGNED NOT NULL,
        taker_user_id BIGINT UNSIGNED NOT NULL,
        price DECIMAL(36,18) NOT NULL,
        quantity DECIMAL(36,18) NOT NULL,
        executed_at DATETIME(6) NOT NULL';

    private const TRADES_INDEXES = ',
        INDEX trades_symbol_executed_at_index (symbol, executed_at)';

    private const OPTIONS = ') ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci';

    public static function drop(PDO $pdo): void
    {
        $pdo->exec('DROP TABLE IF EXISTS orders, trades');
    }

    /** Drops both tables and creates them, empty. */
    public static function create(PDO $pdo): void
    {
        self::drop($pdo);
        $pdo->exec('CREATE TABLE orders ' . self::ORDERS . self::ORDERS_INDEXES . self::OPTIONS);
        $pdo->exec('CREATE TABLE trades ' . self::TRADES . self::TRADES_INDEXES . self::OPTIONS);
    }

    /** Empties both tables. They are like new ones then. */
    public static function truncate(PDO $pdo): void
    {
        $pdo->exec('TRUNCATE TABLE orders');
        $pdo->exec('TRUNCATE TABLE trades');
    }

    /** Creates tables without indexes, with the rows from which the server fills the others. */
    public static function createStaging(PDO $pdo): void
    {
        $pdo->exec('DROP TABLE IF EXISTS staging_orders, staging_trades');
        $pdo->exec('CREATE TABLE staging_orders ' . self::ORDERS . self::OPTIONS);
        $pdo->exec('CREATE TABLE staging_trades ' . self::TRADES . self::OPTIONS);
    }
}
