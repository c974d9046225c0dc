<?php

declare(strict_types=1);

use Illuminate\Database\Migrations\Migration;
use Illuminate\Support\Facades\Config;
use Illuminate\Support\Facades\DB;

return new class () extends Migration {
    /**
     * The ledger of the extension write_buffer. After a lost connection it tells whether the last
     * COMMIT was carried out. The extension makes this table, if its account may create tables. The
     * account needs SELECT, INSERT and UPDATE on it, and DELETE to clean up.
     */
    public function up(): void
    {
        // Plain SQL, since the schema builder has no words for one column's character set and for
        // ON UPDATE. Without a prefix, since the extension adds none.
        foreach ($this->tables() as $table) {
            DB::statement("CREATE TABLE IF NOT EXISTS {$table} ("
                . '`writer` CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL, '
                . '`lane` SMALLINT UNSIGNED NOT NULL, '
                . '`last_transaction` BIGINT UNSIGNED NOT NULL, '
                . '`position` VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL, '
                . '`connection` BIGINT UNSIGNED NOT NULL, '
                . '`updated_at` TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, '
                . 'PRIMARY KEY (`writer`, `lane`)) ENGINE = InnoDB');
        }
    }

    public function down(): void
    {
        foreach ($this->tables() as $table) {
            DB::statement("DROP TABLE IF EXISTS {$table}");
        }
    }

    /** @return list<string> the quoted names of all buffers' tables */
    private function tables(): array
    {
        $tables = [];
        foreach ((array) Config::get('write-buffer.buffers', []) as $buffer) {
            $table = (string) ($buffer['ledger_table'] ?? '') ?: 'write_buffer_ledger';
            $tables[] = '`' . str_replace('.', '`.`', str_replace('`', '', $table)) . '`';
        }

        return array_values(array_unique($tables));
    }
};
