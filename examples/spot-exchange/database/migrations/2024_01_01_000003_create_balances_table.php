<?php

declare(strict_types=1);

use Illuminate\Database\Migrations\Migration;
use Illuminate\Database\Schema\Blueprint;
use Illuminate\Support\Facades\Schema;

return new class () extends Migration {
    public function up(): void
    {
        Schema::create('balances', function (Blueprint $table): void {
            $table->unsignedBigInteger('user_id');
            $table->string('asset', 10);
            $table->decimal('available', 36, 18);
            $table->decimal('reserved', 36, 18);
            $table->dateTime('updated_at', 6);

            $table->primary(['user_id', 'asset']);
        });
    }

    public function down(): void
    {
        Schema::dropIfExists('balances');
    }
};
