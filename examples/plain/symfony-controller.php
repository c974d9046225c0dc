<?php

declare(strict_types=1);

// php -S 127.0.0.1:8080 symfony-controller.php
// curl -d '{"id":7,"customer":"Ada","total":"9.90"}' http://127.0.0.1:8080/

use App\OrderController;
use Symfony\Component\EventDispatcher\EventDispatcher;
use Symfony\Component\HttpFoundation\Request;
use Symfony\Component\HttpKernel\Controller\ControllerResolver;
use Symfony\Component\HttpKernel\HttpKernel;

require __DIR__ . '/bootstrap.php';
require 'Symfony/Component/HttpKernel/autoload.php';    // of Debian's package; yours is vendor/autoload.php
require __DIR__ . '/App/OrderController.php';

$buffer = new WriteBuffer(getenv('DATABASE_URL'), persistent: 'orders');

$request = Request::createFromGlobals();
$request->attributes->set('_controller', [new OrderController($buffer), 'place']);    // your routes do this

$kernel = new HttpKernel(new EventDispatcher(), new ControllerResolver());
$response = $kernel->handle($request);
$response->send();
$kernel->terminate($request, $response);
