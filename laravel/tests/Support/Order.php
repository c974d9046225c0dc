<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Tests\Support;

use Illuminate\Database\Eloquent\Model;
use Illuminate\Support\Str;
use WriteBuffer\Laravel\Eloquent\BuffersWrites;

/** A model with everything that may change an attribute on its way to a column. */
final class Order extends Model
{
    use BuffersWrites;

    public $incrementing = false;

    protected $table = 'orders';

    protected $keyType = 'string';

    protected $guarded = [];

    protected $casts = ['tags' => 'array', 'quantity' => 'integer', 'is_open' => 'boolean'];

    protected static function booted(): void
    {
        self::creating(static function (self $order): void {
            $order->id ??= (string) Str::uuid();
        });
    }

    public function setSymbolAttribute(string $symbol): void
    {
        $this->attributes['symbol'] = strtoupper($symbol);
    }
}
