<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Tests\Support;

use Illuminate\Database\Eloquent\Model;
use WriteBuffer\Laravel\Eloquent\BuffersWrites;

/** A model without soft deletes. */
final class PlainCart extends Model
{
    use BuffersWrites;

    public $incrementing = false;

    public $timestamps = false;

    protected $table = 'wb_carts';

    protected $keyType = 'string';

    protected $guarded = [];
}
