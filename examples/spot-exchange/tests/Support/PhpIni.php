<?php

declare(strict_types=1);

namespace Tests\Support;

/**
 * Owns a folder of ini files for the PHP programs that a test starts: this program's files, and one
 * for the extension. They read it while this object lives.
 */
final class PhpIni
{
    private readonly string $folder;

    private readonly string|false $before;

    public function __construct(string $extension)
    {
        $this->folder = sys_get_temp_dir() . '/exchange-ini-' . bin2hex(random_bytes(8));
        mkdir($this->folder, 0700);
        foreach (array_filter(array_map('trim', explode(',', (string) php_ini_scanned_files()))) as $file) {
            symlink($file, "{$this->folder}/" . basename($file));
        }
        file_put_contents("{$this->folder}/90-write_buffer.ini", "extension = \"{$extension}\"\n");
        $this->before = getenv('PHP_INI_SCAN_DIR');
        putenv("PHP_INI_SCAN_DIR={$this->folder}");
    }

    public function __destruct()
    {
        putenv($this->before === false ? 'PHP_INI_SCAN_DIR' : "PHP_INI_SCAN_DIR={$this->before}");
        array_map('unlink', glob("{$this->folder}/*") ?: []);
        rmdir($this->folder);
    }
}
