<?php

declare(strict_types=1);

use Illuminate\Database\Migrations\Migration;
use Illuminate\Support\Facades\DB;

return new class () extends Migration {
    /**
     * The ledger of the extension write_buffer, as the extension makes it by itself where its account may: it tells after a lost
     * connection whether the last COMMIT was carried out. That account needs SELECT, INSERT, UPDATE and DELETE on it.
     */
    public function up(): void
    {
        // By no schema builder: the character set of one column and the clock's ON UPDATE are the server's own words. Without a
        // prefix, since its name is the extension's.
        DB::statement('CREATE TABLE IF NOT EXISTS `write_buffer_ledger` ('
            . '`writer` CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL, '
            . '`lane` SMALLINT UNSIGNED NOT NULL, '
            . '`last_transaction` BIGINT UNSIGNED NOT NULL, '
            . '`connection` BIGINT UNSIGNED NOT NULL, '
            . '`updated_at` TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, '
            . 'PRIMARY KEY (`writer`, `lane`)) ENGINE = InnoDB');
    }

    public function down(): void
    {
        DB::statement('DROP TABLE IF EXISTS `write_buffer_ledger`');
    }
};
