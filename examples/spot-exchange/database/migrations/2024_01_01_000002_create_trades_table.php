<?php

declare(strict_types=1);

use Illuminate\Database\Migrations\Migration;
use Illuminate\Database\Schema\Blueprint;
use Illuminate\Support\Facades\Schema;

return new class () extends Migration {
    public function up(): void
    {
        Schema::create('trades', function (Blueprint $table): void {
            $table->unsignedBigInteger('id')->primary();
            $table->string('symbol', 20);
            $table->unsignedBigInteger('maker_order_id');
            $table->unsignedBigInteger('taker_order_id');
            $table->unsignedBigInteger('maker_user_id');
            $table->unsignedBigInteger('taker_user_id');
            $table->decimal('price', 36, 18);
            $table->decimal('quantity', 36, 18);
            $table->dateTime('executed_at', 6);

            $table->index(['symbol', 'executed_at']);
        });
    }

    public function down(): void
    {
        Schema::dropIfExists('trades');
    }
};
