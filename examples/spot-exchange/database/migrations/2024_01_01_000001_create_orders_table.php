<?php

declare(strict_types=1);

use Illuminate\Database\Migrations\Migration;
use Illuminate\Database\Schema\Blueprint;
use Illuminate\Support\Facades\Schema;

return new class () extends Migration {
    public function up(): void
    {
        Schema::create('orders', function (Blueprint $table): void {
            // The exchange makes the id, so it is known before the row is saved.
            $table->unsignedBigInteger('id')->primary();
            $table->unsignedBigInteger('user_id');
            $table->string('symbol', 20);
            $table->string('side', 4);
            $table->string('type', 6);
            $table->decimal('price', 36, 18)->nullable();
            $table->decimal('quantity', 36, 18);
            $table->decimal('filled_quantity', 36, 18);
            $table->string('status', 16);
            $table->dateTime('created_at', 6);
            $table->dateTime('updated_at', 6);

            $table->index(['user_id', 'created_at']);
            $table->index(['symbol', 'status']);
        });
    }

    public function down(): void
    {
        Schema::dropIfExists('orders');
    }
};
