<?php

declare(strict_types=1);

namespace App\Models;

use Illuminate\Database\Eloquent\Model;

/** A row of `trades`: a fill of two orders. Amounts are strings, as in {@see Order}. */
class Trade extends Model
{
    public $incrementing = false;

    public $timestamps = false;

    protected $guarded = [];
}
