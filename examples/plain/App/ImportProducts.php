<?php

declare(strict_types=1);

namespace App;

use Symfony\Component\Console\Attribute\AsCommand;
use Symfony\Component\Console\Command\Command;
use Symfony\Component\Console\Helper\ProgressBar;
use Symfony\Component\Console\Input\{InputArgument, InputInterface};
use Symfony\Component\Console\Output\OutputInterface;
use WriteBuffer\Buffer;

#[AsCommand('import:products')]
final class ImportProducts extends Command
{
    public function __construct(private readonly Buffer $buffer)
    {
        parent::__construct();
        $this->addArgument('file', InputArgument::REQUIRED, 'a JSON object a line');
    }

    protected function execute(InputInterface $input, OutputInterface $output): int
    {
        $lines = (function (string $path): \Generator {
            for ($file = fopen($path, 'r'); ($line = fgets($file)) !== false;) {
                yield json_decode($line, true, flags: JSON_THROW_ON_ERROR);
            }
        })($input->getArgument('file'));
        $progress = new ProgressBar($output);
        $taken = $this->buffer->putAll('products', $lines, $progress->setProgress(...));
        $this->buffer->flush();
        $output->writeln(" {$taken} products");

        return self::SUCCESS;
    }
}
