<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Console;

use Illuminate\Console\Command;
use WriteBuffer\Laravel\Buffers\BufferManager;
use WriteBuffer\Laravel\Buffers\PackageSettings;

/** Owns `write-buffer:install`: publishes the configuration, and checks what each buffer needs. */
final class InstallCommand extends Command
{
    protected $signature = 'write-buffer:install
        {--migration : publish a migration for the table of the ledger, for an account that may not create tables}
        {--force : overwrite what was published before}';

    protected $description = 'Publish the configuration of the write buffer, and check what it needs';

    public function handle(BufferManager $manager): int
    {
        $tags = ['write-buffer-config', ...($this->option('migration') ? ['write-buffer-migrations'] : [])];
        foreach ($tags as $tag) {
            $this->call('vendor:publish', ['--tag' => $tag, '--force' => (bool) $this->option('force')]);
        }
        $problems = 0;
        foreach (PackageSettings::problems($this->laravel->make('config')->get('write-buffer')) as $problem) {
            $this->warn(ConsoleText::of(ucfirst($problem)));
            $problems++;
        }
        // No buffer is made then.
        $names = $problems > 0 ? [] : $manager->names();
        $default = $manager->getDefaultBuffer();
        if (!in_array($default, $manager->names(), true)) {
            $this->warn(ConsoleText::of("The default buffer of config/write-buffer.php is {$default}, which is not among its"
                . ' buffers: ' . implode(', ', $manager->names()) . '. Correct "default", or WRITE_BUFFER in .env.'));
            $problems++;
        }
        $checks = new BufferChecks($this->laravel, $manager);
        foreach ($names as $name) {
            foreach ($checks->problems($name) as $kind => $problem) {
                if ($kind === BufferChecks::NOTE) {
                    $this->line(ConsoleText::of("Buffer {$name}: {$problem}"));
                    continue;
                }
                $this->warn(ConsoleText::of("Buffer {$name}: {$problem}"));
                $problems++;
            }
            foreach ($checks->remarks($name) as $remark) {
                $this->warn(ConsoleText::of("Buffer {$name}: {$remark}"));
            }
        }
        if ($problems > 0) {
            $this->line('The configuration is in config/write-buffer.php. Correct this, and check again:'
                . ' php artisan write-buffer:install');

            return 1;
        }
        $this->info('All is there. Type-hint WriteBuffer\Buffer, and call add() where you called save() and create().');

        return 0;
    }
}
