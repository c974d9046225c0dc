<?php

declare(strict_types=1);

use App\Http\Controllers\OrderController;
use App\Http\Controllers\TradeController;
use Illuminate\Support\Facades\Route;

Route::post('/orders', [OrderController::class, 'store']);
Route::get('/orders/{id}', [OrderController::class, 'show'])->where('id', '[0-9]{1,18}');
Route::get('/trades', [TradeController::class, 'index']);
