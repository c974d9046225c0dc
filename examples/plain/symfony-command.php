<?php

declare(strict_types=1);

// php symfony-command.php import:products products.jsonl

use App\ImportProducts;
use Symfony\Component\Console\Application;

require __DIR__ . '/bootstrap.php';
require 'Symfony/Component/Console/autoload.php';       // of Debian's package; yours is vendor/autoload.php
require __DIR__ . '/App/ImportProducts.php';

$application = new Application();
$application->addCommands([new ImportProducts(new WriteBuffer(getenv('DATABASE_URL')))]);
$application->run();
